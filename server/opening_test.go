package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// come connects from an address to a path of the application "app".
func come(t *testing.T, h *Host, addr, path string) (*Client, *rtmp.StatusError) {
	t.Helper()
	c, err := h.Connect(t.Context(), new(fakePeer), Request{Path: path, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 1)})
	s, told := errors.AsType[*rtmp.StatusError](err)
	if err != nil && !told {
		t.Fatalf("%s from %s: %v", path, addr, err)
	}
	return c, s
}

// wantRefused checks the words of a refusal, that a program can read it, and
// that it was counted.
func wantRefused(t *testing.T, h *Host, got *rtmp.StatusError, limit, reason string, retry bool) {
	t.Helper()
	if got == nil || got.Code != rtmp.CodeConnectRejected || got.Description != reason {
		t.Fatalf("told %v, want %q", got, reason)
	}
	said, _ := amf.AsString(amf.Lookup(got.Application, "reason"))
	if after, _ := amf.AsNumber(amf.Lookup(got.Application, "retryAfter")); said != reason || (after > 0) != retry {
		t.Errorf("application: %v", got.Application)
	}
	if h.guard().Refused()[limit] == 0 {
		t.Errorf("counted %v", h.guard().Refused())
	}
}

func TestRoomsOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		h.Guard, h.Always = new(guard.Guard), []string{"app/Always"}
		h.Guard.Set(guard.Limits{AddressRooms: 2, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		first, _ := come(t, h, "192.0.2.1", "app/one")
		come(t, h, "192.0.2.1", "app/ONE")
		come(t, h, "192.0.2.1", "app/two")
		come(t, h, "192.0.2.2", "app/three")
		_, no := come(t, h, "192.0.2.1", "app/four")
		wantRefused(t, h, no, "address-rooms", "You have opened too many rooms.", true)
		for addr, path := range map[string]string{"192.0.2.1": "app/three", "192.0.2.2": "app/four", "127.0.0.1": "app/five"} {
			if _, no := come(t, h, addr, path); no != nil {
				t.Errorf("%s from %s: %v", path, addr, no)
			}
		}
		if _, no := come(t, h, "192.0.2.1", "app/ALWAYS"); no != nil {
			t.Errorf("one that is always there: %v", no)
		}
		if _, no = come(t, h, "192.0.2.1", "app/six"); no == nil {
			t.Error("one that is always there has given a room back")
		}
		// The second client of "one" is still there: it has not ended.
		first.Leave(nil)
		time.Sleep(time.Hour)
		if _, no = come(t, h, "192.0.2.1", "app/six"); no == nil {
			t.Error("a room that runs is not counted any more")
		}
		stopHost(h)
		if n := h.Guard.Known(); n != 0 {
			t.Errorf("after the end %d addresses have rooms", n)
		}
	})
}

// TestRoomIsGivenBack: when the room has ended, and when it was started only to
// refuse somebody.
func TestRoomIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{connect: func(c *Client, _ amf.Args) error {
			if c.Instance().ShortName() == "no" {
				return Reject("No.")
			}
			return nil
		}}))
		h.Guard = new(guard.Guard)
		h.Guard.Set(guard.Limits{AddressRooms: 1})
		for range 3 {
			if _, no := come(t, h, "192.0.2.1", "app/no"); no == nil || no.Description != "No." {
				t.Errorf("told %v", no)
			}
			synctest.Wait()
		}
		c, _ := come(t, h, "192.0.2.1", "app/one")
		c.Leave(nil)
		_, no := come(t, h, "192.0.2.1", "app/two")
		wantRefused(t, h, no, "address-rooms", "You have opened too many rooms.", true)
		time.Sleep(DefaultIdle)
		synctest.Wait()
		if _, no := come(t, h, "192.0.2.1", "app/two"); no != nil {
			t.Errorf("after it has ended: %v", no)
		}
		stopHost(h)
	})
}

// TestMaxRooms: however many instances strangers have, there is a place for the
// lobby and for the rooms of the settings.
func TestMaxRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, func() Application { return new(testApp) })
		h.MaxInstances, h.Always = 3, []string{"app/_definst_"}
		var all []*Client
		for i := range 3 {
			c, _ := come(t, h, "192.0.2.1", fmt.Sprintf("app/r%d", i))
			all = append(all, c)
		}
		_, no := come(t, h, "192.0.2.2", "app/more")
		wantRefused(t, h, no, "max-rooms", "Too many rooms are open on this server.", true)
		if _, no := come(t, h, "192.0.2.2", "app"); no != nil {
			t.Errorf("the lobby: %v", no)
		}
		if err := h.Start("app/mine"); err != nil {
			t.Errorf("a room of the settings: %v", err)
		}
		all[0].Leave(nil)
		time.Sleep(DefaultIdle)
		synctest.Wait()
		if _, no := come(t, h, "192.0.2.2", "app/more"); no != nil {
			t.Errorf("after one has ended: %v", no)
		}
		stopHost(h)
		if h.counted != 0 {
			t.Errorf("%d are counted after the end", h.counted)
		}
	})
}

func TestOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		h.Always = []string{"app/_definst_"}
		var asked []string
		h.Opens = func(_ context.Context, instance string, r *Request) bool {
			asked = append(asked, instance)
			return instance == "app/known"
		}
		_, no := come(t, h, "192.0.2.1", "app/New")
		wantRefused(t, h, no, "open-rooms", "There is no room of this name.", false)
		for _, path := range []string{"app", "app/Known", "app/known"} {
			if _, no := come(t, h, "192.0.2.1", path); no != nil {
				t.Errorf("%s: %v", path, no)
			}
		}
		if len(asked) != 2 || asked[0] != "app/new" || asked[1] != "app/known" {
			t.Errorf("asked about %q", asked)
		}
		stopHost(h)
	})
}

// TestOpenElsewhere: a client that joins rooms of other nodes has opened none.
func TestOpenElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		b := s.hosts["b"]
		b.Guard, b.Opens = new(guard.Guard), func(context.Context, string, *Request) bool { return false }
		b.Guard.Set(guard.Limits{AddressRooms: 1, AddressConnections: 100})
		for i := range 3 {
			path := fmt.Sprintf("app/r%d", i)
			goodbye(mustDial(t, &s.net, "rtmp://a/"+path, amf.String("one"))) // runs for 30 s
			mustDial(t, &s.net, "rtmp://b/"+path, amf.String("two"))
		}
		_, err := dial(t, &s.net, "rtmp://b/app/new", amf.String("two"))
		no, _ := errors.AsType[*rtmp.StatusError](err)
		wantRefused(t, b, no, "open-rooms", "There is no room of this name.", false)
	})
}

// TestServeLimits: an address with too many connections is told so in answer to
// connect, and beyond twice as many nothing is read.
func TestServeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n network
		h := newHost(t, same(new(testApp)))
		h.Guard = new(guard.Guard)
		h.Guard.Set(guard.Limits{AddressConnections: 2})
		stop := serve(t, &n, "here", h)
		first, second := mustDial(t, &n, "rtmp://here/app/x"), mustDial(t, &n, "rtmp://here/app/x")
		_, err := dial(t, &n, "rtmp://here/app/x")
		no, _ := errors.AsType[*rtmp.StatusError](err)
		wantRefused(t, h, no, "address-connections", "Too many connections from your address.", true)
		synctest.Wait() // the refused one has gone
		for range 2 {   // those that say nothing are there as well
			if _, err := n.Dial(t.Context(), "tcp", "here:1935"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		nc, err := n.Dial(t.Context(), "tcp", "here:1935")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := nc.Read(make([]byte, 1)); err == nil || time.Since(began) > 0 {
			t.Errorf("beyond twice the limit: %v after %v", err, time.Since(began))
		}
		goodbye(first, second)
		time.Sleep(time.Minute) // the silent ones are gone
		goodbye(mustDial(t, &n, "rtmp://here/app/x"))
		stop()
	})
}

// TestNodesAreNotCounted: the clients of another node come from one address.
func TestNodesAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "a", "b")
		defer s.close()
		a := s.hosts["a"]
		a.Guard = new(guard.Guard)
		a.Guard.Set(guard.Limits{AddressConnections: 3, AddressRate: 5})
		owner := mustDial(t, &s.net, "rtmp://a/app/x", amf.String("owner"))
		var all []*caller
		for i := range 20 {
			all = append(all, mustDial(t, &s.net, "rtmp://b/app/x", amf.String(fmt.Sprint(i))))
		}
		if _, err := dial(t, &s.net, "rtmp://a/app/x"); err == nil {
			t.Error("a stranger beside them is not counted")
		}
		if n := a.Guard.Refused()["address-rate"]; n != 1 {
			t.Errorf("%d were refused", n)
		}
		goodbye(append(all, owner)...)
	})
}

// voucherPeer notes whether it belongs to this site.
type voucherPeer struct {
	fakePeer
	vouched bool
}

func (p *voucherPeer) Vouch() { p.vouched = true }

func TestClientVouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(&testApp{connect: func(c *Client, _ amf.Args) error { c.Vouch(); return nil }}))
		p := new(voucherPeer)
		if _, err := h.Connect(t.Context(), p, Request{Path: "app"}); err != nil || !p.vouched {
			t.Errorf("vouched %v, %v", p.vouched, err)
		}
		join(t, h) // a peer of which nothing is counted
		stopHost(h)
	})
}
