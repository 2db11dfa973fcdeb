// Package hostile has no code but its tests: a server of this program in a
// process of its own, people who talk on it, and beside them a stranger who
// does for some seconds whatever one address can do without a credential. The
// people must not notice, the process must stay small, and the store must hold
// nothing of the stranger afterwards.
//
// It runs in CI, and where FOYER_TEST_HOSTILE=1. Each attack lasts 3 seconds, with FOYER_SLOW=1 ten. The figures are printed by
// go test -v. How long people wait is held against its limit with FOYER_SLOW=1
// only, on a quiet machine: the stranger, the people and the server share its
// cores.
package hostile
