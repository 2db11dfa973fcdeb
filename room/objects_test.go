package room_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/sharedobject"
)

func TestObjects(t *testing.T) {
	const noRead, noWrite = "SharedObject.NoReadAccess", "SharedObject.NoWriteAccess"
	for _, c := range []struct {
		name, object  string
		user          bool
		persistent    bool
		use, writable string
	}{
		{"the users", "users", true, false, "", noWrite},
		{"the room", "room", true, false, "", noWrite},
		{"the room, by a spectator", "room", false, false, "", noWrite},
		{"one's own", "public/board", true, false, "", ""},
		{"one's own, deeper", "public/board/1", true, false, "", ""},
		{"one's own, by a spectator", "public/board", false, false, "", noWrite},
		{"another name", "board", true, false, noRead, noWrite},
		{"nearly public", "publicity", true, false, noRead, noWrite},
		{"no name", "public/", true, false, noRead, noWrite},
		{"a control character", "public/\x00", true, false, noRead, noWrite},
		{"a long name", "public/" + strings.Repeat("x", 128), true, false, noRead, noWrite},
		{"a persistent one of one's own", "public/board", true, true, "", noWrite}, // write uses the temporary one
		{"the users, persistent", "users", true, true, "SharedObject.BadPersistence", noWrite},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, config())
				p := spectate(t, h)
				if c.user {
					p = join(t, h, "ann")
				}
				p.use(c.object, c.persistent)
				if p.status != c.use {
					t.Errorf("use: got %q, want %q", p.status, c.use)
				}
				if got := p.write(c.object, "slot", amf.String("v")); got != c.writable {
					t.Errorf("write: got %q, want %q", got, c.writable)
				}
			})
		})
	}
}

func TestUsersShareObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, config())
		ann, bob := join(t, h, "ann"), join(t, h, "bob")
		ann.use("public/board", false)
		bob.use("public/board", false)
		ann.write("public/board", "line", amf.String("x"))
		if got := bob.slot("public/board", "line"); got != "x" {
			t.Errorf("got %q", got)
		}
	})
}

// TestUsersKeepObjects: a persistent object of users is still there when the room is
// started again.
func TestUsersKeepObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := memory{}
		for i, want := range []string{"", "x"} {
			h := newHost(t, config())
			h.Objects = kept
			ann := join(t, h, "ann")
			ann.use("public/board", true)
			if got := ann.slot("public/board", "line"); got != want {
				t.Errorf("start %d: got %q, want %q", i, got, want)
			}
			ann.client.ServeSharedObject(&sharedobject.Message{Name: "public/board", Persistent: true,
				Events: []sharedobject.Event{{Type: sharedobject.RequestChange, Slot: "line", Value: amf.String("x")}}})
			synctest.Wait()
			h.Stop(t.Context())
		}
	})
}

// memory is a server.ObjectStore of one instance.
type memory map[string][]byte

func (m memory) LoadObjects(context.Context, string) (map[string][]byte, map[string]time.Time, error) {
	return maps.Clone(m), nil, nil
}

func (m memory) SaveObject(_, object string, data []byte, done func(error)) {
	m[object] = data
	done(nil)
}
