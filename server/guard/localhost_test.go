package guard

import (
	"strings"
	"testing"
)

// TestSeenFrom: an address that says localhost gets the host by which somebody came, and
// nothing else of what they say.
func TestSeenFrom(t *testing.T) {
	for _, c := range []struct{ address, host, want string }{
		{"http://localhost:8081/room/blue", "live.example.org:8080", "http://live.example.org:8081/room/blue"},
		{"http://localhost/room/blue", "live.example.org:8080", "http://live.example.org/room/blue"},
		{"rtmp://localhost/room/blue", "live.example.org", "rtmp://live.example.org/room/blue"},
		{"rtmps://LocalHost:1936/room/blue", "203.0.113.7:8080", "rtmps://203.0.113.7:1936/room/blue"},
		{"rtmp://127.0.0.1:1936/room/blue", "[2001:db8::1]:8080", "rtmp://[2001:db8::1]:1936/room/blue"},
		{"http://127.0.0.1/room/blue", "[2001:db8::1]", "http://[2001:db8::1]/room/blue"},
		{"http://[::1]:8081/room/blue", "live.example.org", "http://live.example.org:8081/room/blue"},
		{"http://[::1]/room/blue", "live.example.org", "http://live.example.org/room/blue"},
		{"http://0.0.0.0:8081/room/blue", "live.example.org", "http://live.example.org:8081/room/blue"},
		{"http://localhost:8081/room/blue", "localhost:8080", "http://localhost:8081/room/blue"},
		{"http://localhost:8081/room/blue", "127.0.0.1:8080", "http://127.0.0.1:8081/room/blue"},
		{"http://localhost:8081/foyer/room/blue", "live.example.org.", "http://live.example.org.:8081/foyer/room/blue"},

		{"http://other.example.org:8081/room/blue", "live.example.org", "http://other.example.org:8081/room/blue"},
		{"http://localhost.example.org/room/blue", "live.example.org", "http://localhost.example.org/room/blue"},
		{"http://127.0.0.2/room/blue", "live.example.org", "http://127.0.0.2/room/blue"},
		{"http://127.example.org/room/blue", "live.example.org", "http://127.example.org/room/blue"},
		{"http://192.168.0.7:8081/room/blue", "live.example.org", "http://192.168.0.7:8081/room/blue"},
		{"", "live.example.org", ""},
		{"localhost:8081", "live.example.org", "localhost:8081"},
	} {
		if got := SeenFrom(c.address, c.host); got != c.want {
			t.Errorf("%s from %s: got %s, want %s", c.address, c.host, got, c.want)
		}
	}
	for _, host := range []string{
		"", ":8080", "evil.example/x", "user@evil.example", "a b", `"><script>`, "<b>", "a\r\nb", "evil.example#", "evil.example?x", "[::1", "[fe80::1%eth0]",
		"h:80:90", "h:port", "-x", "a\\b", "javascript:alert(1)", "é.example", strings.Repeat("x", 254),
	} {
		if got, want := SeenFrom("http://localhost:8081/room/blue", host), "http://localhost:8081/room/blue"; got != want {
			t.Errorf("from %q: got %s", host, got)
		}
	}
}
