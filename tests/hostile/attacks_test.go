package hostile

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"foyer/client"
	"foyer/server/amf"
)

// stranger is the address that attacks.
const stranger = "127.0.6.6"

// An attack is run by a stranger until ctx ends, and checks what must hold
// then. It returns a figure for the log.
type attack struct {
	name string
	run  func(ctx context.Context, t *testing.T, s *site) string
}

// attacks are those that once hurt this program, each done by one address in
// some seconds, and others of their kinds.
var attacks = []attack{
	{"long names", longNames},
	{"odd names over RTMP", oddNames},
	{"a flood of messages", flood},
	{"a flood of nicks", nicks},
	{"many rooms", manyRooms},
	{"many lobbies", manyLobbies},
	{"unfinished messages", unfinished},
	{"unfinished frames", unfinishedFrames},
	{"persistent objects", objects},
	{"guesses of the token", guesses},
	{"guesses of a stream key", keyGuesses},
	{"connections", connections},
	{"silence", silence},
	{"rubbish", rubbish},
	{"readers who do not read", deaf},
	{"large answers", answers},
	{"requests for pages", pages},
}

// many runs f in n goroutines until ctx ends, and counts how often f returned nil.
func many(ctx context.Context, n int, f func(ctx context.Context, i int) error) (done uint64) {
	var wg sync.WaitGroup
	var count atomic.Uint64
	for i := range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				if f(ctx, i) == nil {
					count.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return count.Load()
}

// socket opens a WebSocket and connects.
func (s *site) socket(ctx context.Context, path string, args ...any) (*websocket.Conn, error) {
	d := websocket.Dialer{NetDialContext: dialer(stranger).DialContext, HandshakeTimeout: 10 * time.Second}
	c, _, err := d.DialContext(ctx, "ws://"+s.http+"/ws/"+path, nil)
	if err != nil {
		return nil, err
	}
	if args == nil {
		args = []any{}
	}
	if err := c.WriteJSON(map[string]any{"type": "connect", "args": args}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// longNames asks for instances whose names cannot be keys of a store.
func longNames(ctx context.Context, t *testing.T, s *site) string {
	names := []string{strings.Repeat("x", 4000), strings.Repeat("%2e", 1000), "%00", "a%2Fb", "%ff%fe", "*", ">", "a.b*", "..", "."}
	n := many(ctx, 4, func(ctx context.Context, i int) error {
		for _, app := range []string{"lobby/", "room/"} {
			for _, name := range names {
				if c, err := s.socket(ctx, app+name); err == nil {
					c.SetReadDeadline(time.Now().Add(5 * time.Second))
					c.ReadMessage()
					c.Close()
				}
			}
		}
		return nil
	})
	return fmt.Sprintf("%d rounds of %d names", n, 2*len(names))
}

// oddNames does the same over RTMP, with random names.
func oddNames(ctx context.Context, t *testing.T, s *site) string {
	n := many(ctx, 4, func(ctx context.Context, i int) error {
		b := make([]byte, 1+i*700)
		rand.Read(b)
		nc, err := s.connect(ctx, stranger, []string{"lobby/", "room/"}[i%2]+strings.ToValidUTF8(string(b), "*"), client.Options{})
		if err != nil {
			return nil
		}
		nc.Close()
		return errors.New("it was let in")
	})
	return fmt.Sprintf("%d connects", n)
}

// flood says something in a room as often as it can, from 20 connections, and
// again from new ones.
func flood(ctx context.Context, t *testing.T, s *site) string {
	var stored atomic.Int64
	began := time.Now()
	many(ctx, 20, func(ctx context.Context, i int) error {
		nc, err := s.connect(ctx, stranger, "room/flooded", client.Options{}, amf.String(fmt.Sprintf("n%d-%d", i, time.Now().UnixNano())))
		if err != nil {
			return err
		}
		defer nc.Close()
		for range 20 {
			if _, err := nc.Call(ctx, "say", amf.String("buy this")); err == nil {
				stored.Add(1)
			}
		}
		return nil
	})
	if most := int64(5+time.Since(began).Seconds()) + 2; stored.Load() > most {
		t.Errorf("%d messages were stored, want at most %d", stored.Load(), most)
	}
	return fmt.Sprintf("%d messages stored", stored.Load())
}

// nicks comes in and leaves again, each time with another nick.
func nicks(ctx context.Context, t *testing.T, s *site) string {
	n := many(ctx, 8, func(ctx context.Context, i int) error {
		nc, err := s.connect(ctx, stranger, "room/calm0", client.Options{}, amf.String(fmt.Sprintf("troll %d %d", i, time.Now().UnixNano())))
		if err == nil {
			nc.Close()
		}
		return err
	})
	return fmt.Sprintf("%d came in", n)
}

// manyRooms opens rooms.
func manyRooms(ctx context.Context, t *testing.T, s *site) string {
	var opened atomic.Int64
	var hold sync.Map
	many(ctx, 8, func(ctx context.Context, i int) error {
		nc, err := s.connect(ctx, stranger, fmt.Sprintf("room/r%d-%d", i, opened.Add(1)), client.Options{}, amf.String("ann"))
		if err != nil {
			opened.Add(-1)
			return err
		}
		hold.Store(nc, true)
		return nil
	})
	hold.Range(func(k, _ any) bool { k.(io.Closer).Close(); return true })
	if n := opened.Load(); n > 5 {
		t.Errorf("%d rooms were opened, want at most 5", n)
	}
	return fmt.Sprintf("%d rooms opened", opened.Load())
}

// manyLobbies starts lobbies, with visitors that stay.
func manyLobbies(ctx context.Context, t *testing.T, s *site) string {
	var opened atomic.Int64
	var hold sync.Map
	many(ctx, 8, func(ctx context.Context, i int) error {
		nc, err := s.connect(ctx, stranger, fmt.Sprintf("lobby/l%d-%d", i, time.Now().UnixNano()), client.Options{})
		if err != nil {
			return err
		}
		opened.Add(1)
		hold.Store(nc, true)
		return nil
	})
	hold.Range(func(k, _ any) bool { k.(io.Closer).Close(); return true })
	nc, err := s.connect(t.Context(), "127.0.8.2", "lobby", client.Options{})
	if err != nil {
		t.Errorf("the lobby is shut: %v", err)
	} else {
		nc.Close()
	}
	return fmt.Sprintf("%d lobbies", opened.Load())
}

// tapped returns options that give away the transport of a connection.
func tapped(conn *net.Conn) client.Options {
	return client.Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer(stranger).DialContext(ctx, network, addr)
		*conn = c
		return c, err
	}}
}

// chunk is the beginning of a message on a chunk stream, with a header that
// promises length bytes (RTMP 1.0 §5.3.1.2.1).
func chunk(stream byte, typ byte, length int, payload []byte) []byte {
	b := []byte{stream, 0, 0, 0, byte(length >> 16), byte(length >> 8), byte(length), typ, 1, 0, 0, 0}
	return append(b, payload...)
}

// unfinished connects spectators that each begin 40 messages of 1 MB and send a
// tenth of each.
func unfinished(ctx context.Context, t *testing.T, s *site) string {
	var sent, peak atomic.Int64
	go func() {
		for ctx.Err() == nil {
			peak.Store(max(peak.Load(), int64(s.memory())))
			time.Sleep(50 * time.Millisecond)
		}
	}()
	many(ctx, 80, func(ctx context.Context, i int) error {
		var raw net.Conn
		nc, err := s.connect(ctx, stranger, "room/dripped", tapped(&raw))
		if err != nil {
			return pause(ctx)
		}
		defer nc.Close()
		raw.SetWriteDeadline(time.Now().Add(5 * time.Second))
		const part = 100 << 10
		if _, err := raw.Write(binary.BigEndian.AppendUint32([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0}, part)); err != nil {
			return err
		}
		for j := range 40 {
			n, err := raw.Write(chunk(byte(4+j), 9, 1<<20, make([]byte, part)))
			sent.Add(int64(n))
			if err != nil {
				return pause(ctx)
			}
		}
		<-ctx.Done()
		return nil
	})
	return fmt.Sprintf("%d MB sent, peak %d MB", sent.Load()>>20, peak.Load()>>20)
}

// pause waits a moment, since the stranger shares the machine.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
	return errors.New("refused")
}

// unfinishedFrames does the same with WebSocket frames that never end.
func unfinishedFrames(ctx context.Context, t *testing.T, s *site) string {
	n := many(ctx, 80, func(ctx context.Context, i int) error {
		c, err := s.socket(ctx, "room/dripped")
		if err != nil {
			return pause(ctx)
		}
		defer c.Close()
		head := []byte{0x81, 0xff, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 1, 2, 3, 4} // text, 256 KiB less a byte, masked
		c.NetConn().SetWriteDeadline(time.Now().Add(5 * time.Second))
		c.NetConn().Write(append(head, bytes.Repeat([]byte{' '}, 250<<10)...))
		<-ctx.Done()
		return nil
	})
	return fmt.Sprintf("%d frames", n)
}

// objects fills persistent shared objects.
func objects(ctx context.Context, t *testing.T, s *site) string {
	began := time.Now()
	var changes atomic.Int64
	many(ctx, 8, func(ctx context.Context, i int) error {
		nc, err := s.connect(ctx, stranger, "room/heavy", client.Options{}, amf.String(fmt.Sprintf("heavy %d", i)))
		if err != nil {
			return pause(ctx)
		}
		defer nc.Close()
		so, err := nc.SharedObject(fmt.Sprintf("public/o%d", i), true, nil)
		if err != nil {
			return err
		}
		value := amf.String(strings.Repeat("x", 16000))
		for j := 0; ctx.Err() == nil; j++ {
			if so.Set(fmt.Sprintf("s%d", j%1000), value) != nil {
				return nil
			}
			changes.Add(1)
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	most := int64(8*512<<10) + int64(8*64<<10*time.Since(began).Seconds()) + 4<<20
	if stored := s.disk("store"); stored > most+20<<20 {
		t.Errorf("%d MB are stored", stored>>20)
	}
	return fmt.Sprintf("%d changes asked for, the store has %d KB", changes.Load(), s.disk("store")>>10)
}

// guesses tries tokens over HTTP.
func guesses(ctx context.Context, t *testing.T, s *site) string {
	client := web(stranger)
	var tried, told atomic.Int64
	many(ctx, 8, func(ctx context.Context, i int) error {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+"/api/v1/rooms/calm0/key", nil)
		req.Header.Set("Authorization", fmt.Sprintf("Bearer guess-%d-%d", i, tried.Add(1)))
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			told.Add(1)
		case http.StatusTooManyRequests:
			if resp.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		case http.StatusOK:
			t.Error("a guess was right")
		}
		return nil
	})
	if told.Load() > 20 {
		t.Errorf("%d guesses were answered, want a handful", told.Load())
	}
	return fmt.Sprintf("%d guesses, %d of them answered", tried.Load(), told.Load())
}

// keyGuesses tries stream keys.
func keyGuesses(ctx context.Context, t *testing.T, s *site) string {
	n := many(ctx, 8, func(ctx context.Context, i int) error {
		c, err := s.socket(ctx, "lobby", "admin", fmt.Sprintf("guess-%d", time.Now().UnixNano()))
		if err != nil {
			return pause(ctx)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(6 * time.Second))
		_, _, err = c.ReadMessage()
		return err
	})
	if most := uint64(8*5 + 40); n > most {
		t.Errorf("%d guesses were answered, want at most %d", n, most)
	}
	return fmt.Sprintf("%d guesses answered", n)
}

// connections opens connections to both ports and ends them.
func connections(ctx context.Context, t *testing.T, s *site) string {
	n := many(ctx, 16, func(ctx context.Context, i int) error {
		c, err := dialer(stranger).DialContext(ctx, "tcp", []string{s.rtmp, s.http}[i%2])
		if err != nil {
			return err
		}
		return c.Close()
	})
	return fmt.Sprintf("%d connections", n)
}

// silence opens connections and sends nothing, or a byte now and then.
func silence(ctx context.Context, t *testing.T, s *site) string {
	var open sync.Map
	var n, held atomic.Int64
	many(ctx, 4, func(ctx context.Context, i int) error {
		c, err := dialer(stranger).DialContext(ctx, "tcp", []string{s.rtmp, s.http}[i%2])
		if err != nil || n.Load() > 3000 {
			return pause(ctx)
		}
		n.Add(1)
		c.Write([]byte("G"))
		open.Store(c, true)
		return nil
	})
	open.Range(func(k, _ any) bool {
		c := k.(net.Conn)
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, context.DeadlineExceeded) || err != nil && strings.Contains(err.Error(), "timeout") {
			held.Add(1)
		}
		c.Close()
		return true
	})
	if held.Load() > 500 {
		t.Errorf("%d connections of one address are held", held.Load())
	}
	return fmt.Sprintf("%d opened, %d held", n.Load(), held.Load())
}

// rubbish sends random bytes to both ports, some after a valid beginning.
func rubbish(ctx context.Context, t *testing.T, s *site) string {
	n := many(ctx, 8, func(ctx context.Context, i int) error {
		c, err := dialer(stranger).DialContext(ctx, "tcp", []string{s.rtmp, s.http}[i%2])
		if err != nil {
			return pause(ctx)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Second))
		beginnings := []string{"", "\x03", "\x06", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\x11",
			"GET / HTTP/1.1\r\nHost: x\r\nX-", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST /api/v1/announce HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"}
		b := make([]byte, 8<<10)
		rand.Read(b)
		c.Write(append([]byte(beginnings[int(b[0])%len(beginnings)]), b...))
		io.Copy(io.Discard, io.LimitReader(c, 1<<16))
		return nil
	})
	return fmt.Sprintf("%d connections", n)
}

// deaf asks for much, and reads nothing.
func deaf(ctx context.Context, t *testing.T, s *site) string {
	n := many(ctx, 90, func(ctx context.Context, i int) error {
		c, err := s.socket(ctx, "room/calm0")
		if err != nil {
			return pause(ctx)
		}
		defer c.Close()
		for ctx.Err() == nil {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			if c.WriteJSON(map[string]any{"type": "call", "id": 1, "method": "history", "args": []any{map[string]any{"limit": 200}}}) != nil {
				return nil
			}
		}
		return nil
	})
	return fmt.Sprintf("%d sockets", n)
}

// answers makes short requests with long answers.
func answers(ctx context.Context, t *testing.T, s *site) string {
	var got, calls atomic.Int64
	cpu := s.processor()
	began := time.Now()
	many(ctx, 8, func(ctx context.Context, i int) error {
		nc, err := s.connect(ctx, stranger, "room/calm0", client.Options{})
		if err != nil {
			return pause(ctx)
		}
		defer nc.Close()
		for ctx.Err() == nil {
			v, err := nc.Call(ctx, "history", amf.Object{{Name: "limit", Value: amf.Number(200)}})
			if err != nil {
				return err
			}
			got.Add(int64(len(amf.Append(nil, v))))
			calls.Add(1)
		}
		return nil
	})
	return fmt.Sprintf("%d calls, %d MB of answers, %.0f %% of a core", calls.Load(), got.Load()>>20,
		100*(s.processor()-cpu)/time.Since(began).Seconds())
}

// pages asks for pages and lists as fast as it can.
func pages(ctx context.Context, t *testing.T, s *site) string {
	client := web(stranger)
	var bytes atomic.Int64
	n := many(ctx, 16, func(ctx context.Context, i int) error {
		path := []string{"/", "/room/calm0", "/api/v1/rooms", "/room/nobody", "/live/calm0/live.m3u8", "/metrics"}[i%6]
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+path, nil)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		k, _ := io.Copy(io.Discard, resp.Body)
		bytes.Add(k)
		return resp.Body.Close()
	})
	return fmt.Sprintf("%d answers, %d MB", n, bytes.Load()>>20)
}
