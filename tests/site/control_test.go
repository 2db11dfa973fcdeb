package site

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"foyer/internal/folder"
	"foyer/store"
)

// Only its user can open the control socket, and a file that is no socket, or a
// dead one, is no hindrance.
func TestControlSocket(t *testing.T) {
	data := t.TempDir()
	name := filepath.Join(data, folder.Control)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	r := startServer(t, "--data="+data)
	info, err := os.Lstat(name)
	if err != nil || info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", name)
	}}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/readyz", "/api/v1/rooms/blue/key"} {
		resp, err := client.Get("http://control" + path)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != 200 {
			t.Errorf("%s answers %s", path, resp.Status)
		}
	}
	if status, _ := r.ask(t, "/api/v1/rooms/blue/key"); status != 401 {
		t.Errorf("without the socket or a token: %d", status)
	}
	if status := r.stop(); status != exitFine {
		t.Errorf("exit status %d", status)
	}
	if left, _ := filepath.Glob(filepath.Join(data, ".c*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	if _, err := os.Lstat(name); err == nil {
		t.Error("it left its socket")
	}
}

// The path of a socket is bounded; on Linux a server whose folder is deeper has one too.
func TestControlSocketDeep(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have no way around it")
	}
	data := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	r := startServer(t, "--data="+data)
	if _, err := os.Lstat(filepath.Join(data, folder.Control)); err != nil {
		t.Error(err)
	}
	if status, said := command("backup", filepath.Join(t.TempDir(), "backup.tar"), "--data="+data); status != exitFine {
		t.Errorf("asking: %d %s", status, said)
	}
	if status := r.stop(); status != exitFine {
		t.Errorf("exit status %d", status)
	}
}

// A state that cannot be read is dropped in the files when no server runs.
func TestForgetInFiles(t *testing.T) {
	data := t.TempDir()
	putState(t, store.Config{Dir: filepath.Join(data, folder.Store), Node: "a"}, "blue", `{"locked":tru`)
	forget := func() (int, string) { return command("forget", "blue", "--data="+data) }
	if status, said := forget(); status != exitFine || !strings.Contains(said, "blue: starts as new") {
		t.Fatalf("%d %s", status, said)
	}
	if copies := list(t, filepath.Join(data, folder.Damaged)); len(copies) != 1 {
		t.Errorf("%d copies", len(copies))
	}
	if status, said := forget(); status != exitFailed || !strings.Contains(said, "nothing was done") {
		t.Errorf("again: %d %s", status, said)
	}
	r := startServer(t, "--data="+data, "--rooms=blue")
	if status, page := r.ask(t, "/api/v1/rooms/blue/messages"); status != 200 || !strings.Contains(page, `"id":1`) {
		t.Errorf("its chat: %d %s", status, page)
	}
	r.stop()
}
