package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints what this program was built from.
func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintln(p.stdout, versionLine(buildInfo()))
	return err
}

// buildInfo is how this program was built; nil when it does not know.
func buildInfo() *debug.BuildInfo {
	info, _ := debug.ReadBuildInfo()
	return info
}

// versionLine names version, commit and Go version; info may be nil.
func versionLine(info *debug.BuildInfo) string {
	version, commit, changed := "(devel)", "unknown", ""
	if info != nil {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value
			case "vcs.modified":
				if s.Value == "true" {
					changed = ", with changes"
				}
			}
		}
	}
	return fmt.Sprintf("foyer %s, commit %s%s, %s %s/%s", version, commit, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
