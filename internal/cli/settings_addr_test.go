package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAddrSettings: what others could not use is refused with the flag and a
// sentence, as wrong usage.
func TestAddrSettings(t *testing.T) {
	for _, tt := range []struct{ flag, want string }{
		{"--trusted-proxies=10.0.0.0/8,192.0.2.1,::1,fd00::/8", ""}, {"--trusted-proxies=", ""},
		{"--trusted-proxies=10.0.0.0/33", "10.0.0.0/33"}, {"--trusted-proxies=proxy.example", "proxy.example"}, {"--trusted-proxies=fe80::1%eth0", "fe80::1%eth0"}, {"--trusted-proxies=10.0.0.1:80", "10.0.0.1:80"},
		{"--origins=https://example.org,http://localhost:3000", ""}, {"--origins=", ""},
		{"--origins=example.org", "scheme"}, {"--origins=*", "scheme"}, {"--origins=https://example.org/page", "ends after"},
		{"--allowed-hosts=live.example.org,10.0.0.1:8080,[::1],::1", ""}, {"--allowed-hosts=http://live.example.org", "host"}, {"--allowed-hosts=a/b", "host"},
		{"--public-http=https://live.example.org/", ""}, {"--public-http=http://[::1]:8080", ""},
		{"--public-http=live.example.org", "scheme"}, {"--public-http=localhost:8080", "scheme"}, {"--public-http=rtmp://live.example.org", "scheme"}, {"--public-http=https://", "scheme"},
		{"--public-http=https://live.example.org/room/blue", "path"}, {"--public-http=https://live.example.org?a=b", "leave the rest out"}, {"--public-http=https://u:p@live.example.org", "leave the rest out"},
		{"--public-http=https://live.example.org:http", "scheme"}, {"--public-http=https://b\u00fccher.example", "scheme"},
		{"--public-rtmp=rtmps://live.example.org:443", ""}, {"--public-rtmp=rtmp://live.example.org/chapter4", ""},
		{"--public-rtmp=live.example.org", "scheme"}, {"--public-rtmp=http://live.example.org", "scheme"}, {"--public-rtmp=rtmp:/live", "scheme"}, {"--public-rtmp=rtmp://live.example.org/live", "path"},
	} {
		s, err := serveSettings(t, []string{"serve", tt.flag}, nil)
		usage := err != nil // in the eyes of the flags
		if err == nil {
			err = s.check()
			_, usage = err.(*usageError)
		}
		name, _, _ := strings.Cut(tt.flag, "=")
		if tt.want == "" && err != nil || tt.want != "" && (!usage || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v", tt.flag, err)
		}
	}
}

func TestMappedNetworks(t *testing.T) {
	var n networks
	if err := n.UnmarshalText([]byte("10.1.2.3/8, 192.0.2.1,::ffff:192.0.2.2,::ffff:10.0.0.0/104,fd00::1,")); err != nil {
		t.Fatal(err)
	}
	if got, want := n.String(), "10.0.0.0/8,192.0.2.1/32,192.0.2.2/32,10.0.0.0/8,fd00::1/128"; got != want {
		t.Errorf("got %q", got)
	}
}

// TestAccess: pages of the public address always may connect.
func TestAccess(t *testing.T) {
	s := &settings{PublicHTTP: "https://live.example.org", addrSettings: addrSettings{Origins: []string{"https://example.org"}}}
	if d := cmp.Diff([]string{"https://live.example.org", "https://example.org"}, s.access().Origins); d != "" {
		t.Error(d)
	}
	if got := (&settings{}).access().Origins; len(got) != 0 {
		t.Errorf("with nothing set: %q", got)
	}
}
