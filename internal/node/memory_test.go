package node

import (
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	const (
		two       = "36 35 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		one       = "40 35 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n41 35 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
		container = "41 35 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
		huge      = "9223372036854771712\n" // version 1 without a limit
	)
	for _, tt := range []struct {
		name, mounts, groups string
		files                map[string]string
		want                 int64
	}{
		{"no Linux", "", "", nil, 0},
		{"version 2", two, "0::/\n", map[string]string{"sys/fs/cgroup/memory.max": "268435456\n"}, 256 << 20},
		{"version 2, no limit", two, "0::/\n", map[string]string{"sys/fs/cgroup/memory.max": "max\n"}, 0},
		{"version 2, a unit of systemd", two, "0::/system.slice/foyer.service\n", map[string]string{
			"sys/fs/cgroup/system.slice/foyer.service/memory.max": "max\n", "sys/fs/cgroup/system.slice/memory.max": "1000000\n"}, 1000000},
		{"version 2, both", two, "0::/a/b\n", map[string]string{
			"sys/fs/cgroup/a/b/memory.max": "500000\n", "sys/fs/cgroup/a/memory.max": "1000000\n"}, 500000},
		{"version 1", one, "5:cpu,cpuacct:/x\n4:memory:/x\n", map[string]string{
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2000000\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": huge}, 2000000},
		{"version 1, no limit", one, "4:memory:/\n", map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": huge}, 0},
		{"version 1, in a container", container, "4:memory:/docker/abc\n", map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "3000000\n"}, 3000000},
		{"version 1, a group from outside", container, "4:memory:/other\n", map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "3000000\n"}, 3000000},
		{"both versions", two + one, "4:memory:/\n0::/\n", map[string]string{
			"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "4000000\n"}, 4000000},
		{"nonsense", "x\n - \n36 35 - cgroup2\n", "0::\n::\nx\n", map[string]string{"sys/fs/cgroup/memory.max": "1\n"}, 0},
		{"a file that lies", two, "0::/../..\n", map[string]string{"sys/fs/cgroup/memory.max": "-5\n"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if tt.mounts != "" {
				root["proc/self/mountinfo"] = &fstest.MapFile{Data: []byte(tt.mounts)}
				root["proc/self/cgroup"] = &fstest.MapFile{Data: []byte(tt.groups)}
			}
			if got := memoryLimit(root); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
