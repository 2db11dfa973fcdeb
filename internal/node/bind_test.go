package node

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// An address at which nothing can listen is refused with the one that is meant.
func TestCheckListen(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{":8080", ""}, {"127.0.0.1:0", ""}, {"[::1]:80", ""}, {"localhost:http", ""}, {":65535", ""},
		{"", "say :8080"}, {"http://x", "say x:80"}, {"http://x:81/", "say x:81"}, {"rtmp://x", "say x:1935"}, {"rtmp://x:1", "say x:1"}, {"https://[::1]/", "say [::1]:443"}, {"tcp://:8080", "say :8080"},
		{"8080", "a port has a colon in front: say :8080"}, {"x", "the port is missing: say x:8080"}, {"127.0.0.1", "say 127.0.0.1:8080"}, {"localhost:", "say localhost:8080"},
		{"::1", "say [::1]:8080"}, {"::1:1935", "brackets"}, {"fe80::1%eth0:80", "brackets"}, {"*:80", "say :80"},
		{":99999", "the highest port is 65535"}, {":-1", "is not an address to listen at such as :8080 or 127.0.0.1:8080"}, {":", "such as"}, {":soon", "such as"}, {"a b:1", "such as"}, {"x:1/room", "such as"},
		{`":8080"`, "quotation marks"},
	} {
		err := CheckListen("--http", c.addr, "8080")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "--http: ")) {
			t.Errorf("%q: %v, want %q", c.addr, err, c.want)
		}
	}
}

// A server that cannot listen says why, and how to mend it.
func TestCannotListen(t *testing.T) {
	bind := func(number syscall.Errno) error {
		return &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", number)}
	}
	for _, c := range []struct {
		addr string
		err  error
		want []string
	}{
		{":8080", bind(syscall.EADDRINUSE), []string{"another program listens at :8080", "choose another address with --http"}},
		{":8080", bind(wsaAddrInUse), []string{"another program listens at :8080"}},
		{"192.0.2.1:8080", bind(syscall.EADDRNOTAVAIL), []string{"does not have the address 192.0.2.1", "with :8080"}},
		{":80", bind(syscall.EACCES), []string{"this user may not listen at port 80: ", "choose a port from 1024 on with --http"}},
		{":8080", bind(syscall.EACCES), []string{"choose another address with --http"}},
		{"x.invalid:80", &net.OpError{Op: "listen", Err: &net.DNSError{Err: "no such host", Name: "x.invalid"}}, []string{"there is no host x.invalid", "with :80"}},
	} {
		err := cannotListen("--http", c.addr, c.err)
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %v: %v, want %q", c.addr, c.err, err, want)
			}
		}
	}
	if text := howToAllow(80); text != "" && (!strings.Contains(text, "sudo setcap cap_net_bind_service=+ep ") || !strings.Contains(text, "ip_unprivileged_port_start=80")) {
		t.Error(text)
	}
}

func TestCollide(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{":80", ":80", true}, {"127.0.0.1:80", ":80", true}, {"127.0.0.1:80", "0.0.0.0:80", true}, {"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.2:80", false}, {":80", ":81", false}, {":0", ":0", false}, {"", ":80", false}, {"", "", false},
	} {
		if got := collide(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: %v", c.a, c.b, got)
		}
	}
}
