package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/demo"
	"foyer/internal/folder"
)

func TestPublishTarget(t *testing.T) {
	for _, c := range []struct {
		name             string
		cmd              publishCommand
		uri, stream, err string
	}{
		{"as OBS has it", publishCommand{URL: "rtmp://h/room/blue/live?key=k"}, "rtmp://h/room/blue", "live?key=k", ""},
		{"the room and a key", publishCommand{URL: "rtmp://h/room/blue", Key: "k"}, "rtmp://h/room/blue", "live?key=k", ""},
		{"a key that needs quoting", publishCommand{URL: "rtmp://h/room/blue/", Key: "a&b"}, "rtmp://h/room/blue", "live?key=a%26b", ""},
		{"the room, a stream and a key", publishCommand{URL: "rtmps://h:1/chapter4/room/blue", Stream: "cam", Key: "k"}, "rtmps://h:1/chapter4/room/blue", "cam?key=k", ""},
		{"the stream and a key", publishCommand{URL: "rtmp://h/room/blue/cam", Key: "k"}, "rtmp://h/room/blue", "cam?key=k", ""},
		{"the room with its key", publishCommand{URL: "rtmp://h/room/blue?key=k"}, "rtmp://h/room/blue", "live?key=k", ""},
		{"a room called room", publishCommand{URL: "rtmp://h/room/room/live?key=k"}, "rtmp://h/room/room", "live?key=k", ""},
		{"another server", publishCommand{URL: "rtmp://h/app/stream"}, "rtmp://h/app", "stream", ""},
		{"a room of this machine", publishCommand{URL: "blue", StreamSecret: "secret"}, "rtmp://localhost/room/blue", "live?key=" + folder.StreamKey("secret", "blue", 0), ""},
		{"the same with a key", publishCommand{URL: "blue", Key: "k", Stream: "cam"}, "rtmp://localhost/room/blue", "cam?key=k", ""},
		{"exchanged", publishCommand{URL: "film.flv", File: "rtmp://h/room/blue/live?key=k"}, "", "", "the address comes first, then the file: foyer publish rtmp://h/room/blue/live?key=k film.flv"},
		{"no key", publishCommand{URL: "rtmp://h/room/blue"}, "", "", "names a room, but no key"},
		{"no stream", publishCommand{URL: "rtmp://h/app"}, "", "", "names no stream"},
		{"no path", publishCommand{URL: "rtmp://h"}, "", "", "names no stream"},
		{"no scheme", publishCommand{URL: "h:1936/room/blue/live?key=k"}, "rtmp://h:1936/room/blue", "live?key=k", ""},
		{"quotation marks", publishCommand{URL: "'rtmp://h/room/blue/live?key=k' "}, "rtmp://h/room/blue", "live?key=k", ""},
		{"no RTMP", publishCommand{URL: "http://h:8080/room/blue"}, "", "", "by RTMP it is rtmp://h/room/blue, unless"},
		{"no host", publishCommand{URL: "rtmp:/room/blue"}, "", "", "too few slashes"},
		{"no port", publishCommand{URL: "rtmp://h:99999/room/blue/live?key=k"}, "", "", "there is no port 99999"},
		{"no name", publishCommand{URL: "two words"}, "", "", "is not an address"},
		{"no server was ever here", publishCommand{URL: "blue", Data: t.TempDir()}, "", "", "start 'foyer serve' once"},
	} {
		uri, stream, err := c.cmd.target(t.Context(), &program{})
		if c.err == "" && (uri != c.uri || stream != c.stream || err != nil) {
			t.Errorf("%s: got %s, %s, %v; want %s, %s", c.name, uri, stream, err, c.uri, c.stream)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.err)
		}
	}
}

func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		report := func(m *meter) {
			for i := range 10 {
				m.progress(demo.Progress{Live: true, Sent: time.Hour + time.Duration(i)*500*time.Millisecond, Bytes: int64(i) * 12_500})
				time.Sleep(500 * time.Millisecond)
			}
			m.progress(demo.Progress{Err: errors.New("gone")})
			m.progress(demo.Progress{Err: errors.New("gone")})
			m.progress(demo.Progress{Live: true})
			m.end()
		}
		report(&meter{w: &out})
		if want := "foyer: connection lost: gone; trying again\nfoyer: connected again\n"; out.String() != want {
			t.Errorf("piped: %q", out.String())
		}
		out.Reset()
		report(&meter{w: &out, terminal: true, what: "H.264"})
		if s := out.String(); !strings.Contains(s, "\r\x1b[Kon air 1:00:04  200 kbit/s  H.264") || !strings.Contains(s, "\nfoyer: connection lost: gone; trying again\n") || !strings.HasSuffix(s, "\n") {
			t.Errorf("on a terminal: %q", s)
		}
	})
}
