package guard

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSame(t *testing.T) {
	for _, c := range []struct {
		given, secret string
		want          bool
	}{{"a", "a", true}, {"a", "b", false}, {"", "", false}, {"a", "", false}, {"", "a", false}, {"a", "aa", false}} {
		if got := Same(c.given, c.secret); got != c.want {
			t.Errorf("Same(%q, %q) = %v", c.given, c.secret, got)
		}
	}
}

func TestExempt(t *testing.T) {
	var g Guard
	if g.Exempt(netip.MustParseAddr("127.0.0.1")) {
		t.Error("the zero Guard exempts somebody")
	}
	g.Set(Limits{Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	for addr, want := range map[string]bool{"127.1.2.3": true, "::ffff:127.0.0.1": true, "::1": true, "192.0.2.1": false} {
		if got := g.Exempt(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Exempt(%s) = %v", addr, got)
		}
	}
}

func TestRefusalsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		g := Guard{Log: slog.New(slog.NewTextHandler(&out, nil))}
		refuse := func(limit, addr string) int {
			g.Refuse(netip.MustParseAddr(addr), &Refusal{Limit: limit, Reason: "No."})
			return strings.Count(out.String(), "\n")
		}
		for i, c := range []struct {
			limit, addr string
			lines       int
		}{{"a", "192.0.2.1", 1}, {"a", "192.0.2.1", 1}, {"b", "192.0.2.1", 2}, {"a", "192.0.2.2", 3}, {"a", "2001:db8::1", 4}, {"a", "2001:db8::2", 4}} {
			if got := refuse(c.limit, c.addr); got != c.lines {
				t.Errorf("refusal %d: %d lines in the log, want %d", i, got, c.lines)
			}
		}
		if got := g.Refused(); got["a"] != 5 || got["b"] != 1 {
			t.Errorf("counted %v", got)
		}
		time.Sleep(logEvery)
		if got := refuse("a", "192.0.2.1"); got != 5 {
			t.Errorf("after a minute: %d lines", got)
		}
	})
}

// TestRefusalsOfManyAddresses: a flood from everywhere fills neither the memory nor the log.
func TestRefusalsOfManyAddresses(t *testing.T) {
	var out bytes.Buffer
	g := Guard{Log: slog.New(slog.NewTextHandler(&out, nil))}
	for i := range 3 * maxLogged {
		g.Refuse(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), &Refusal{Limit: "a"})
	}
	if got := len(g.lines.at); got > maxLogged {
		t.Errorf("remembers %d lines, want at most %d", got, maxLogged)
	}
	if got := strings.Count(out.String(), "\n"); got > maxLogged {
		t.Errorf("%d lines in the log, want at most %d", got, maxLogged)
	}
}
