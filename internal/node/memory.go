package node

import (
	"log/slog"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of what a container may take is for the heap: beyond
// it the garbage collector works harder, so that the kernel does not end the
// process.
const memoryShare = 0.9

// limitMemory has the garbage collector know the limit of the container that
// this process is in. A GOMEMLIMIT of the environment is stronger.
func limitMemory(getenv func(string) string, log *slog.Logger) {
	if getenv("GOMEMLIMIT") != "" {
		return
	}
	limit, err := memlimit.FromCgroup()
	if err != nil || limit == 0 { // no limit, or nothing that has one
		return
	}
	debug.SetMemoryLimit(int64(float64(limit) * memoryShare))
	log.Info("memory limit found", "bytes", limit)
}
