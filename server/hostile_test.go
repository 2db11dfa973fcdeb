package server

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// chatApp passes on messages.
type chatApp struct{ testApp }

func newChatApp() *chatApp {
	a := new(chatApp)
	a.methods = map[string]Method{
		"say": func(_ *Client, args amf.Args) (amf.Value, error) {
			a.in.BroadcastMsg("message", args.At(0))
			return amf.Null{}, nil
		},
	}
	a.connect = func(c *Client, args amf.Args) error {
		if args.At(0) == amf.Value(amf.String("hang")) {
			return ErrPending
		}
		return nil
	}
	return a
}

func (a *chatApp) CanRead(*Client, string, bool) bool    { return true }
func (a *chatApp) CanWrite(*Client, string, string) bool { return true }

// command is the bytes of a call.
func command(method string, tx float64, args ...amf.Value) []byte {
	var p []byte
	for _, v := range append([]amf.Value{amf.String(method), amf.Number(tx), amf.Null{}}, args...) {
		p = amf.Append(p, v)
	}
	return rtmp.Pack(rtmp.Message{Type: rtmp.TypeCommandAMF0, Payload: p})
}

// hostile are the ways in which one client can misbehave. Each gets a
// connection on which connect was accepted, and writes until it is thrown out
// or has done its worst. end says that it must have been thrown out.
var hostile = map[string]struct {
	end bool
	do  func(nc net.Conn)
}{
	"flood of calls, reads nothing": {true, func(nc net.Conn) {
		for i := range 200000 {
			if _, err := nc.Write(command("say", float64(i+2), amf.String("spam spam spam spam"))); err != nil {
				return
			}
		}
	}},
	"flood of unknown methods": {false, func(nc net.Conn) {
		go drainConn(nc)
		for range 5000 {
			if _, err := nc.Write(command("nix", 0)); err != nil {
				return
			}
		}
	}},
	"garbage": {true, func(nc net.Conn) {
		nc.Write([]byte("\x00GET / HTTP/1.1\r\nHost: here\r\n\r\n" + fmt.Sprint(make([]byte, 4096))))
		drainConn(nc)
	}},
	"message that claims 16 MiB": {true, func(nc net.Conn) {
		nc.Write([]byte{3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0, 2})
		drainConn(nc)
	}},
	"nesting": {true, func(nc net.Conn) {
		v := amf.Value(amf.Null{})
		for range 1000 {
			v = amf.StrictArray{v}
		}
		nc.Write(command("say", 2, v))
		drainConn(nc)
	}},
	"broken shared object message": {true, func(nc net.Conn) {
		nc.Write(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: []byte{0, 99, 'x'}}))
		drainConn(nc)
	}},
	"thousands of shared objects": {false, func(nc net.Conn) {
		go drainConn(nc)
		for i := range 3000 {
			m := use(fmt.Sprint("public/", i), i%2 == 0)
			if _, err := nc.Write(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: m.Append(nil, false)})); err != nil {
				return
			}
		}
	}},
	"flood of shared object writes": {false, func(nc net.Conn) {
		go drainConn(nc)
		m := &sharedobject.Message{Name: "public/x", Events: []sharedobject.Event{{Type: sharedobject.Use}}}
		value := amf.String(strings.Repeat("y", 15000))
		for range 200 {
			if _, err := nc.Write(rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: m.Append(nil, false)})); err != nil {
				return
			}
			m.Events = []sharedobject.Event{{Type: sharedobject.RequestChange, Slot: "k", Value: value}}
		}
	}},
	"silence": {true, func(nc net.Conn) {
		time.Sleep(time.Minute)
		drainConn(nc)
	}},
}

func drainConn(nc net.Conn) {
	buf := make([]byte, 4096)
	for {
		if _, err := nc.Read(buf); err != nil {
			return
		}
	}
}

// TestHostileClient: whatever one client does, the two next to it talk, and
// nothing of it is left.
func TestHostileClient(t *testing.T) {
	for name, enemy := range hostile {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n network
				h := newHost(t, func() Application { return newChatApp() })
				h.Log = nil // thousands of lines
				stop := serve(t, &n, "here", h)
				ann, bob := mustDial(t, &n, "rtmp://here/app/x"), mustDial(t, &n, "rtmp://here/app/x")

				nc, err := n.Dial(t.Context(), "tcp", "here")
				if err != nil {
					t.Fatal(err)
				}
				conn, err := rtmp.NewClientConn(t.Context(), nc, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := rtmp.Connect(t.Context(), conn, &rtmp.ConnectRequest{App: "app/x"}); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				wg.Go(func() { enemy.do(nc) })
				for i := range 20 {
					c := []*caller{ann, bob}[i%2]
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					if _, err := c.Call(ctx, "say", amf.Number(i)); err != nil {
						t.Errorf("say %d: %v", i, err)
					}
					cancel()
					time.Sleep(5 * time.Second)
				}
				if enemy.end {
					if k := h.Stats().Clients["app"]["rtmp"]; k != 2 {
						t.Errorf("%d clients, want the healthy two", k)
					}
				}
				nc.Close()
				wg.Wait()
				synctest.Wait()
				for who, c := range map[string]*caller{"ann": ann, "bob": bob} {
					if k := len(c.calls()); k < 20 || c.Err() != nil {
						t.Errorf("%s heard %d messages, ended by %v", who, k, c.Err())
					}
				}
				for _, in := range h.instances {
					in.Post(func() {
						if len(in.clients) != 2 || in.objects.created != 0 {
							t.Errorf("left behind: %d clients, %d objects", len(in.clients), in.objects.created)
						}
					})
				}
				synctest.Wait()
				stop()
			})
		})
	}
}

// TestHostileBeforeConnect: nothing that is sent before connect makes a client.
func TestHostileBeforeConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h := newHost(t, func() Application { return newChatApp() })
		stop := serve(t, &n, "here", h)
		for _, first := range []string{"GET / HTTP/1.1\r\n\r\n", "\x06", "\x03", ""} {
			nc, err := n.Dial(t.Context(), "tcp", "here")
			if err != nil {
				t.Fatal(err)
			}
			nc.Write([]byte(first))
			start := time.Now()
			drainConn(nc)
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("%q was let go after %v", first, d)
			}
			nc.Close()
		}
		if s := h.Stats(); s.Accepted["app"]+s.Rejected["app"] != 0 || s.Instances["app"] != 0 {
			t.Errorf("stats %+v", s)
		}
		stop()
	})
}
