package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where there is nothing to back up, the command says that, and nothing of what
// it did not get.
func TestBackupOfNothing(t *testing.T) {
	file, out := filepath.Join(t.TempDir(), "backup.tar"), new(strings.Builder)
	args := []string{"backup", file, "--data=" + t.TempDir()}
	status := Main(t.Context(), args, nil, strings.NewReader(""), out, out)
	if said := out.String(); status != exitFailed || !strings.Contains(said, "nothing is kept there") || strings.Contains(said, "not a backup") {
		t.Errorf("status %d: %s", status, said)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
