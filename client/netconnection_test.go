package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

func TestConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		nc, err := s.dial(t, client.Options{}, amf.String("ann"), amf.Null{})
		if err != nil {
			t.Fatal(err)
		}
		if nc.Err() != nil {
			t.Errorf("err is %v", nc.Err())
		}
		if err := nc.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := nc.Close(); err != nil {
			t.Errorf("close again: %v", err)
		}
		<-nc.Done()
		if err := s.left(t); !errors.Is(err, rtmp.ErrGoodbye) {
			t.Errorf("the server heard no goodbye but %v", err)
		}
		r := s.seen[0]
		if r.App != "room/blue" || r.FlashVer != client.DefaultAgent || r.TCURL != "rtmp://test/room/blue" {
			t.Errorf("the server saw %+v", r)
		}
		if name, _ := amf.AsString(r.Args.At(0)); len(r.Args) != 2 || name != "ann" {
			t.Errorf("user arguments %v", r.Args)
		}
	})
}

func TestAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		nc := s.connect(t, client.Options{Agent: "bot/2", ObjectEncoding: 3})
		nc.Close()
		s.left(t)
		if r := s.seen[0]; r.FlashVer != "bot/2" || r.ObjectEncoding != 3 {
			t.Errorf("the server saw %+v", r)
		}
	})
}

func TestRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		_, err := s.dial(t, client.Options{}, amf.String("Room"), amf.String("wrong"))
		info, ok := errors.AsType[*rtmp.StatusError](err)
		if !ok || info.Code != rtmp.CodeConnectRejected || info.Description != "Invalid room connection attempt." {
			t.Errorf("got %v", err)
		}
		s.wg.Wait()
	})
}

// A server may send the connection to another one, but not in circles.
func TestRedirected(t *testing.T) {
	s := newServer()
	nc, err := s.dial(t, client.Options{}, amf.String("ann"), amf.Null{}, amf.String("rtmp://other/chapter4/room/blue?x=1"))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	s.wg.Wait()
	if r := s.seen[0]; len(s.seen) != 1 || r.App != "chapter4/room/blue?x=1" || r.TCURL != "rtmp://other/chapter4/room/blue?x=1" {
		t.Errorf("came to %q, %q", r.App, r.TCURL)
	}
	for _, to := range []string{"farther", "nonsense://x/y", "://"} {
		if _, err := s.dial(t, client.Options{}, amf.String("ann"), amf.Null{}, amf.String(to)); err == nil {
			t.Errorf("redirected to %q: connected", to)
		}
	}
	s.wg.Wait()
}

// A connection that was led to another server comes back to where it began.
func TestRedirectedReconnects(t *testing.T) {
	for tcURL, want := range map[string]string{"": "rtmp://test/room/blue", "/room/red": "rtmp://other/room/red"} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer()
			told := make(chan client.Reconnect, 1)
			nc, err := s.dial(t, client.Options{OnReconnect: func(r client.Reconnect) { told <- r }}, amf.Null{}, amf.Null{}, amf.String("rtmp://other/room/blue"))
			if err != nil {
				t.Fatal(err)
			}
			info := rtmp.StatusError{Level: rtmp.LevelStatus, Code: rtmp.CodeReconnectRequest}
			if tcURL != "" {
				info.Extra = []amf.Field{{Name: "tcUrl", Value: amf.String(tcURL)}}
			}
			s.peers[0].session.Send(rtmp.Pack(rtmp.StatusMessage(0, &info)))
			if got := (<-told).URI; got != want {
				t.Errorf("%q leads to %s, want %s", tcURL, got, want)
			}
			nc.Close()
			s.wg.Wait()
		})
	}
}

func TestBadAddress(t *testing.T) {
	for _, uri := range []string{"", "rtmp:/room", "http://host/room", "room/blue", "rtmpt://host/room"} {
		_, err := client.Dial(t.Context(), uri, client.Options{})
		if _, ok := errors.AsType[*rtmp.AddressError](err); !ok {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

// ctx bounds the time for connecting, and nothing else.
func TestDialContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errOwn) })
		cnc, snc := net.Pipe()
		go io.Copy(io.Discard, snc)
		dial := func(context.Context, string, string) (net.Conn, error) { return cnc, nil }
		_, err := client.Dial(ctx, "rtmp://test/room", client.Options{Dial: dial})
		if !errors.Is(err, errOwn) {
			t.Errorf("a server that says nothing: %v", err)
		}
		snc.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer()
		cnc, snc := rtmptest.Pipe()
		s.wg.Go(func() { s.serve(snc) })
		dial := func(context.Context, string, string) (net.Conn, error) { return cnc, nil }
		nc, err := client.Dial(ctx, "rtmp://test/room", client.Options{Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Hour) // pings included
		if v, err := nc.Call(t.Context(), "echo", amf.Number(1)); err != nil || v != amf.Number(1) {
			t.Errorf("an hour later: %v, %v", v, err)
		}
		nc.Close()
		s.wg.Wait()
	})
}

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		nc := s.connect(t, client.Options{})
		if v, err := nc.Call(t.Context(), "echo", amf.String("hi")); err != nil || v != amf.String("hi") {
			t.Errorf("echo: %v, %v", v, err)
		}
		_, err := nc.Call(t.Context(), "refuse")
		if info, ok := errors.AsType[*rtmp.StatusError](err); !ok || info.Description != "Not allowed." {
			t.Errorf("refuse: %v", err)
		}
		_, err = nc.Call(t.Context(), "none")
		if info, ok := errors.AsType[*rtmp.StatusError](err); !ok || info.Description != "Method not found (none)." {
			t.Errorf("none: %v", err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errOwn)
		defer cancel()
		if _, err = nc.Call(ctx, "never"); !errors.Is(err, errOwn) {
			t.Errorf("never: %v", err)
		}
		if err := nc.Notify("told"); err != nil {
			t.Error(err)
		}
		nc.Close()
		s.left(t)
		if want := []string{"echo", "refuse", "none", "never", "told"}; !slices.Equal(s.calls, want) {
			t.Errorf("the server was called %v, want %v", s.calls, want)
		}
		if _, err := nc.Call(t.Context(), "echo"); !errors.Is(err, rtmp.ErrClosed) {
			t.Errorf("call after close: %v", err)
		}
		if err := nc.Notify("echo"); !errors.Is(err, rtmp.ErrClosed) {
			t.Errorf("notify after close: %v", err)
		}
	})
}

func TestMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		var order []string
		note := func(args amf.Args) (amf.Value, error) {
			word, _ := amf.AsString(args.At(0))
			order = append(order, word)
			return amf.Number(len(order)), nil
		}
		nc := s.connect(t, client.Options{Methods: map[string]func(amf.Args) (amf.Value, error){
			"note":   note,
			"refuse": func(amf.Args) (amf.Value, error) { return nil, &rtmp.StatusError{Code: "X.Y", Description: "told"} },
			"fail":   func(amf.Args) (amf.Value, error) { return nil, errOwn },
		}})
		callBack := func(args ...amf.Value) amf.Value {
			t.Helper()
			v, err := nc.Call(t.Context(), "callBack", args...)
			if err != nil {
				t.Errorf("%v: %v", args, err)
			}
			return v
		}
		for i, word := range []string{"one", "two", "three"} {
			if v := callBack(amf.String("note"), amf.String(word)); v != amf.Number(i+1) {
				t.Errorf("%s: got %v", word, v)
			}
		}
		if got := strings.Join(order, " "); got != "one two three" {
			t.Errorf("called in the order %s", got)
		}
		for method, want := range map[string]amf.Value{
			"refuse":     amf.String("X.Y: told"),
			"fail":       amf.String(rtmp.CodeCallFailed),
			"none":       amf.String("NetConnection.Call.Failed: Method not found (none)."),
			"onBWDone":   amf.Null{},
			"onBWCheck":  amf.Null{},
			"_onbwdone":  amf.Null{},
			"_onbwcheck": amf.Null{},
		} {
			if got := callBack(amf.String(method)); got != want {
				t.Errorf("%s: got %v, want %v", method, got, want)
			}
		}
		nc.Close()
		s.left(t)
	})
}

// How a connection ends when the server ends it.
func TestServerEnds(t *testing.T) {
	for _, tt := range []struct {
		method, status string
		want           error
	}{
		{"bye", "", rtmp.ErrGoodbye},
		{"kick", rtmp.CodeConnectShutdown, rtmp.ErrGoodbye},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer()
			var status string
			nc := s.connect(t, client.Options{OnStatus: func(info *rtmp.StatusError) { status = info.Code }})
			if err := nc.Notify(tt.method); err != nil {
				t.Error(err)
			}
			<-nc.Done()
			if err := nc.Err(); !errors.Is(err, tt.want) || status != tt.status {
				t.Errorf("%s: ended with %v after status %q", tt.method, err, status)
			}
			if err := nc.Close(); err != nil {
				t.Errorf("%s: close: %v", tt.method, err)
			}
			s.wg.Wait()
		})
	}
}

// A broken shared object message ends the connection, with the reason.
func TestBadSharedObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		nc := s.connect(t, client.Options{})
		nc.Notify("garble")
		<-nc.Done()
		if err := nc.Close(); err == nil || !strings.Contains(err.Error(), "sharedobject: message is cut short") {
			t.Errorf("ended with %v", err)
		}
		s.wg.Wait()
	})
}

func TestReconnectRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		info rtmp.StatusError
		want client.Reconnect
	}{
		{"here", rtmp.StatusError{Description: "Back soon.", Application: amf.Object{{Name: "retryAfter", Value: amf.Number(1500)}}},
			client.Reconnect{URI: "rtmp://test/room/blue", RetryAfter: 1500 * time.Millisecond, Description: "Back soon."}},
		{"elsewhere", rtmp.StatusError{Extra: []amf.Field{{Name: "tcUrl", Value: amf.String("rtmp://other:1936/room/red")}}},
			client.Reconnect{URI: "rtmp://other:1936/room/red"}},
		{"a path", rtmp.StatusError{Extra: []amf.Field{{Name: "tcUrl", Value: amf.String("/room/red")}}},
			client.Reconnect{URI: "rtmp://test/room/red"}},
		{"a host", rtmp.StatusError{Extra: []amf.Field{{Name: "tcUrl", Value: amf.String("//other/room/red")}}},
			client.Reconnect{URI: "rtmp://other/room/red"}},
		{"nonsense", rtmp.StatusError{Extra: []amf.Field{{Name: "tcUrl", Value: amf.String("http://x/y")}}, Application: amf.String("x")},
			client.Reconnect{URI: "rtmp://test/room/blue"}},
		{"for ever", rtmp.StatusError{Application: amf.Object{{Name: "retryAfter", Value: amf.Number(1e300)}}},
			client.Reconnect{URI: "rtmp://test/room/blue", RetryAfter: client.MaxRetryAfter}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer()
			told := make(chan client.Reconnect, 1)
			nc := s.connect(t, client.Options{
				OnReconnect: func(r client.Reconnect) { told <- r },
				OnStatus:    func(info *rtmp.StatusError) { t.Errorf("%s: OnStatus hears %v, too", tt.name, info) },
			})
			synctest.Wait()
			if !s.seen[0].Reconnects() {
				t.Errorf("%s: the server was not told that we understand it", tt.name)
			}
			tt.info.Level, tt.info.Code = rtmp.LevelStatus, rtmp.CodeReconnectRequest
			s.peers[0].session.Send(rtmp.Pack(rtmp.StatusMessage(0, &tt.info)))
			if got := <-told; got != tt.want {
				t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
			}
			nc.Close()
			s.left(t)
		})
	}
}

// A program that does not act on requests does not claim to understand them.
func TestNoReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.connect(t, client.Options{}).Close()
		s.left(t)
		if s.seen[0].Reconnects() {
			t.Error("the server takes us for one that reconnects")
		}
	})
}

func TestFollowKeepsEncryption(t *testing.T) {
	for tcURL, want := range map[string]string{
		"rtmp://test/room/red": "rtmps://test/room/blue", "rtmps://other/room/red": "rtmps://other/room/red",
		"//other/room/red": "rtmps://other/room/red", "rtmps://other": "rtmps://test/room/blue", "": "rtmps://test/room/blue",
	} {
		if got := client.Follow("rtmps://test/room/blue", tcURL); got != want {
			t.Errorf("%q leads to %q, want %q", tcURL, got, want)
		}
	}
}
