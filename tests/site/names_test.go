package site

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// oddNames are names that nothing may be made for.
var oddNames = []string{
	strings.Repeat("x", 4000), strings.Repeat("x", 65), strings.Repeat("a.", 32) + "x", "..", ".x", "-x", "a/b", "a/" + strings.Repeat("b/", 500),
	"x y", "x*y", ">", "*", "é", "%41", strings.Repeat("é", 2000), "\x00", "a\r\nPUB x 1\r\ny",
}

// TestOddNames: a stranger who asks for names that cannot be, over RTMP and over
// a WebSocket, leaves nothing in the store, which still works: one such
// request once ended it for good.
func TestOddNames(t *testing.T) {
	engine := runNATS(t, ownHost(), server.RANDOM_PORT)
	t.Cleanup(func() { stopNATS(engine) })
	external := []string{"--nats=" + engine.ClientURL(), "--lobby-secret=secretPassword6", "--node-secret=among nodes"}
	for name, flags := range map[string][]string{"embedded": nil, "NATS": external} {
		t.Run(name, func(t *testing.T) {
			r := startServer(t, flags...)
			for _, app := range []string{"lobby", "room"} {
				want := strings.ToUpper(app[:1]) + app[1:] + " name is not valid."
				for _, odd := range oddNames {
					if said := knockRTMP(t, r, app, odd); said != want {
						t.Errorf("RTMP, %s/%.20q: %q", app, odd, said)
					}
					if said := knockSocket(t, r, app, odd); said != want {
						t.Errorf("WebSocket, %s/%.20q: %q", app, odd, said)
					}
				}
			}
			if status, body := r.ask(t, "/readyz"); status != 200 {
				t.Errorf("/readyz: %d %s", status, body)
			}
			if flags != nil { // the embedded engine cannot be looked into from here
				if left := kept(t, engine); len(left) > 0 {
					t.Errorf("left in the store: %.100q", left)
				}
			}
			nc, err := client.Dial(t.Context(), "rtmp://"+r.addr["rtmp"]+"/room/blue", client.Options{}, amf.String("ann"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := nc.Call(t.Context(), "say", amf.String("hello")); err != nil {
				t.Errorf("say: %v", err)
			}
			nc.Close()
			if status := r.stop(); status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

// kept are the entries of claims and objects, but for the store's own.
func kept(t *testing.T, engine *server.Server) (entries []string) {
	t.Helper()
	nc, err := nats.Connect(engine.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range []string{"KV_CLAIMS", "KV_OBJECTS"} {
		s, err := js.Stream(t.Context(), bucket)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		for subject := range info.State.Subjects {
			if !strings.HasSuffix(subject, ".=swept") {
				entries = append(entries, subject)
			}
		}
	}
	return entries
}

// knockRTMP is how a name is refused over RTMP, where it is as sent.
func knockRTMP(t *testing.T, r *running, app, name string) (said string) {
	t.Helper()
	nc, err := client.Dial(t.Context(), (&url.URL{Scheme: "rtmp", Host: r.addr["rtmp"], Path: "/" + app + "/" + name}).String(), client.Options{})
	if err == nil {
		nc.Close()
		return "welcome"
	}
	s, _ := errors.AsType[*rtmp.StatusError](err)
	if s == nil {
		return err.Error()
	}
	return s.Description
}

// knockSocket is how it is refused over a WebSocket, where it is encoded.
func knockSocket(t *testing.T, r *running, app, name string) (said string) {
	t.Helper()
	u := url.URL{Scheme: "ws", Host: r.addr["http"], Path: "/ws/" + app + "/" + name, RawPath: "/ws/" + app + "/" + url.PathEscape(name)}
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), u.String(), nil)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	var frame struct{ Info struct{ Description string } }
	if err := conn.ReadJSON(&frame); err != nil {
		return err.Error()
	}
	return frame.Info.Description
}
