package web_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// nginxServer is an nginx site in front of a house. Its location has more lines beside
// proxy_pass.
const nginxServer = `
server {
	listen 127.0.0.1:%d;
	location / {
		proxy_pass http://%s;
		%s
	}
}`

// Lines that people put into a location: none, the usual lines for WebSockets, and those
// with the requested host.
const (
	nginxNothing = ""
	nginxUpgrade = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`
	nginxWhole   = nginxUpgrade + ` proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`
)

// startNginx starts an nginx in front of h with a site for each set of lines, and
// returns the addresses of the sites.
func startNginx(t *testing.T, h *house, sites ...string) (urls []string) {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no nginx found, and CI is set")
		}
		t.Skip("no nginx found")
	}
	dir := t.TempDir()
	config := fmt.Sprintf("daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;\nevents {}\nhttp { access_log off;", dir)
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		config += fmt.Sprintf(" %[2]s_temp_path %[1]s/%[2]s;", dir, name)
	}
	for _, lines := range sites {
		port := freePort(t)
		config += fmt.Sprintf(nginxServer, port, h.http, lines)
		urls = append(urls, fmt.Sprintf("http://127.0.0.1:%d", port))
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config+"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log"))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for _, url := range urls {
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			nc, err := net.Dial("tcp", url[len("http://"):])
			if err == nil {
				nc.Close()
				break
			}
			if time.Now().After(end) {
				log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
				t.Fatalf("nginx does not answer: %v\n%s%s", err, out.Bytes(), log)
			}
		}
	}
	return urls
}

func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// testBehindNginx: behind a proxy that breaks its connection, a page says why, and what
// the operator can do.
func testBehindNginx(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	urls := startNginx(t, h, nginxNothing, nginxUpgrade, nginxWhole)
	const noWebSockets = "A proxy in front of this server does not let WebSockets through. Its operator has to make it pass on the headers Upgrade and Connection."
	for _, tt := range []struct {
		name, url string
		says      []string
	}{
		{"the lines for WebSockets", urls[1], []string{"This server does not let pages of " + urls[1] + " connect. Its operator can allow it with --public-http or --origins."}},
		{"nothing", urls[0], []string{"This server does not let pages of " + urls[0] + " connect. Its operator can allow it with --public-http or --origins.", noWebSockets}},
		{"all", urls[2], nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newTab(t, browser, h)
			b.base = tt.url
			b.expect("WebSocket connection to")
			for path, up := range map[string]string{"/room/blue": "Connected", "/": "Up to date"} {
				b.open(path)
				if tt.says == nil {
					b.waitText(".link-state", up)
					continue
				}
				for _, sentence := range tt.says {
					b.waitText(".link-state", sentence)
				}
				b.wait(`!document.body.innerText.includes("Connection lost")`)
			}
			if tt.says == nil {
				return
			}
			b.open("/room/blue")
			b.waitText(".link-state", tt.says[0])
			b.fill("#nick", "ann")
			b.press(kb.Enter)

			b.waitText("#nick-error", tt.says[0])
		})
	}
}
