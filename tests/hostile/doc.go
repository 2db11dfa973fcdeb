// Package hostile has only tests. They run a server of this program in a
// process of its own, people who talk on it, and a stranger who does for some
// seconds whatever one address can do without a credential. The people must not
// notice, the process must stay small, and afterwards the store must hold
// nothing of the stranger's.
//
// The tests run in CI, and with FOYER_TEST_HOSTILE=1. Each attack lasts 3
// seconds, with FOYER_SLOW=1 10 seconds. go test -v prints the figures. Only
// with FOYER_SLOW=1 is there a limit for how long people wait, and it needs a
// quiet machine: the stranger, the people and the server share the cores.
package hostile
