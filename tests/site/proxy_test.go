package site

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"foyer/client"
	"foyer/server/amf"
)

// fromAddr dials from another address of this machine than the proxies do.
var fromAddr = net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}

// TestHAProxy puts the haproxy of deploy/haproxy.cfg in front of a server: it
// knows where people come from, over RTMP and HTTP, and what is for operators
// stays closed.
func TestHAProxy(t *testing.T) {
	program := needs(t, "haproxy")
	s := startServer(t, "--trusted-proxies=127.0.0.1")
	defer s.stop()
	web, rtmp := freeAddr(t), freeAddr(t)
	config, err := os.ReadFile(root + "deploy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range []struct{ old, new string }{
		{`resolvers docker\n(    .*\n)+`, ""}, {` resolvers docker init-addr \S+`, ""}, {`(?m)^ *server node[23] .*\n`, ""},
		{`bind :8080`, "bind " + web}, {`bind :1935`, "bind " + rtmp},
		{`node1:8080`, s.addr["http"]}, {`node1:1935 port 8080`, s.addr["rtmp"] + " port " + port(s.addr["http"])},
	} {
		changed := regexp.MustCompile(edit.old).ReplaceAll(config, []byte(edit.new))
		if bytes.Equal(changed, config) {
			t.Fatalf("deploy/haproxy.cfg has no %s", edit.old)
		}
		config = changed
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, program, "-db", "-f", file)
	eventually(t, "haproxy has found the server", func() bool {
		resp, err := http.Get("http://" + web + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})

	nc, err := client.Dial(t.Context(), "rtmp://"+rtmp+"/room/blue", client.Options{Dial: fromAddr.DialContext}, amf.String("ann"))
	if err != nil {
		t.Fatalf("by RTMP: %v", err)
	}
	defer nc.Close()
	eventually(t, "the server knows where ann comes from", func() bool { return s.logged(`"msg":"client connected"`, `"remote":"127.0.0.2:`, `"protocol":"rtmp"`) })

	socket := websocket.Dialer{NetDialContext: fromAddr.DialContext}
	ws, _, err := socket.Dial("ws://"+web+"/ws/room/blue", http.Header{"Origin": {"http://" + web}, "X-Forwarded-For": {"203.0.113.7"}})
	if err != nil {
		t.Fatalf("by WebSocket: %v", err)
	}
	defer ws.Close()
	if err := ws.WriteJSON(map[string]any{"type": "connect", "args": []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server knows where bob comes from", func() bool { return s.logged(`"msg":"client connected"`, `"remote":"127.0.0.2:0"`, `"protocol":"ws"`) })

	for path, want := range map[string]int{"/metrics": 404, "/%6detrics": 404, "/admin": 404, "/Debug/pprof": 404, "/": 200} {
		resp, err := http.Get("http://" + web + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d", path, resp.StatusCode)
		}
	}
}

// TestProxyProtocol: a PROXY header of a trusted address counts on every
// listener, before TLS too, and of any other it ends the connection.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	cert, key, trust := certificate(t)
	for _, trusted := range []bool{true, false} {
		s := startServer(t, "--trusted-proxies="+map[bool]string{true: "127.0.0.0/8", false: "192.0.2.0/24"}[trusted],
			"--rtmps=127.0.0.1:0", "--tls-cert="+cert, "--tls-key="+key)
		for i, proto := range []string{"rtmp", "rtmps", "http"} {
			peer := fmt.Sprintf("203.0.113.%d:4660", i+1)
			dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, s.addr[proto])
				if err != nil {
					return nil, err
				}
				fmt.Fprintf(nc, "PROXY TCP4 203.0.113.%d 203.0.113.9 4660 1935\r\n", i+1)
				if proto == "rtmp" {
					return nc, nil
				}
				conn := tls.Client(nc, &tls.Config{RootCAs: trust.RootCAs, ServerName: "127.0.0.1"})
				return conn, conn.HandshakeContext(ctx)
			}
			var err error
			if proto == "http" {
				dialer := websocket.Dialer{NetDialTLSContext: dial}
				var ws *websocket.Conn
				if ws, _, err = dialer.Dial("wss://localhost/ws/room/blue", nil); err == nil {
					defer ws.Close()
					ws.WriteJSON(map[string]any{"type": "connect", "args": []string{proto}})
				}
			} else {
				var nc *client.NetConnection
				if nc, err = client.Dial(t.Context(), "rtmp://localhost/room/blue", client.Options{Dial: dial}, amf.String(proto)); err == nil {
					defer nc.Close()
				}
			}
			if trusted {
				if err != nil {
					t.Fatalf("%s: %v", proto, err)
				}
				eventually(t, proto+" comes from "+peer, func() bool { return s.logged(`"msg":"client connected"`, `"remote":"`+peer+`"`) })
			} else if err == nil {
				t.Errorf("%s: a stranger's header did not end the connection", proto)
			}
		}
		if !trusted && !s.logged(`"msg":"refused"`, `"limit":"proxy"`, `"addr":"127.0.0.1"`, "--trusted-proxies") {
			t.Error("no warning that names the setting")
		}
		s.stop()
	}
}

// needs finds a program. In CI it has to be there.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no %s found, and CI is set", program)
		}
		t.Skipf("no %s found", program)
	}
	return path
}

// start runs a program until the end of the test.
func start(t *testing.T, program string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s says:\n%s", program, out.Bytes())
		}
	})
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
