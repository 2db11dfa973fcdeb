package cli

import (
	"net"
	"os"
	"path/filepath"
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
	url, client := controlOf(data)
	for _, path := range []string{"/readyz", "/api/v1/rooms/blue/key"} {
		resp, err := client.Get(url + path)
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

// The path of a socket is bounded; a server whose folder is deeper runs without.
func TestControlSocketTooDeep(t *testing.T) {
	data := filepath.Join(t.TempDir(), strings.Repeat("d", maxSocketPath))
	r := startServer(t, "--data="+data)
	if _, err := os.Lstat(filepath.Join(data, folder.Control)); err == nil {
		t.Error("there is a socket")
	}
	o, p := &operator{Data: data}, &program{stdin: strings.NewReader("")}
	if _, err := o.ask(t.Context(), p, "GET", "/readyz"); err == nil || !strings.Contains(err.Error(), "name the server with --url") {
		t.Errorf("asking: %v", err)
	}
	o.URL = r.addr["http"]
	resp, err := o.ask(t.Context(), p, "GET", "/api/v1/rooms/blue/key")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if status := r.stop(); status != exitFine {
		t.Errorf("exit status %d", status)
	}
}

// A state that cannot be read is dropped in the files when no server runs.
func TestForgetInFiles(t *testing.T) {
	data := t.TempDir()
	putState(t, store.Config{Dir: filepath.Join(data, folder.Store), Node: "a"}, "blue", `{"locked":tru`)
	forget := func() (int, string) {
		var out strings.Builder
		status := Main(t.Context(), []string{"forget", "blue", "--data=" + data}, func(string) string { return "" }, strings.NewReader(""), &out, &out)
		return status, out.String()
	}
	if status, said := forget(); status != exitFine || !strings.Contains(said, "blue: starts as new") {
		t.Fatalf("%d %s", status, said)
	}
	if copies := filesOf(t, filepath.Join(data, folder.Damaged)); len(copies) != 1 {
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
