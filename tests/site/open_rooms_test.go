package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foyer/client"
	"foyer/internal/folder"
	"foyer/server/amf"
)

// TestOpenRooms: --open-rooms of a running server says which peers may open a room
// that does not exist.
func TestOpenRooms(t *testing.T) {
	data := t.TempDir()
	var r *running
	start := func(flags ...string) {
		if r != nil && r.stop() != 0 {
			t.Fatal("it did not stop well")
		}
		r = startServer(t, append(flags, "--data="+data, "--exempt=")...)
	}
	const no = "There is no room of this name."
	want := func(path, refused string, args ...amf.Value) *client.NetConnection {
		t.Helper()
		nc, err := client.Dial(t.Context(), "rtmp://"+r.addr["rtmp"]+"/"+path, client.Options{}, args...)
		switch {
		case err == nil && refused == "":
			t.Cleanup(func() { nc.Close() })
		case err == nil:
			nc.Close()
			t.Errorf("%s: welcome, want %q", path, refused)
		case refused == "" || !strings.Contains(err.Error(), refused):
			t.Errorf("%s: %v, want %q", path, err, refused)
		}
		return nc
	}
	start()
	for i, name := range []string{"a1", "a2", "a3", "a4", "A5"} {
		if nc := want("room/"+name, "", amf.String("ann")); nc != nil && i == 4 {
			if _, err := nc.Call(t.Context(), "say", amf.String("hello")); err != nil {
				t.Fatal(err)
			}
		}
	}
	want("room/a6", "You have opened too many rooms.", amf.String("ann"))
	want("room/A1", "", amf.String("bob"))
	want("lobby", "")

	start("--open-rooms=nobody", "--rooms=Blue")
	token, err := os.ReadFile(filepath.Join(data, folder.AdminToken))
	if err != nil {
		t.Fatal(err)
	}
	admin := amf.String(strings.TrimSpace(string(token)))
	want("room/new", no, amf.String("ann"))
	want("room/new", no, amf.String("ann"), admin)
	want("room/a1", no, amf.String("ann")) // nothing was kept of it
	want("room/blue", "", amf.String("ann"))
	want("room/a5", "", amf.String("ann"))
	want("lobby", "")
	want("lobby/other", no)

	start("--open-rooms=pass")
	want("room/new", no)
	want("room/new", no, amf.String("ann"), amf.String("wrong"))
	want("room/new", "", amf.String("ann"), admin)
	want("room/NEW", "", amf.String("bob"))
	if status := r.stop(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
