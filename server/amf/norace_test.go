//go:build !race

package amf_test

// raceEnabled is true under the race detector.
const raceEnabled = false
