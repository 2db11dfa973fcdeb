package guard

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClient(t *testing.T) {
	var g Guard
	g.Set(Limits{Proxies: prefixes("10.0.0.0/8", "fd00::/8")})
	for _, tt := range []struct {
		name, peer string
		f          Forwarded
		want       string // without the port when that is 0
		proto      string
	}{
		{"nothing", "10.0.0.1:7", Forwarded{}, "10.0.0.1:7", ""},
		{"a stranger", "203.0.113.9:7", Forwarded{For: []string{"203.0.113.7"}, RFC: []string{"for=203.0.113.7"}, Proto: []string{"https"}}, "203.0.113.9:7", ""},
		{"one", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.7"}}, "203.0.113.7", ""},
		{"the peer is mapped", "[::ffff:10.0.0.1]:7", Forwarded{For: []string{"203.0.113.7"}}, "203.0.113.7", ""},
		{"the last", "10.0.0.1:7", Forwarded{For: []string{"198.51.100.1, 203.0.113.7"}}, "203.0.113.7", ""},
		{"behind a second proxy", "10.0.0.1:7", Forwarded{For: []string{"198.51.100.1, 203.0.113.7, 10.0.0.2"}}, "203.0.113.7", ""},
		{"several lines", "10.0.0.1:7", Forwarded{For: []string{"198.51.100.1", "203.0.113.7", "10.0.0.3,10.0.0.2"}}, "203.0.113.7", ""},
		{"only proxies", "10.0.0.1:7", Forwarded{For: []string{"10.0.0.3, 10.0.0.2"}}, "10.0.0.3", ""},
		{"no address", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.7, unknown"}}, "10.0.0.1:7", ""},
		{"no address behind a proxy", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.7, unknown, 10.0.0.2"}}, "10.0.0.2", ""},
		{"empty", "10.0.0.1:7", Forwarded{For: []string{""}, RFC: []string{"for=203.0.113.7"}}, "10.0.0.1:7", ""},
		{"an empty entry", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.7,"}}, "10.0.0.1:7", ""},
		{"with a port", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.7:4660"}}, "203.0.113.7:4660", ""},
		{"IPv6", "10.0.0.1:7", Forwarded{For: []string{"2001:db8::1"}}, "2001:db8::1", ""},
		{"IPv6 in brackets", "10.0.0.1:7", Forwarded{For: []string{"[2001:db8::1]"}}, "2001:db8::1", ""},
		{"IPv6 with a port", "10.0.0.1:7", Forwarded{For: []string{"[2001:db8::1]:4660"}}, "[2001:db8::1]:4660", ""},
		{"half a bracket", "10.0.0.1:7", Forwarded{For: []string{"[2001:db8::1"}}, "10.0.0.1:7", ""},
		{"a zone", "[fd00::1]:7", Forwarded{For: []string{"fe80::1%eth0"}}, "fe80::1", ""},
		{"mapped", "10.0.0.1:7", Forwarded{For: []string{"::ffff:203.0.113.7"}}, "203.0.113.7", ""},
		{"a mapped proxy", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.7, ::ffff:10.0.0.2"}}, "203.0.113.7", ""},
		{"leading zeros", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.007"}}, "10.0.0.1:7", ""},
		{"both headers", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.7"}, RFC: []string{"for=198.51.100.1"}}, "203.0.113.7", ""},
		{"https", "10.0.0.1:7", Forwarded{For: []string{"203.0.113.7"}, Proto: []string{"HTTPS"}}, "203.0.113.7", "https"},
		{"https of several", "10.0.0.1:7", Forwarded{Proto: []string{"https, http"}}, "10.0.0.1:7", "https"},

		{"RFC 7239", "10.0.0.1:7", Forwarded{RFC: []string{`for=203.0.113.7;proto=https;by=10.0.0.1`}}, "203.0.113.7", "https"},
		{"RFC 7239, any case, quoted", "10.0.0.1:7", Forwarded{RFC: []string{`Proto="https" ; FOR="[2001:db8::1]:4660"`}}, "[2001:db8::1]:4660", "https"},
		{"RFC 7239, several", "10.0.0.1:7", Forwarded{RFC: []string{`for=198.51.100.1, for=203.0.113.7;proto=https`, `for=10.0.0.2;proto=http`}}, "203.0.113.7", "https"},
		{"RFC 7239, hidden", "10.0.0.1:7", Forwarded{RFC: []string{`for=198.51.100.1, for=_hidden`}}, "10.0.0.1:7", ""},
		{"RFC 7239, no for", "10.0.0.1:7", Forwarded{RFC: []string{`by=10.0.0.1;host="a,b;for=198.51.100.1"`}}, "10.0.0.1:7", ""},
		{"RFC 7239, an open quote", "10.0.0.1:7", Forwarded{RFC: []string{`for="198.51.100.1, for=203.0.113.7`}}, "203.0.113.7", ""},
		{"RFC 7239, an open quote, lines", "10.0.0.1:7", Forwarded{RFC: []string{`for="`, `for=203.0.113.7`}}, "203.0.113.7", ""},
		{"RFC 7239, an escaped quote", "10.0.0.1:7", Forwarded{RFC: []string{`for=198.51.100.1, host="a\",b";for=203.0.113.7`}}, "203.0.113.7", ""},
		{"X-Forwarded-Proto goes before", "10.0.0.1:7", Forwarded{RFC: []string{`for=203.0.113.7;proto=http`}, Proto: []string{"https"}}, "203.0.113.7", "https"},
	} {
		got, proto := g.Client(netip.MustParseAddrPort(tt.peer), tt.f)
		text := got.String()
		if got.Port() == 0 {
			text = got.Addr().String()
		}
		if text != tt.want || proto != tt.proto {
			t.Errorf("%s: got %s, %q; want %s, %q", tt.name, text, proto, tt.want, tt.proto)
		}
	}
	var nobody Guard
	peer := netip.MustParseAddrPort("127.0.0.1:7")
	if got, _ := nobody.Client(peer, Forwarded{For: []string{"203.0.113.7"}}); got != peer {
		t.Errorf("without trusted proxies: %v", got)
	}
}

// TestClientHops: a header full of proxies is looked through only so far.
func TestClientHops(t *testing.T) {
	var g Guard
	g.Set(Limits{Proxies: prefixes("10.0.0.0/8")})
	chain := "203.0.113.7" + strings.Repeat(", 10.0.0.2", maxHops)
	got, _ := g.Client(netip.MustParseAddrPort("10.0.0.1:7"), Forwarded{For: []string{chain}})
	if got.Addr().String() != "10.0.0.2" {
		t.Errorf("got %v", got)
	}
	got, _ = g.Client(netip.MustParseAddrPort("10.0.0.1:7"), Forwarded{For: []string{strings.TrimSuffix(chain, ", 10.0.0.2")}})
	if got.Addr().String() != "203.0.113.7" {
		t.Errorf("got %v", got)
	}
}

// FuzzForwarded: the client is always somebody, in the one form of addresses.
// When the last proxy's word names somebody who is no proxy, nothing to the
// left of it changes the client.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", "203.0.113.7", "203.0.113.7, 10.0.0.2", `for="[2001:db8::1]:80";proto=https`, `for="`, `"\`, ",", "fe80::1%eth0", "::ffff:10.0.0.2"} {
		f.Add(s)
	}
	var g Guard
	g.Set(Limits{Proxies: prefixes("10.0.0.0/8")})
	peer := netip.MustParseAddrPort("10.0.0.1:7")
	f.Fuzz(func(t *testing.T, s string) {
		for _, fwd := range []Forwarded{{For: []string{s}}, {RFC: []string{s}}} {
			got, _ := g.Client(peer, fwd)
			if !got.IsValid() || got.Addr().Is4In6() || got.Addr().Zone() != "" {
				t.Errorf("%q: got %v", s, got)
			}
		}
		for _, fwd := range []Forwarded{
			{For: []string{s + ", 203.0.113.7"}}, {For: []string{s, "203.0.113.7"}},
			{RFC: []string{s + ", for=203.0.113.7"}}, {RFC: []string{s, `for="203.0.113.7"`}},
		} {
			if got, _ := g.Client(peer, fwd); got.Addr().String() != "203.0.113.7" {
				t.Errorf("%q: got %v", fwd, got)
			}
		}
	})
}
