// Package site has only tests: of whole sites, from one server in this process to
// many in containers, with the networks, clocks and processes that a site has to
// live with. Tests that take long run when their switch is set:
//
//	FOYER_TEST_README=1    the commands of the README
//	FOYER_TEST_CLUSTER=1   nodes that die, restart, have wrong clocks or are cut off
//	FOYER_TEST_DOCKER=1    the containers of the compose files
//	FOYER_TEST_ROUNDS=N    how often TestKill kills its server
//	FOYER_SLOW=1           the measurement of the lobby's delay
//
// With CI=true the first two run as well.
package site
