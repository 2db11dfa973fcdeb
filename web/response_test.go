package web

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/guard"
)

// asking sends a request from an address.
func asking(h http.Handler, from, path string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
	r.RemoteAddr = from + ":7"
	h.ServeHTTP(w, r)
	return w
}

// TestAnswersCharged: each kind of request has its price, and is refused when its
// address has used up its allowance.
func TestAnswersCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := trusting(t, guard.Limits{Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		const big = 100 << 10
		h.handle("GET", "/big", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, big)) })
		h.handle("GET", "/assets/big", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, big)) })
		refused := uint64(0)
		for i, tt := range []struct {
			path string
			cost int
		}{
			{"/room/blue", 4 << 10}, {"/api/v1/rooms/blue", 4 << 10}, {"/nothing", 4 << 10}, {"/metrics", 4 << 10},
			{"/big", big}, {"/assets/big", 256}, {"/assets/foyer.css", 256}, {"/healthz", 256},
			{"/live/blue/live.flv", 256}, {"/live/blue/live.m3u8", 256}, {"/live/blue/live/part.mp4", 256}, {"/recordings/blue/x.flv", 256},
		} {
			const left = 200 << 10
			from := "192.0.2." + strconv.Itoa(i+1)
			h.guard.Answered(netip.MustParseAddr(from), guard.AnswerBurst-left)
			asked := 0
			for asking(h, from, tt.path).Code != http.StatusTooManyRequests {
				asked++
			}
			refused++
			if want := left / tt.cost; asked < want || asked > want+2 {
				t.Errorf("%s: %d requests, want %d", tt.path, asked, want)
			}
			w := asking(h, from, tt.path)
			refused++
			wantProblem(t, w.Result(), w.Body.String(), http.StatusTooManyRequests)
			seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
			if err != nil || seconds < 1 {
				t.Errorf("%s: Retry-After %q", tt.path, w.Header().Get("Retry-After"))
			}
			for name, free := range map[string]http.Handler{"operators' listener": h.Admin(), "control socket": h.Control()} {
				if w := asking(free, from, tt.path); w.Code == http.StatusTooManyRequests {
					t.Errorf("%s: %s answers %d", tt.path, name, w.Code)
				}
			}
			time.Sleep(time.Duration(seconds) * time.Second)
			if w := asking(h, from, tt.path); w.Code == http.StatusTooManyRequests {
				t.Errorf("%s: refused after %d s", tt.path, seconds)
			}
		}
		if got := h.guard.Refused()["answers"]; got != refused {
			t.Errorf("%d refusals counted, want %d", got, refused)
		}
		for range 2 * guard.AnswerBurst / big {
			if w := asking(h, "127.0.0.1", "/big"); w.Code != http.StatusOK {
				t.Fatalf("an exempt address is answered %d", w.Code)
			}
		}
	})
}

// TestManyViewers: hundreds of viewers by HLS may share an address, with ten requests a
// second each, for ever.
func TestManyViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := trusting(t, guard.Limits{})
		const viewers, from = 400, "192.0.2.1"
		h.guard.Answered(netip.MustParseAddr(from), guard.AnswerBurst-viewers*staticCost) // as if they had watched for long
		for range 30 {
			for range viewers {
				if w := asking(h, from, "/live/blue/live/part.mp4"); w.Code == http.StatusTooManyRequests {
					t.Fatal("a viewer was refused")
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// TestCompressed: JSON and HTML are compressed for clients that accept it, if that is
// worth it. Nothing else is.
func TestCompressed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "blue", "red", "amber")
	const gzipped = "Accept-Encoding: gzip"
	for path, want := range map[string]bool{
		"/": true, "/room/blue": true, "/api/v1/rooms": true,
		"/api/v1/rooms/nothing": false, "/api/v1/rooms/blue/messages": false, "/healthz": false, // small
		"/assets/foyer.css": false, "/live/blue/live.m3u8": false,
	} {
		resp, body := h.ask(t, "GET", path, "", gzipped)
		if got := resp.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%s: compressed is %v", path, got)
		}
		if isDynamic(path) && !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Accept-Encoding") {
			t.Errorf("%s: Vary is %q", path, resp.Header.Values("Vary"))
		}
		if !want {
			continue
		}
		unpacker, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if plain, err := io.ReadAll(unpacker); err != nil || len(plain) < 1024 || len(plain) < len(body) {
			t.Errorf("%s: %d bytes of %d, %v", path, len(body), len(plain), err)
		}
		for _, other := range []string{"Accept-Encoding: identity", "Accept-Encoding: zstd", "Accept-Encoding: gzip;q=0"} {
			if resp, _ := h.ask(t, "GET", path, "", other); resp.Header.Get("Content-Encoding") != "" {
				t.Errorf("%s with %s is %s", path, other, resp.Header.Get("Content-Encoding"))
			}
		}
	}
}

// TestKept: a client that has an answer hears that it is still current.
func TestKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "red", "blue")
	for _, path := range []string{"/api/v1/rooms", "/api/v1/rooms?limit=1", "/api/v1/rooms/red", "/api/v1/rooms/red/messages", "/api/v1/rooms/red/recordings"} {
		resp, _ := h.ask(t, "GET", path, "")
		tag := resp.Header.Get("ETag")
		if resp.StatusCode != 200 || !strings.HasPrefix(tag, `W/"`) || resp.Header.Get("Cache-Control") != "no-cache" {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, resp.Header)
		}
		for has, want := range map[string]int{
			tag: 304, `"other", ` + tag: 304, strings.TrimPrefix(tag, "W/"): 304, "*": 304, `W/"other"`: 200, `""`: 200,
		} {
			for _, coding := range []string{"gzip", "identity"} {
				resp, body := h.ask(t, "GET", path, "", "If-None-Match: "+has, "Accept-Encoding: "+coding)
				if resp.StatusCode != want || resp.Header.Get("ETag") != tag || (body == "") != (want == 304) || resp.Header.Get("Cache-Control") != "no-cache" {
					t.Errorf("%s, %s: %d, %v, %d bytes", path, has, resp.StatusCode, resp.Header, len(body))
				}
			}
		}
	}
	few, _ := h.ask(t, "GET", "/api/v1/rooms?limit=1&sort=name", "")
	many, _ := h.ask(t, "GET", "/api/v1/rooms?sort=name", "")
	if few.Header.Get("ETag") == many.Header.Get("ETag") {
		t.Error("two lists have one tag")
	}
}

// TestKeptNews: a tag changes when a room has news, but not when the room only reports
// again.
func TestKeptNews(t *testing.T) {
	t.Parallel()
	told := lobby.Entry{Name: "blue", Status: lobby.Status{Epoch: 1, Seq: 1, Users: 3}}
	again, news := told, told
	again.Seq, news.Users = 2, 4
	tag := func(e lobby.Entry) string {
		w := httptest.NewRecorder()
		writeCacheable(w, httptest.NewRequest("GET", "/", nil), e.Value(), newsOf(e))
		var got lobby.Entry
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Seq != e.Seq {
			t.Errorf("got %s, %v", w.Body, err)
		}
		return w.Header().Get("ETag")
	}
	if tag(told) != tag(again) || tag(told) == tag(news) {
		t.Errorf("tags %s, %s with nothing new, %s with news", tag(told), tag(again), tag(news))
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("HEAD", "/", nil)
	r.Header.Set("If-None-Match", tag(told))
	if writeCacheable(w, r, amf.Null{}, newsOf(again)); w.Code != http.StatusNotModified || w.Header().Get("ETag") != tag(told) {
		t.Errorf("got %d, %v", w.Code, w.Header())
	}
}
