package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// dialAs connects to a node as another node would. change may alter what it
// says.
func (s *site) dialAs(node, kind string, change func(*rtmp.ConnectRequest, *introduction) amf.Field) (amf.Object, error) {
	v := introduction{to: node, kind: kind, addr: "203.0.113.7:1", protocol: "ws"}
	r := &rtmp.ConnectRequest{Sign: func(r *rtmp.ConnectRequest) amf.Field {
		if change == nil {
			return v.sign(siteSecret, r)
		}
		return change(r, &v)
	}}
	c, info, err := rtmp.Dial(s.t.Context(), "rtmp://"+node+"/app/x", r, rtmp.DialOptions{Dial: s.net.Dial})
	if err != nil {
		return nil, err
	}
	c.Close(nil)
	c.Run(s.t.Context())
	return info, nil
}

// falsified puts a value into the member foyerProxy.
func falsified(f amf.Field, name, value string) amf.Field {
	o := f.Value.(amf.Object)
	for i := range o {
		if o[i].Name == name {
			o[i].Value = amf.String(value)
		}
	}
	return f
}

// TestNoProofNoNode: a peer that claims to be a node, and does not prove it on
// this very connection, is an ordinary visitor that has shown a wrong
// credential.
func TestNoProofNoNode(t *testing.T) {
	type change = func(*rtmp.ConnectRequest, *introduction) amf.Field
	altered := func(name, value string) change {
		return func(r *rtmp.ConnectRequest, v *introduction) amf.Field {
			return falsified(v.sign(siteSecret, r), name, value)
		}
	}
	var before amf.Field // the member of the connection before this one
	for _, c := range []struct {
		name   string
		own    string // the node's secret
		change change
	}{
		{"another secret", siteSecret, func(r *rtmp.ConnectRequest, v *introduction) amf.Field { return v.sign("another", r) }},
		{"no secret", siteSecret, func(r *rtmp.ConnectRequest, v *introduction) amf.Field { return v.sign("", r) }},
		{"no secret on both sides", "", func(r *rtmp.ConnectRequest, v *introduction) amf.Field { return v.sign("", r) }},
		{"the secret itself", siteSecret, func(*rtmp.ConnectRequest, *introduction) amf.Field {
			return amf.Field{Name: proxyField, Value: amf.Object{{Name: "secret", Value: amf.String(siteSecret)},
				{Name: "kind", Value: amf.String("client")}, {Name: "to", Value: amf.String("a")}}}
		}},
		{"no object", siteSecret, func(*rtmp.ConnectRequest, *introduction) amf.Field {
			return amf.Field{Name: proxyField, Value: amf.Bool(true)}
		}},
		{"of another connection", siteSecret, func(r *rtmp.ConnectRequest, v *introduction) (f amf.Field) {
			f, before = before, v.sign(siteSecret, r)
			if f.Name == "" {
				return falsified(before, "proof", "")
			}
			return f
		}},
		{"reflected", siteSecret, func(r *rtmp.ConnectRequest, v *introduction) amf.Field {
			return falsified(v.sign(siteSecret, r), "proof", v.proof(siteSecret, proofOfOwner, r.App, r.Nonces))
		}},
		{"for another path", siteSecret, func(r *rtmp.ConnectRequest, v *introduction) amf.Field {
			return falsified(v.sign(siteSecret, r), "proof", v.proof(siteSecret, proofOfCaller, "app/y", r.Nonces))
		}},
		{"for another node", siteSecret, func(r *rtmp.ConnectRequest, v *introduction) amf.Field { v.to = "b"; return v.sign(siteSecret, r) }},
		{"altered node", siteSecret, altered("to", "b")},
		{"altered kind", siteSecret, altered("kind", "pull")},
		{"altered address", siteSecret, altered("addr", "203.0.113.8:1")},
		{"altered protocol", siteSecret, altered("protocol", "rtmps")},
		{"unknown kind", siteSecret, func(r *rtmp.ConnectRequest, v *introduction) amf.Field {
			v.kind = "visitor"
			return v.sign(siteSecret, r)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, "a")
				defer s.close()
				s.hosts["a"].NodeSecret = c.own
				const kinds = 2
				for range kinds {
					info, err := s.dialAs("a", "client", c.change)
					if err != nil {
						t.Fatal(err)
					}
					if _, none := amf.Lookup(info, proxyField).(amf.Undefined); !none {
						t.Error("the answer has a proof")
					}
				}
				synctest.Wait()
				guests := s.apps["a"].guests
				for _, g := range guests {
					if g.protocol != "rtmp" || strings.HasPrefix(g.addr, "203") {
						t.Errorf("took it for %v", g)
					}
				}
				if len(guests) != kinds {
					t.Errorf("%d guests", len(guests))
				}
				if n := s.hosts["a"].guard().Refused()[guard.LimitCredentials]; n != kinds {
					t.Errorf("%d wrong credentials counted", n)
				}
			})
		})
	}
}

// TestNodeSaysNonsense: what a node says of its client is checked, although the
// node has proved itself.
func TestNodeSaysNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a")
		defer s.close()
		for i, c := range []struct {
			addr, protocol string
			good           bool
		}{
			{"203.0.113.7:1", "ws", true}, {"", "local", true}, {"[2001:db8::1]:7", "rtmps", true},
			{"203.0.113.7", "ws", false}, {"nobody", "ws", false}, {strings.Repeat("1", 1e4), "ws", false},
			{"203.0.113.7:1", "a\nb", false}, {"203.0.113.7:1", strings.Repeat("a", 17), false},
		} {
			_, err := s.dialAs("a", "client", func(r *rtmp.ConnectRequest, v *introduction) amf.Field {
				v.addr, v.protocol = c.addr, c.protocol
				return v.sign(siteSecret, r)
			})
			if good := err == nil; good != c.good {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

// TestStrangerWaitsNodeDoesNot: after five claims to be a node without a proof
// the answer waits, as after wrong passwords. A node at the same address is let
// in at once.
func TestStrangerWaitsNodeDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a")
		defer s.close()
		wrong := func(r *rtmp.ConnectRequest, v *introduction) amf.Field { return v.sign("wrong", r) }
		took := func(change func(*rtmp.ConnectRequest, *introduction) amf.Field) time.Duration {
			began := time.Now()
			if _, err := s.dialAs("a", "client", change); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		var waits []time.Duration
		for range 12 {
			waits = append(waits, took(wrong).Round(time.Millisecond))
		}
		ms := time.Millisecond
		want := []time.Duration{0, 0, 0, 0, 0, 250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 5000 * ms, 5000 * ms}
		if fmt.Sprint(waits) != fmt.Sprint(want) {
			t.Errorf("answers after %v, want %v", waits, want)
		}
		if d := took(nil); d > 0 {
			t.Errorf("a node waits %v", d)
		}
		if d := s.hosts["a"].guard().Wait(s.apps["a"].ip("rtmp")); d != guard.MaxWait {
			t.Errorf("a password would wait %v", d)
		}
	})
}

// ip is the address that a guest came from, by that protocol.
func (a *edgeApp) ip(protocol string) (ip netip.Addr) {
	for _, g := range a.guests {
		if g.protocol == protocol {
			addr, _ := netip.ParseAddrPort(g.addr)
			ip = addr.Addr()
		}
	}
	return ip
}

// TestListenerLearnsNothing: a listener that hears everything that nodes say,
// and says it again to either of them, is taken for neither. It does not hear
// the secret.
func TestListenerLearnsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		heard := new(recording)
		s.hosts["b"].Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := s.dial(ctx, network, addr)
			return &overheard{c, heard.next()}, err
		}
		one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
		two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
		goodbye(one, two)
		synctest.Wait()
		guests := len(s.apps["a"].guests)
		if guests != 2 || len(heard.all) < 2 {
			t.Fatalf("%d guests, %d connections", guests, len(heard.all))
		}
		for _, said := range heard.all {
			if bytes.Contains(said.Bytes(), []byte(siteSecret)) {
				t.Error("the secret was sent")
			}
			c, err := s.net.Dial(t.Context(), "tcp", "a:1935")
			if err != nil {
				t.Fatal(err)
			}
			go c.Write(said.Bytes()) // ends with c
			answer := make([]byte, 1<<20)
			n, _ := io.ReadAtLeast(c, answer, 3073+1)
			synctest.Wait()
			if bytes.Contains(answer[:n], []byte(proxyField)) {
				t.Error("believed what was said before")
			}
			c.Close()
		}
		synctest.Wait()
		for _, g := range s.apps["a"].guests[guests:] {
			if g.protocol != "rtmp" {
				t.Errorf("took it for %v", g)
			}
		}
	})
}

// recording is everything that was said on each of several connections.
type recording struct {
	mu  sync.Mutex
	all []*bytes.Buffer
}

func (r *recording) next() *bytes.Buffer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, new(bytes.Buffer))
	return r.all[len(r.all)-1]
}

// overheard is a connection whose caller is listened to. Its writes do not overlap.
type overheard struct {
	net.Conn
	said *bytes.Buffer
}

func (o *overheard) Write(b []byte) (int, error) {
	o.said.Write(b)
	return o.Conn.Write(b)
}

// TestImpostor: a server that answers at the owner's address without being the
// owner gets nobody's connection, and its words reach nobody.
func TestImpostor(t *testing.T) {
	for name, change := range map[string]func(*Host){
		"no secret":      func(h *Host) { h.NodeSecret = "" },
		"another secret": func(h *Host) { h.NodeSecret = "another" },
		"another node":   func(h *Host) { h.Node = "c" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, "a", "b")
				defer s.close()
				one := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("one"))
				two := mustDial(t, &s.net, "rtmp://b/app/x", amf.String("two"))
				goodbye(two)
				synctest.Wait()
				change(s.hosts["a"])
				for _, name := range []string{"banned", "three"} {
					r := Request{Path: "app/x", Args: amf.Args{amf.String(name)}, Protocol: "ws"}
					if _, err := s.hosts["b"].Connect(t.Context(), new(fakePeer), r); !tellsToComeBack(err) {
						t.Errorf("%s: %v", name, err)
					}
				}
				goodbye(one)
			})
		})
	}
}

// tellsToComeBack reports whether a client was told that the owner does not answer.
func tellsToComeBack(err error) bool {
	info, ok := errors.AsType[*rtmp.StatusError](err)
	return ok && info.Code == rtmp.CodeConnectFailed && amf.Lookup(info.Application, "retryAfter") != nil
}
