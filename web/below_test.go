package web_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"foyer/media"
	"foyer/server/guard"
)

// recordingName is a recording of the room red of testBelow.
const recordingName = "live-2026-01-02T03-04-05Z.flv"

// belowHouse is a house with a room and a recording, which trusts proxies here.
func belowHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.host.Guard.Set(guard.Limits{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	h.room("red", "Red")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "red"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "red", recordingName), []byte("FLV and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	recorder, err := media.OpenRecorder(media.RecorderConfig{Dir: dir, Log: h.log()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { recorder.Close() })
	h.stopWeb()
	h.recorder = recorder
	h.startWeb()
	return h
}

// below serves h below a path, as a proxy does that takes the path off. Every other
// request is one that was led out of it.
func below(t *testing.T, h *house, prefix string, header http.Header) *httptest.Server {
	t.Helper()
	to, err := url.Parse(h.url())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.Path, prefix), strings.TrimPrefix(r.In.URL.RawPath, prefix)
		r.SetURL(to)
		for name, lines := range header {
			r.Out.Header[name] = lines
		}
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix+"/") {
			t.Errorf("led out of %s: %s", prefix, r.URL)
			http.NotFound(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// reference finds what a page, a script or a style leads to.
var reference = regexp.MustCompile(`(?:href|src|action)="([^"#]*)"|(?:from|import)\s*\(?"(\.[^"]+)"|url\(([^)]+)\)`)

// walk follows every link and redirection from an address on, and returns the statuses.
func walk(t *testing.T, root string, starts ...string) map[string]int {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	seen := make(map[string]int)
	var todo []*url.URL
	for _, start := range starts {
		u, err := url.Parse(root + start)
		if err != nil {
			t.Fatal(err)
		}
		todo = append(todo, u)
	}
	for len(todo) > 0 && len(seen) < 500 {
		at := todo[0]
		todo = todo[1:]
		if _, again := seen[at.String()]; again {
			continue
		}
		resp, err := client.Get(at.String())
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		seen[at.String()] = resp.StatusCode
		var refs []string
		if to := resp.Header.Get("Location"); to != "" {
			refs = append(refs, to)
		}
		for _, m := range reference.FindAllStringSubmatch(string(body), -1) {
			refs = append(refs, strings.Trim(m[1]+m[2]+m[3], `"'`))
		}
		for _, ref := range refs {
			to, err := at.Parse(strings.ReplaceAll(ref, "&amp;", "&"))
			if err != nil || to.Scheme == "data" {
				continue
			}
			if to.Fragment = ""; to.Host != at.Host || !strings.HasPrefix(to.String(), root+"/") {
				t.Errorf("%s leads to %s, which is %s", at, ref, to)
				continue
			}
			todo = append(todo, to)
		}
	}
	return seen
}

// testBelow walks through all that a house has below the address root, also from more
// addresses.
func testBelow(t *testing.T, root string, more ...string) {
	t.Helper()
	missing := []string{"/nowhere", "/no/where/at/all", "/room/a%2Fb", "/room/red/x/y", "/live", "/recordings", "/assets", "/api"}
	found := []string{
		"/", "/?q=re&sort=name", "/room/red", "/room/red/", "/room", "/room/", "/api/v1/rooms", "/recordings/red/" + recordingName,
	}
	seen := walk(t, root, slices.Concat(missing, found, more)...)
	for _, path := range missing {
		if seen[root+path] != http.StatusNotFound {
			t.Errorf("%s: %d", path, seen[root+path])
		}
		delete(seen, root+path)
	}
	for at, status := range seen {
		if status >= 400 {
			t.Errorf("%s: %d", at, status)
		}
	}
	for _, path := range []string{"/room/red", "/assets/foyer.css", "/assets/room.js"} {
		if seen[root+path] != http.StatusOK {
			t.Errorf("%s: %d of %d", path, seen[root+path], len(seen))
		}
	}
}

// TestBelow: behind a proxy that takes a path off, nothing leads out of that path: no
// link, redirection, page of an error, script or style.
func TestBelow(t *testing.T) {
	t.Parallel()
	h := belowHouse(t)
	for _, prefix := range []string{"/foyer", "/a/b_c"} {
		for name, header := range map[string]http.Header{
			"it says nothing": nil, "it says where": {"X-Forwarded-Prefix": {prefix}}, "with a slash": {"X-Forwarded-Prefix": {prefix + "/"}},
			"nonsense": {"X-Forwarded-Prefix": {"//evil.example"}}, "markup": {"X-Forwarded-Prefix": {`/"><script>`}}, "a way up": {"X-Forwarded-Prefix": {"/.."}},
		} {
			t.Run(prefix+" "+name, func(t *testing.T) {
				testBelow(t, below(t, h, prefix, header).URL+prefix,
					"//room//red", "/./room/../room/red", "/room/red//", "/live/../room/red", "/api/v1//rooms/red?x=1")
			})
		}
	}
}

// TestRecordingsBelow: the address of a recording has the path that a proxy names in
// front, and a stranger's word for it counts for nothing.
func TestRecordingsBelow(t *testing.T) {
	t.Parallel()
	h := belowHouse(t)
	ask := func(root string) string {
		resp, err := http.Get(root + "/api/v1/rooms/red/recordings")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var list struct{ Recordings []struct{ URL string } }
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Recordings) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list.Recordings[0].URL
	}
	const path = "/recordings/red/" + recordingName
	proxied := below(t, h, "/foyer", http.Header{"X-Forwarded-Prefix": {"/foyer"}})
	if got := ask(proxied.URL + "/foyer"); got != "/foyer"+path {
		t.Errorf("got %s", got)
	}
	if resp, err := http.Get(proxied.URL + ask(proxied.URL+"/foyer")); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", resp, err)
	}
	if got := ask(h.url()); got != path {
		t.Errorf("with no proxy: %s", got)
	}
	h.host.Guard.Set(guard.Limits{})
	if got := ask(proxied.URL + "/foyer"); got != path {
		t.Errorf("by a proxy that nobody trusts: %s", got)
	}
}

// TestBelowNginx is TestBelow with nginx itself, which undoes percent-encoding.
func TestBelowNginx(t *testing.T) {
	t.Parallel()
	h := belowHouse(t)
	const location = `} location /foyer/ { proxy_pass http://%s/; %s`
	sites := startNginx(t, h, fmt.Sprintf(location, h.http, "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Prefix /foyer;"),
		fmt.Sprintf(location, h.http, ""))
	testBelow(t, sites[0]+"/foyer")
	for at, status := range walk(t, sites[1]+"/foyer", "/", "/room", "/room/red/", "/no/where", "/room/red") {
		if status >= 400 && !strings.HasSuffix(at, "/no/where") {
			t.Errorf("%s: %d", at, status)
		}
	}
}
