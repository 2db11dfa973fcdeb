package cli

import (
	"os"
	"testing"
)

// Each flag that is taken over is a setting, and is listed once.
func TestReloadables(t *testing.T) {
	cmd, err := parse(&program{stdout: t.Output(), stderr: t.Output()}, []string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	known := given(cmd)
	for _, r := range reloadables {
		for _, name := range r.flags {
			if _, ok := known[name]; !ok {
				t.Errorf("%s is no setting, or is there twice", name)
			}
			delete(known, name)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
