package cli

import (
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"serve", "demo", "join", "rooms", "publish", "key", "backup", "restore", "forget", "check", "version", "stale-after", "reserved-nicks"}
	for word, want := range map[string]string{
		"servee": "serve", "serv": "serve", "sevre": "serve", "Serve": "serve", "jion": "join", "room": "rooms", "pub": "publish", "back": "backup", "restroe": "restore",
		"keys": "key", "ver": "version", "stale-afer": "stale-after", "reserved-nick": "reserved-nicks", "re": "", "res": "", "check-url": "check", "stale-after-time": "stale-after", "checkers": "", "x": "", "": "", "start": "", "ls": "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"idel", "idle", 1}, {"htpp", "http", 1}, {"kitten", "sitting", 3}} {
		if got := mistakes(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
