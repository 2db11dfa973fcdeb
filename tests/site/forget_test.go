package site

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"foyer/client"
	"foyer/internal/folder"
	"foyer/server/amf"
	"foyer/store"
)

// putState stores the state of a room, as it is.
func putState(t *testing.T, cfg store.Config, name, state string) {
	t.Helper()
	c, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.OpenRoom(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	r.Append(func(uint64) []byte { return []byte(`{"id":1,"text":"hi"}`) }, func(_ uint64, err error) { done <- err })
	r.Save([]byte(state), func(err error) { done <- err })
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
}

// TestForget: a room whose state cannot be read does not start, though it is to
// start with the server; the others do. An operator can have it start as new.
func TestForget(t *testing.T) {
	for _, several := range []bool{false, true} {
		data := t.TempDir()
		cfg := store.Config{Dir: filepath.Join(data, folder.Store), Node: "a"}
		flags := []string{"--data=" + data, "--rooms=blue,red"}
		if several {
			cfg.URL = startNATS(t)
			flags = append(flags, "--nats="+cfg.URL, "--node-secret=among nodes")
		}
		putState(t, cfg, "blue", `{"locked":tru`)
		r := startServer(t, flags...)
		come := func(name string) error {
			nc, err := client.Dial(t.Context(), "rtmp://"+r.addr["rtmp"]+"/room/"+name, client.Options{}, amf.String("ann"))
			if err == nil {
				nc.Close()
			}
			return err
		}
		if err := come("blue"); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("blue: %v", err)
		}
		if err := come("red"); err != nil {
			t.Errorf("red: %v", err)
		}
		forget := func(args ...string) (status int, said string) {
			return command(append([]string{"forget", "--url=http://" + r.addr["http"], "--data=" + data}, args...)...)
		}
		if status, said := forget("red"); status != exitFailed || !strings.Contains(said, "409") {
			t.Errorf("red, which is whole: %d %s", status, said)
		}
		if status, said := forget("blue", "--admin-token=wrong"); status != exitFailed || !strings.Contains(said, "401") {
			t.Errorf("without the token: %d %s", status, said)
		}
		if err := come("blue"); err == nil {
			t.Error("blue started by itself")
		}
		if status, said := forget("blue"); status != exitFine || !strings.Contains(said, "starts as new") {
			t.Errorf("blue: %d %s", status, said)
		}
		copies := list(t, filepath.Join(data, folder.Damaged))
		for _, name := range copies {
			state := readFile(t, filepath.Join(data, folder.Damaged, name))
			if state != `{"locked":tru` || !strings.HasPrefix(name, "room-blue-") {
				t.Errorf("the copy %s has %q", name, state)
			}
		}
		if len(copies) != 1 {
			t.Errorf("%d copies", len(copies))
		}
		if err := come("blue"); err != nil {
			t.Errorf("blue after that: %v", err)
		}
		if _, page := r.ask(t, "/api/v1/rooms/blue/messages"); !strings.Contains(page, `"id":1`) {
			t.Errorf("its chat: %s", page)
		}
		if status := r.stop(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
}
