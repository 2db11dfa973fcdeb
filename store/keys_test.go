package store

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// plainKey matches the keys that NATS takes for a bucket: no wildcard, no
// blank.
var plainKey = regexp.MustCompile(`^[-/_=.a-zA-Z0-9]+$`)

// nasty are names that a stranger might think of.
var nasty = []string{
	"", ".", "..", "...", "*", ">", "a b", "a\x00b", "\r\nPUB x 1\r\n", "=", "=h", "=owner", "ä", "\xff",
	strings.Repeat("a", 4000), strings.Repeat(".", 4000), strings.Repeat("ä", 5000), "a/" + strings.Repeat("/", 5000),
}

// checkSubject checks what holds for every subject, whatever names are in it.
func checkSubject(t *testing.T, s string) {
	t.Helper()
	if len(s) > maxSubject || strings.ContainsAny(s, " \t\r\n*>\x00") || strings.Contains("."+s+".", "..") {
		t.Errorf("subject of %d bytes: %.80q", len(s), s)
	}
}

func TestSubjectsAreBounded(t *testing.T) {
	if maxSubject+1024 > 4096 { // with the command, an inbox and the lengths
		t.Errorf("a subject of %d bytes does not fit into a line of NATS", maxSubject)
	}
	for _, a := range nasty {
		for _, b := range nasty {
			for _, s := range []string{
				subject(chatSubject, token(a)), kv(roomsBucket, "state", token(a)), kv(objectsBucket, key(a), key(b)),
				kv(claimsBucket, token(a)), kv(leasesBucket, token(a)), kv(liveBucket, key(a), token(b)), subject(busSpace, key(a), key(b)),
			} {
				checkSubject(t, s)
			}
		}
	}
	for _, space := range []string{chatSubject, busSpace, "$KV." + roomsBucket, "$KV." + objectsBucket, "$KV." + liveBucket} {
		if len(space) > maxSpace {
			t.Errorf("%s is longer than %d bytes", space, maxSpace)
		}
	}
}

func TestToken(t *testing.T) {
	for _, s := range []string{"blue", "a.b", "...", "A_b-9.", "room/x.y", strings.Repeat("a", maxPart)} {
		if p := token(s); untoken(p) != s || isHashed(p) {
			t.Errorf("%q: %q", s, p)
		}
	}
	if got := key("node 1.example"); got != "node=201=2Eexample" {
		t.Error(got)
	}
}

// FuzzParts: different names stay different, and none leaves its part.
func FuzzParts(f *testing.F) {
	for i, s := range nasty {
		f.Add(s, nasty[(i+1)%len(nasty)])
	}
	f.Add("blue", "a.b")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, p := range []part{token(a), key(a)} {
			if len(p) > maxPart || !plainKey.MatchString(string(p)) || strings.Contains(string(p), ".") {
				t.Errorf("%.50q is the part %.50q of %d bytes", a, p, len(p))
			}
		}
		if p := key(a); !isHashed(p) && unkey(p) != a {
			t.Errorf("key %q is the name %q, not %q", p, unkey(p), a)
		}
		if a != b && (token(a) == token(b) || key(a) == key(b)) {
			t.Errorf("%.50q and %.50q are the same", a, b)
		}
	})
}

// FuzzStore: whatever instances, objects, rooms and nodes are called, the
// embedded engine stays ready and the connection to it is never closed.
func FuzzStore(f *testing.F) {
	for i, s := range nasty {
		f.Add(s, nasty[len(nasty)-1-i])
	}
	c, err := Open(f.Context(), Config{Dir: f.TempDir(), Node: nasty[len(nasty)-1], Sync: Second})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.Close() })
	first := c.nc()
	f.Fuzz(func(t *testing.T, instance, object string) {
		saved := make(chan error, 1)
		c.SaveObject(instance, object, []byte("x"), func(err error) { saved <- err })
		<-saved
		objects, _, err := c.LoadObjects(t.Context(), instance)
		if err != nil || !isHashed(key(object)) && string(objects[object]) != "x" {
			t.Errorf("instance %.50q: %d objects, %v", instance, len(objects), err)
		}
		c.SaveObject(instance, object, nil, func(err error) { saved <- err })
		<-saved
		r, err := c.OpenRoom(t.Context(), instance, func([]byte) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := say(r, object); err != nil {
			t.Errorf("room %.50q: %v", instance, err)
		}
		r.Close()
		_, _ = c.Find(t.Context(), instance)
		_, _ = c.Ask(within(t, 10*time.Millisecond), instance, object, nil)
		if stop, err := c.Subscribe(object, func([]byte) {}); err != nil {
			t.Errorf("topic %.50q: %v", object, err)
		} else {
			stop()
		}
		if err := c.nc().Flush(); err != nil || c.nc() != first || c.Ready() != nil {
			t.Fatalf("%.50q, %.50q: %v, ready %v", instance, object, err, c.Ready())
		}
	})
}

// An external NATS sees the same: claims and lists of rooms have names, too.
func TestNastyNames(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	c := e.nodeAt(steady, nasty[len(nasty)-2])
	eventually(t, "it is ready", func() bool { return c.Ready() == nil })
	first := c.nc()
	for _, name := range nasty {
		c.Directory().Put(name, []byte(`{"epoch":1}`))
		release, err := c.Claim(within(t, hang), name, nil)
		if err != nil {
			t.Fatalf("%.50q: %v", name, err)
		}
		if _, _, err := c.LoadObjects(t.Context(), name); err != nil {
			t.Errorf("%.50q: %v", name, err)
		}
		release()
	}
	if err := c.nc().Flush(); err != nil || c.nc() != first || c.Ready() != nil {
		t.Errorf("%v, ready %v", err, c.Ready())
	}
	if left := entries(t, c, claimsBucket); len(left) > 0 {
		t.Errorf("instances that kept nothing left the claims %v", left)
	}
	if left := entries(t, c, objectsBucket); len(left) > 0 {
		t.Errorf("instances that kept nothing left %v", left)
	}
}
