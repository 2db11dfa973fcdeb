package cli

import (
	"net"
	"strings"
	"testing"
)

func TestTLSAutoSettings(t *testing.T) {
	for _, c := range []struct{ flags, want string }{
		{"--tls-auto=a.example --tls-cert=c --tls-key=k", "give only one of them"},
		{"--acme-directory=https://x/", "name the hosts"}, {"--acme-ca=x", "name the hosts"},
		{"--tls-auto=*.example.org", "--tls-auto"}, {"--tls-auto=192.0.2.1", "--tls-auto"}, {"--tls-auto=https://a.example", "--tls-auto"},
		{"--tls-auto=a.example --acme-directory=example.org", "--acme-directory"},
	} {
		s, err := serveSettings(t, append([]string{"serve"}, strings.Split(c.flags, " ")...), nil)
		if err != nil {
			t.Errorf("%s: %v", c.flags, err)
			continue
		}
		if err := s.check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.flags, err)
		}
	}
	s, err := serveSettings(t, []string{"serve", "--tls-auto=a.example,b.example", "--rtmps=:1936"}, nil)
	if err != nil || s.check() != nil {
		t.Fatal("the right ones are refused, too")
	}
	n := &node{settings: s, http: fixedAddr(443)}
	if got := n.publicHTTP(); got != "https://a.example" {
		t.Errorf("its address is guessed as %s", got)
	}
	missing := []string{"--data=" + t.TempDir(), "--rtmp=127.0.0.1:0", "--http=127.0.0.1:0", "--tls-auto=a.example", "--acme-ca=missing.pem"}
	var out strings.Builder
	if status := Main(t.Context(), missing, func(string) string { return "" }, strings.NewReader(""), &out, &out); status != exitFailed || !strings.Contains(out.String(), "reading the authority's certificate") {
		t.Errorf("without the authority's certificate: %d %s", status, out.String())
	}
}

// fixedAddr is a listener at that port, for what asks no more of it.
type fixedAddr int

func (fixedAddr) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (fixedAddr) Close() error              { return nil }
func (p fixedAddr) Addr() net.Addr          { return &net.TCPAddr{Port: int(p)} }
