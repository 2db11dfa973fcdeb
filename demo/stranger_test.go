//go:build !(386 || arm || mips || mipsle)

package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/flv"
)

// Timestamps continue past 32 bits, on the wire and in the relay.
func TestBroadcastWraps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		_, stop := start(t, n)
		v := view(t, n, "rtmp://h/room/blue", "live")
		conn, err := n.dial(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := publish(t.Context(), conn, "rtmp://h/room/blue", "room/blue", "live?key=key-blue")
		if err != nil {
			t.Fatal(err)
		}
		l, err := Clip().play(time.UnixMilli(0), false)
		if err != nil {
			t.Fatal(err)
		}
		// The first frames are at 0, as in every session; then 49 days pass.
		var first int64 = math.MaxUint32 - 30_000
		for n := range 3000 {
			g, err := l.next()
			if err != nil {
				t.Fatal(err)
			}
			at := g.time
			if n > 100 {
				at += first
			}
			if err := p.send(g, at); err != nil {
				t.Fatal(err)
			}
			if n%50 == 0 {
				synctest.Wait() // a viewer that is too far behind would skip to a key frame
			}
		}
		p.close()
		synctest.Wait()
		video, audio := v.take()
		video, audio = frames(video)[60:], frames(audio)[60:]
		if a, b := steps(t, "video", video, 40, 40), steps(t, "audio", audio, 32, 32); a > 100_000 || b > 100_000 {
			t.Errorf("ended at %d and %d, not past 2^32", a, b)
		}
		v.leave()
		stop()
	})
}

// The bytes of a hostile or broken server end the connection, not the process.
func TestBroadcastHostileServer(t *testing.T) {
	const hello = 1 + 1536 + 1536
	for name, answer := range map[string]string{
		"an empty message":      "\x03\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00\x00",
		"garbage":               strings.Repeat("\xFF", 5000),
		"a shared object":       "\x03\x00\x00\x00\x00\x00\x01\x13\x00\x00\x00\x00\x00",
		"a bad answer":          "\x03\x00\x00\x00\x00\x00\x11\x14\x00\x00\x00\x00\x02\x00\x07_result\x00\x3f",
		"an array that claims":  "\x03\x00\x00\x00\x00\x00\x18\x14\x00\x00\x00\x00\x02\x00\x07_result\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x0a\xff\xff\xff\xff",
		"nothing and goes away": "",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				var server sync.WaitGroup
				defer server.Wait()
				server.Go(func() { io.Copy(io.Discard, there) }) // until either side closes
				server.Go(func() {
					defer there.Close()
					there.Write(append([]byte{3}, make([]byte, hello-1)...))
					there.Write([]byte(answer))
					time.Sleep(time.Second)
				})
				p, err := publish(t.Context(), here, "rtmp://h/x", "x", "live")
				if err == nil {
					p.close()
					t.Error("published")
				}
			})
		})
	}
}

func TestScriptMessage(t *testing.T) {
	meta := amf.Append(amf.Append(nil, amf.String("onMetaData")), amf.ECMAArray{
		{Name: "width", Value: amf.Number(640)}, {Name: "duration", Value: amf.Number(20)}, {Name: "stereo", Value: amf.Bool(false)},
		{Name: "keyframes", Value: amf.Object{{Name: "times", Value: amf.StrictArray{amf.Number(0)}}}}, {Name: "encoder", Value: amf.String("x")},
	})
	for _, tag := range [][]byte{meta, amf.Append(nil, amf.String("@setDataFrame"))} {
		if len(tag) < 20 {
			tag = append(tag, meta...)
		}
		m, err := scriptMessage(tag)
		if err != nil || m.Name != "@setDataFrame" {
			t.Fatal(m, err)
		}
		body, _ := io.ReadAll(m.Body)
		args, err := amf.NewDecoder(body).Rest()
		if err != nil || len(args) != 2 {
			t.Fatalf("%q: %v, %v", body, args, err)
		}
		if w, _ := amf.AsNumber(amf.Lookup(args[1], "width")); w != 640 || len(fields(args[1])) != 3 {
			t.Errorf("metadata: %v", args)
		}
	}
	if m, err := scriptMessage([]byte("\x02\x00\x02hi\x05")); err != nil || m.Name != "hi" {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := scriptMessage([]byte{5}); err == nil {
		t.Error("data without a name was accepted")
	}
}

// A web server at the port is told from an RTMP server.
func TestBroadcastWebPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Broadcast{URL: "rtmp://h:8080/room/blue", Stream: "live?key=k", dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				io.ReadFull(server, make([]byte, 1537))
				io.WriteString(server, "HTTP/1.1 400 Bad Request\r\n\r\n")
				server.Close()
			}()
			return client, nil
		}}
		if err := b.Run(t.Context()); !errors.Is(err, ErrHTTP) {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzFLV: whatever a file is, reading it ends, and playing it sends nothing
// that goes back in time or is empty.
func FuzzFLV(f *testing.F) {
	f.Add(flvFile(video(0, avcHeader), audio(0, aacHeader), video(0, avcKey), audio(5, aacFrame), video(40, avcInter), video(40, avcEnd)))
	f.Add(flvFile(tag{media: flv.Script, data: []byte(metadata)}, audio(0xFFFFFFFF, aacFrame), audio(3, aacFrame)))
	f.Add(flvFile(video(9000, "\x90hvc1x"), video(0, "\x91hvc1x"), video(90000, "\xA1hvc1x")))
	f.Add(clip[:2000])
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := NewSource(bytes.NewReader(file))
		if err != nil {
			return
		}
		l, err := s.play(time.Time{}, false)
		if err != nil {
			t.Fatal(err)
		}
		last := make(map[flv.Media]int64)
		for range 200 {
			g, err := l.next()
			if err != nil {
				return
			}
			if len(g.data) == 0 {
				t.Fatal("an empty tag")
			}
			switch {
			case g.media == flv.Script:
				scriptMessage(g.data)
			case g.role() != header && g.time < last[g.media]:
				t.Fatalf("%d after %d", g.time, last[g.media])
			case g.role() != header:
				last[g.media] = g.time
			}
		}
	})
}
