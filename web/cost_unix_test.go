//go:build unix

package web

import (
	"syscall"
	"testing"
	"time"
)

// perGigabyte reports the processor time of the process, including the readers.
func perGigabyte(b *testing.B, size int) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() {
		b.ReportMetric((used()-before).Seconds()/(float64(size)*float64(b.N)/1e9), "cpu-s/GB")
	}
}
