//go:build race

package amf_test

// raceEnabled is true under the race detector, where sync.Pool drops things on
// purpose and allocation counts mean little.
const raceEnabled = true
