package server

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in *Instance
		h := newHost(t, same(&testApp{
			start: func(i *Instance) error { in = i; return nil },
			methods: map[string]Method{
				"ok":   func(_ *Client, args amf.Args) (amf.Value, error) { return args[0], nil },
				"no":   func(*Client, amf.Args) (amf.Value, error) { return nil, Fail("Not allowed.") },
				"leak": func(*Client, amf.Args) (amf.Value, error) { return nil, errors.New("secret") },
				"late": func(*Client, amf.Args) (amf.Value, error) {
					answer := in.Later()
					go func() { answer(amf.String("late"), nil); answer(amf.String("twice"), nil) }()
					return nil, ErrPending
				},
				"wrong": func(*Client, amf.Args) (amf.Value, error) { return nil, ErrPending },
				"play":  func(*Client, amf.Args) (amf.Value, error) { return amf.Null{}, nil },
			},
		}))
		c, _ := join(t, h)
		for _, tt := range []struct {
			method, value, err string
		}{
			{"ok", "hi", ""},
			{"no", "", "Not allowed."},
			{"leak", "", "Call failed."},
			{"late", "late", ""},
			{"wrong", "", "Call failed."},
			{"nix", "", "Method not found (nix)."},
			{"play", "", "Method not found (play)."}, // reserved
			{"FCUnknown", "", "Method not found (FCUnknown)."},
		} {
			type answer struct {
				v   amf.Value
				err error
			}
			got := make(chan answer, 2)
			c.ServeCall(tt.method, amf.Args{amf.String("hi")}, func(v amf.Value, err error) { got <- answer{v, err} })
			c.ServeCall(tt.method, amf.Args{amf.String("hi")}, nil) // never answered
			a := <-got
			synctest.Wait()
			if tt.err == "" {
				if a.err != nil || a.v != amf.Value(amf.String(tt.value)) {
					t.Errorf("%s: got %v, %v", tt.method, a.v, a.err)
				}
			} else if s, ok := errors.AsType[*rtmp.StatusError](a.err); !ok || s.Description != tt.err || s.Code != rtmp.CodeCallFailed {
				t.Errorf("%s: got %v, want %s", tt.method, a.err, tt.err)
			}
			if len(got) != 0 {
				t.Errorf("%s: answered twice", tt.method)
			}
		}
		if c.calls.used != 0 {
			t.Errorf("%d calls still in flight", c.calls.used)
		}
		if n := h.Stats().Calls; n != 16 {
			t.Errorf("%d calls counted", n)
		}
		stopHost(h)
	})
}

// TestMaxCalls: the reader of a client with MaxCalls in flight waits.
func TestMaxCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answers []func(amf.Value, error)
		var in *Instance
		h := newHost(t, same(&testApp{
			start: func(i *Instance) error { in = i; return nil },
			methods: map[string]Method{"slow": func(*Client, amf.Args) (amf.Value, error) {
				answers = append(answers, in.Later())
				return nil, ErrPending
			}},
		}))
		c, _ := join(t, h)
		sent := 0
		go func() {
			for range MaxCalls + 2 {
				c.ServeCall("slow", nil, func(amf.Value, error) {})
				sent++
			}
			c.Leave(nil)
		}()
		synctest.Wait()
		if sent != MaxCalls {
			t.Errorf("%d calls in flight, want %d", sent, MaxCalls)
		}
		answers[0](nil, nil)
		synctest.Wait()
		if sent != MaxCalls+1 {
			t.Errorf("%d calls after an answer", sent)
		}
		stopHost(h) // lets the reader go
		synctest.Wait()
		if sent != MaxCalls+2 {
			t.Errorf("%d calls after the instance stopped", sent)
		}
	})
}

func TestCallsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := 0
		h := newHost(t, same(&testApp{methods: map[string]Method{
			"n": func(_ *Client, args amf.Args) (amf.Value, error) {
				if args[0] != amf.Value(amf.Number(next)) {
					return nil, fmt.Errorf("got %v, want %d", args[0], next)
				}
				next++
				return nil, nil
			},
		}}))
		c, _ := join(t, h)
		for i := range 1000 {
			c.ServeCall("n", amf.Args{amf.Number(i)}, func(_ amf.Value, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if next != 1000 {
			t.Errorf("%d calls", next)
		}
		stopHost(h)
	})
}

func TestHostCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{methods: map[string]Method{
			"who": func(c *Client, _ amf.Args) (amf.Value, error) {
				c.Push(&Push{Method: "nobody listens"})
				c.Close(nil)
				return amf.Bool(c.Local()), nil
			},
		}}))
		for _, path := range []string{"app/x", "nix"} {
			if _, err := h.Call(t.Context(), path, "who"); !errors.Is(err, ErrNotRunning) {
				t.Errorf("got %v", err)
			}
		}
		c, _ := join(t, h)
		if c.Local() {
			t.Error("a peer is local")
		}
		if v, err := h.Call(t.Context(), "/app/x/", "who"); err != nil || v != amf.Value(amf.Bool(true)) {
			t.Errorf("got %v, %v", v, err)
		}
		stopHost(h)
	})
}

// TestClientCall: the result comes back to the instance goroutine.
func TestClientCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		c, p := join(t, h)
		var got amf.Value
		c.Instance().Post(func() {
			c.Call("name", func(v amf.Value, err error) { got = v })
			c.Call("hint", nil, amf.Number(1))
		})
		synctest.Wait()
		if got != amf.Value(amf.String("did name")) || len(p.pushed) != 1 {
			t.Errorf("got %v, %d pushed", got, len(p.pushed))
		}
		stopHost(h)
	})
}

func TestPushIsEncodedOnce(t *testing.T) {
	p := &Push{Method: "m"}
	times := 0
	encode := func(*Push) []byte { times++; return []byte{byte(times)} }
	a, b, c := p.Bytes(AMF0, encode), p.Bytes(AMF0, encode), p.Bytes(JSON, encode)
	if a != b || times != 2 || c.Bytes()[0] != 2 {
		t.Errorf("encoded %d times for two forms", times)
	}
}
