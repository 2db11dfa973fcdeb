package node

import (
	"bufio"
	"bytes"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
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
	limit := memoryLimit(os.DirFS("/"))
	if limit == 0 {
		return
	}
	debug.SetMemoryLimit(int64(float64(limit) * memoryShare))
	log.Info("memory limit found", "bytes", limit)
}

// maxMemory is more than any machine has: a cgroup without a limit says a
// number like it.
const maxMemory = 1 << 60

// memoryLimit is the least that a cgroup of this process, or one around it, may
// take, in bytes; 0 when there is no limit. root is the file system.
func memoryLimit(root fs.FS) int64 {
	var least int64 = math.MaxInt64
	mounted := mounts(root)
	groups, _ := fs.ReadFile(root, "proc/self/cgroup") // without it there is no limit
	for line := range bytes.Lines(groups) {
		// 0::/a/b for version 2, 4:memory:/a/b for version 1.
		parts := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(parts) != 3 {
			continue
		}
		kind, file := "cgroup2", "memory.max"
		if parts[1] != "" {
			kind, file = "cgroup", "memory.limit_in_bytes"
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
		}
		for _, m := range mounted {
			if m.kind == kind {
				least = min(least, limitOf(root, m, parts[2], file))
			}
		}
	}
	if least >= maxMemory {
		return 0
	}
	return least
}

// limitOf is the least limit of a group and those around it.
func limitOf(root fs.FS, m mount, group, file string) int64 {
	var least int64 = math.MaxInt64
	// In a container the group is named as outside, and is the root of the mount.
	below, ok := strings.CutPrefix(path.Clean("/"+group), strings.TrimSuffix(m.root, "/"))
	if !ok {
		below = "/"
	}
	for dir := path.Clean("/" + below); ; dir = path.Dir(dir) {
		text, err := fs.ReadFile(root, strings.TrimPrefix(path.Join(m.point, dir, file), "/"))
		if n, parseErr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && parseErr == nil && n > 0 {
			least = min(least, n) // "max" is no number
		}
		if dir == "/" {
			return least
		}
	}
}

// A mount is where a hierarchy of cgroups with memory is.
type mount struct{ kind, root, point string }

// mounts are those of this process.
func mounts(root fs.FS) (found []mount) {
	f, err := root.Open("proc/self/mountinfo")
	if err != nil {
		return nil // no Linux
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// 36 35 98:0 /root /point options - cgroup source memory,options
		what, how, ok := strings.Cut(lines.Text(), " - ")
		fields, kind := strings.Fields(what), strings.Fields(how)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		if kind[0] == "cgroup2" || kind[0] == "cgroup" && strings.Contains(","+kind[2]+",", ",memory,") {
			found = append(found, mount{kind[0], fields[3], fields[4]})
		}
	}
	return found
}
