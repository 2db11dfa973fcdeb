package room_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// newKey replaces the key of blue, as an operator does, and returns the new one.
func newKey(t *testing.T, h *server.Host, kept *room.Memory) string {
	t.Helper()
	if _, err := h.CallOrStart(t.Context(), "room/blue", "newKey"); err != nil {
		t.Fatal(err)
	}
	k, err := kept.Open(t.Context(), "blue", nil)
	if err != nil {
		t.Fatal(err)
	}
	generation, err := room.KeyGeneration(k.State())
	if err != nil || generation == 0 {
		t.Fatalf("generation %d, %v", generation, err)
	}
	return keyOf("blue", generation)
}

// TestNewKey: the old key is void at once. Streams with it end, also those that are
// waited for, and it stays void when the room restarts.
func TestNewKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := new(room.Memory)
		cfg := graceful()
		cfg.Open = kept.Open
		s := newStudio(t, cfg)
		ann, viewer := join(t, s.host, "ann"), s.player()
		if got := moderate(t, s.host).refused("newKey").Description; got != "Not allowed." {
			t.Errorf("a moderator: %s", got)
		}
		encoder, lost := s.peer(), s.encoder()
		if got := obs(encoder, "live?key="+key+"-blue"); got.Code() != rtmp.CodePublishStart {
			t.Fatalf("got %s", got.Code())
		}
		lost.must("cam")
		lost.crash()
		viewer.take()
		ann.heard()

		second := newKey(t, s.host, kept)
		encoder.Expect("notice", 0) // cam is waited for
		encoder.Expect("notice", 0) // and no longer
		status := encoder.ExpectStatus(1, rtmp.CodePublishBadName)
		if got := why(status); !strings.HasPrefix(got, "error: The stream key was replaced") {
			t.Errorf("the encoder was told %s", got)
		}
		encoder.Expect("close", 0)
		if got := viewer.take(); got != "UnpublishNotify" {
			t.Errorf("the viewer got %s", got)
		}
		if got, want := ann.heard(), "notice({text:cam was ended: its stream key was replaced.}) notice({text:live was ended: its stream key was replaced.})"; got != want {
			t.Errorf("got %s", got)
		}
		check := func(name, stream, want string) {
			t.Helper()
			err := s.encoder().publish(stream)
			if status, ok := errors.AsType[*rtmp.StatusError](err); err == nil && want != "" || err != nil && (!ok || status.Description != want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		check("the old key", "live", "Wrong stream key for room blue.")
		check("the new one", "live?key="+second, "")
		third := newKey(t, s.host, kept)
		if third == second {
			t.Error("the same key again")
		}
		check("the second key", "live?key="+second, "Wrong stream key for room blue.")

		s.host.Stop(t.Context())
		s = newStudio(t, cfg)
		check("the first key, after a restart", "live", "Wrong stream key for room blue.")
		check("the second key, after a restart", "live?key="+second, "Wrong stream key for room blue.")
		check("the third key, after a restart", "live?key="+third, "")
	})
}

// TestRenewKeyOfState: the stored state of a room is changed without the room.
func TestRenewKeyOfState(t *testing.T) {
	for _, state := range []string{"", `{"chatEpoch":5,"users":7,"topic":"t","ofTomorrow":[1]}`, `{"chatEpoch":5,"users":7,"key":99999999999}`} {
		var before []byte
		if state != "" {
			before = []byte(state)
		}
		was, err := room.KeyGeneration(before)
		if err != nil {
			t.Fatal(err)
		}
		after, err := room.RenewKey(before)
		if err != nil {
			t.Fatal(err)
		}
		now, err := room.KeyGeneration(after)
		if err != nil || now <= was {
			t.Errorf("%s: from %d to %d, %v", state, was, now, err)
		}
		var all map[string]any
		json.Unmarshal(after, &all)
		if strings.Contains(state, "topic") && (all["topic"] != "t" || all["ofTomorrow"] == nil || all["users"] != 7.0) {
			t.Errorf("%s became %s", state, after)
		}
	}
	for _, state := range []string{"{", `{"format":1}`} {
		if _, err := room.RenewKey([]byte(state)); !errors.Is(err, room.ErrUnreadable) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

// TestReleasedStaysAway: an encoder comes back by itself at once, and is refused
// for a minute, whatever it calls its stream and whether the room restarts.
func TestReleasedStaysAway(t *testing.T) {
	const wait = "The broadcast was ended by a moderator: it may come back in 60 s."
	synctest.Test(t, func(t *testing.T) {
		kept := new(room.Memory)
		cfg := graceful()
		cfg.Open = kept.Open
		s := newStudio(t, cfg)
		try := func(name, addr, stream, want string) {
			t.Helper()
			s.from = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))
			d := s.encoder()
			err := d.publish(stream)
			if got, _ := errors.AsType[*rtmp.StatusError](err); err == nil && want != "" || err != nil && (got == nil || got.Description != want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
			if want != "" {
				if _, retryAfter := application(err); retryAfter != 60_000 {
					t.Errorf("%s: retryAfter %v", name, retryAfter)
				}
			}
			if err == nil {
				d.stop()
			}
			d.session.Close(nil)
		}
		mod := moderate(t, s.host)
		s.from = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1000"))
		s.encoder().must("live")
		lost := s.encoder()
		lost.must("cam")
		s.from = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[2001:db8::1]:1000"))
		lost = s.encoder()
		lost.must("six")
		lost.crash()
		mod.must("release", amf.String("six"))
		mod.must("release", amf.String("live"))
		try("at once", "192.0.2.1:1001", "live", wait)
		try("by another name", "192.0.2.1:1002", "live2", wait)
		try("from elsewhere", "192.0.2.2:1000", "live", "")
		try("of the same network", "[2001:db8::2]:1", "live", wait)
		try("of another network", "[2001:db8:0:1::2]:1", "live", "")
		try("with another key", "192.0.2.1:1003", "live?key="+newKey(t, s.host, kept), "")
	})
	synctest.Test(t, func(t *testing.T) {
		kept := new(room.Memory)
		cfg := config()
		cfg.Open = kept.Open
		s := newStudio(t, cfg)
		s.encoder().must("live")
		moderate(t, s.host).must("release", amf.String("live"))
		time.Sleep(room.ReleaseTime / 2)
		s.host.Stop(t.Context())
		s = newStudio(t, cfg)
		if err := s.encoder().publish("live"); err == nil || !strings.Contains(err.Error(), "in 30 s") && !strings.Contains(err.Error(), "in 31 s") {
			t.Errorf("after a restart: %v", err)
		}
		time.Sleep(room.ReleaseTime / 2)
		s.encoder().must("live")
	})
}

// TestStreamsOfAKey: four at a time, unless the room says more.
func TestStreamsOfAKey(t *testing.T) {
	for n, most := range map[int]int{0: room.DefaultStreams, 2: 2, 100: room.MaxStreams} {
		synctest.Test(t, func(t *testing.T) {
			cfg := graceful()
			cfg.Streams = n
			s := newStudio(t, cfg)
			s.host.Guard = new(guard.Guard)
			for i := range most {
				s.encoder().must(fmt.Sprint("s", i))
			}
			over := s.encoder().publish("more")
			if status, ok := errors.AsType[*rtmp.StatusError](over); !ok || status.Code != rtmp.CodePublishBadName || !strings.HasPrefix(status.Description, "Too many streams in this room") {
				t.Errorf("with %d streams, one more: %v", most, over)
			}
			if got := s.host.Guard.Refused()["streams"]; got != 1 {
				t.Errorf("counted %d", got)
			}
			s.encoder().must("s0") // takes over
		})
	}
}
