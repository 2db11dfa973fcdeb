package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// farLobby returns the handler of a lobby whose rooms are on other servers of the same
// machine: blue, of this site, and red, which only knows its own password.
func farLobby(t *testing.T, entries ...lobby.Entry) *Handler {
	t.Helper()
	host := &server.Host{Log: testLog(t), Node: "lobby", Guard: new(guard.Guard)}
	host.Guard.Set(guard.Limits{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	host.Handle("lobby", func() server.Application { return listOf(entries) })
	t.Cleanup(func() { host.Stop(t.Context()) })
	if err := host.Start("lobby"); err != nil {
		t.Fatal(err)
	}
	return New(Config{Host: host, Log: testLog(t), Node: "lobby", PublicRTMP: "rtmp://localhost:1935"})
}

// listOf is a lobby with these entries.
type listOf []lobby.Entry

func (listOf) OnAppStart(*server.Instance) error        { return nil }
func (listOf) OnConnect(*server.Client, amf.Args) error { return nil }
func (listOf) OnDisconnect(*server.Client, error)       {}
func (listOf) OnAppStop()                               {}
func (l listOf) Methods() map[string]server.Method {
	return map[string]server.Method{
		lobby.MethodRooms: func(_ *server.Client, args amf.Args) (amf.Value, error) {
			list := amf.StrictArray{}
			for _, e := range l {
				list = append(list, e.Value())
			}
			return list, nil
		},
		lobby.MethodWhere: func(_ *server.Client, args amf.Args) (amf.Value, error) {
			name, _ := amf.AsString(args.At(0))
			for _, e := range l {
				if strings.EqualFold(name, e.Name) {
					return e.Value(), nil
				}
			}
			return amf.Null{}, nil
		},
		lobby.MethodSums:   func(*server.Client, amf.Args) (amf.Value, error) { return amf.Object{}, nil },
		lobby.MethodView:   func(*server.Client, amf.Args) (amf.Value, error) { return amf.Null{}, nil },
		lobby.MethodTrends: func(*server.Client, amf.Args) (amf.Value, error) { return amf.Null{}, nil },
	}
}

// onLocalhost is an entry of the demo: its server knows itself as localhost.
func onLocalhost(name string) lobby.Entry {
	return lobby.Entry{Name: name, State: lobby.StateLive, Status: lobby.Status{
		Node: "rooms1", RTMP: "rtmp://localhost:1936/room/" + name, HTTP: "http://localhost:8081/room/" + name,
	}}
}

// TestAddressesSeenFrom: every address that says localhost leads to where the visitor
// is, and a Host that is no host leads nowhere.
func TestAddressesSeenFrom(t *testing.T) {
	h := farLobby(t, onLocalhost("blue"))
	for _, tt := range []struct {
		name, peer, host, forwarded string
		want                        string // host of the addresses
	}{
		{"a name", "203.0.113.9:7", "live.example.org:8080", "", "live.example.org"},
		{"no port", "203.0.113.9:7", "live.example.org", "", "live.example.org"},
		{"IPv4", "203.0.113.9:7", "198.51.100.7:8080", "", "198.51.100.7"},
		{"IPv6", "203.0.113.9:7", "[2001:db8::1]:8080", "", "[2001:db8::1]"},
		{"here", "127.0.0.1:7", "localhost:8080", "", "localhost"},
		{"behind a proxy", "10.0.0.1:7", "foyer:8080", "live.example.org:8443, foyer", "live.example.org"},
		{"a stranger lies", "203.0.113.9:7", "live.example.org", "evil.example", "live.example.org"},
		{"a proxy that says nonsense", "10.0.0.1:7", "live.example.org", `"><script>`, "live.example.org"},
		{"markup", "203.0.113.9:7", `"><script>alert(1)</script>`, "", "localhost"},
		{"a path", "203.0.113.9:7", "evil.example/x", "", "localhost"},
		{"a user", "203.0.113.9:7", "live.example.org@evil.example", "", "localhost"},
		{"nothing", "203.0.113.9:7", "", "", "localhost"},
	} {
		get := func(path string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", path, nil)
			r.Host, r.RemoteAddr = tt.host, tt.peer
			if tt.forwarded != "" {
				r.Header.Set("X-Forwarded-Host", tt.forwarded)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if body := w.Body.String(); strings.Contains(body, "<script>") || strings.Contains(body, "evil.example") || strings.Contains(w.Header().Get("Location"), "evil") {
				t.Errorf("%s: %s has what was asked for: %s", tt.name, path, body)
			}
			return w
		}
		page, rtmp := "http://"+tt.want+":8081/room/blue", "rtmp://"+tt.want+":1936/room/blue"
		var list struct{ Rooms []lobby.Entry }
		if err := json.Unmarshal(get("/api/v1/rooms").Body.Bytes(), &list); err != nil || list.Rooms[0].HTTP != page || list.Rooms[0].RTMP != rtmp {
			t.Errorf("%s: the list has %+v, %v", tt.name, list, err)
		}
		var entry lobby.Entry
		if err := json.Unmarshal(get("/api/v1/rooms/blue").Body.Bytes(), &entry); err != nil || entry.HTTP != page || entry.RTMP != rtmp {
			t.Errorf("%s: the entry is %+v, %v", tt.name, entry, err)
		}
		if tt.want == "localhost" && tt.host != "localhost:8080" {
			if w := get("/room/blue"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "is elsewhere") {
				t.Errorf("%s: the page answers %d, %v", tt.name, w.Code, w.Header())
			}
			continue
		}
		if w := get("/room/blue"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != page {
			t.Errorf("%s: the page answers %d, %v", tt.name, w.Code, w.Header())
		}
		body := get("/").Body.String()
		if !strings.Contains(body, `href="`+page+`"`) || strings.Contains(body, "rtmp://") && !strings.Contains(body, "rtmp://"+tt.want) {
			t.Errorf("%s: the lobby has no %s: %s", tt.name, page, body)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/api/v1/rooms/blue", nil)
	h.ServeHTTP(w, r)
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	r.Host = "other.example.org"
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("the answer for one host is that for another: %d", w.Code)
	}
}

// TestForwardedHostIsNotAllowed: whoever may write X-Forwarded-Host gets no further with
// it than by the Host of the request.
func TestForwardedHostIsNotAllowed(t *testing.T) {
	h := farLobby(t)
	h.SetAccess(Access{Hosts: []string{"live.example.org"}})
	r := httptest.NewRequest("GET", "/", nil)
	r.Host, r.RemoteAddr = "evil.example", "10.0.0.1:7"
	r.Header.Set("X-Forwarded-Host", "live.example.org")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("got %d", w.Code)
	}
}

// TestReadElsewhere: whatever somebody wants to read of a room on another server of this
// site, they are led there, to the same address. A server of another site is named.
func TestReadElsewhere(t *testing.T) {
	far := onLocalhost("red")
	far.HTTP = "https://evil.example/room/red"
	h := farLobby(t, onLocalhost("blue"), far)
	ask := func(method, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Host = "live.example.org:8080"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, path := range []string{
		"/live/blue/live.flv", "/live/blue/live.m3u8", "/live/Blue/live.m3u8?low=1", "/live/blue/live/7.m4s", "/live/blue/live.mp4",
		"/recordings/blue/live%20x.flv", "/recordings/blue/live.flv.mp4", "/api/v1/rooms/blue/messages?after=3", "/api/v1/rooms/blue/ingest",
		"/api/v1/rooms/blue/recordings",
	} {
		if w := ask("GET", path); w.Code != http.StatusTemporaryRedirect || w.Header().Get("Location") != "http://live.example.org:8081"+path {
			t.Errorf("%s: got %d, %v", path, w.Code, w.Header())
		}
		path = strings.Replace(strings.ToLower(path), "blue", "red", 1)
		if w := ask("GET", path); w.Code != http.StatusNotFound || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), "https://evil.example/room/red") {
			t.Errorf("%s: got %d, %s", path, w.Code, w.Body)
		}
		if w := ask("GET", strings.Replace(path, "red", "jazz", 1)); w.Code/100 == 3 {
			t.Errorf("of a room that is nowhere: got %d, %v", w.Code, w.Header())
		}
	}
	if w := ask("GET", "/live/blue/live.flv"); w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Error("players on other pages cannot follow")
	}
}

// TestNotLedInCircles: a room whose server says that it is this one leads nobody here
// again.
func TestNotLedInCircles(t *testing.T) {
	here := onLocalhost("blue")
	here.HTTP = "http://localhost:8080/room/blue"
	h := farLobby(t, here)
	for _, tt := range []struct {
		host, prefix string
		led          bool
	}{{"live.example.org:8080", "", false}, {"live.example.org:8081", "", true}, {"live.example.org:8080", "/foyer", true}} {
		for _, path := range []string{"/room/blue", "/live/blue/live.flv"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host, r.RemoteAddr = tt.host, "10.0.0.1:7"
			r.Header.Set("X-Forwarded-Prefix", tt.prefix)
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); (w.Code/100 == 3) != tt.led {
				t.Errorf("%s%s below %q: got %d, %v", tt.host, path, tt.prefix, w.Code, w.Header())
			}
		}
	}
}
