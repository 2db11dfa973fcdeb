package room

import (
	"net/netip"
	"slices"
	"time"

	"foyer/room/nick"
	"foyer/server"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// doors are who may come in and who may talk, as moderators decided it person by
// person. As JSON they are part of the room's state.
type doors struct {
	Bans    sentences `json:"bans,omitempty"`
	Mutes   sentences `json:"mutes,omitempty"`
	Members members   `json:"insiders,omitempty"` // who left the locked room and may come back
}

// begin takes over the doors of the room that was here before.
func (d *doors) begin(stored doors, now time.Time) {
	*d = doors{Bans: stored.Bans.known(), Mutes: stored.Mutes.known(), Members: stored.Members}
	for i := range d.Members {
		if m := &d.Members[i]; m.Until.IsZero() { // they were in
			m.Until = now.Add(ReturnTime)
		}
	}
}

// drop forgets decisions whose time is over.
func (d *doors) drop(now time.Time) {
	d.Bans.drop(now)
	d.Mutes.drop(now)
	d.Members.drop(now)
}

// sentence is what moderators decided about somebody, for a time.
type sentence struct {
	Nick   string       `json:"nick"`          // as it was; of an older program, in capitals
	Addr   netip.Prefix `json:"addr,omitzero"` // not valid when it would meet others as well
	Until  time.Time    `json:"until"`
	Reason string       `json:"reason,omitempty"`
	look   nick.Look    // of Nick
}

// refuse tells somebody who is banned why, and until when.
func (s sentence) refuse(now time.Time) *rtmp.StatusError {
	until := "You are banned until " + s.Until.UTC().Format("2006-01-02 15:04:05 UTC")
	e := reject(withReason(until, s.Reason), s.Until.Sub(now))
	if s.Reason != "" {
		e.Application = server.Because(s.Reason, s.Until.Sub(now))
	}
	return e
}

// sentences is a list of them, bounded by MaxSentences.
type sentences []sentence

func (ss *sentences) add(s sentence, now time.Time) {
	ss.drop(now)
	if len(*ss) >= MaxSentences {
		first := slices.MinFunc(*ss, func(a, b sentence) int { return a.Until.Compare(b.Until) })
		ss.lift(first.look, first.Addr)
	}
	*ss = append(*ss, s)
}

// known are sentences that were read from what is kept.
func (ss sentences) known() sentences {
	for i := range ss {
		ss[i].look = nick.LookOf(ss[i].Nick)
	}
	return ss
}

// lift ends what was decided about a nick, by its look, or about somebody's
// address.
func (ss *sentences) lift(look nick.Look, addr netip.Prefix) {
	*ss = slices.DeleteFunc(*ss, func(s sentence) bool {
		return s.look.Same(look) || s.Addr.IsValid() && s.Addr == addr
	})
}

// drop forgets what is over.
func (ss *sentences) drop(now time.Time) {
	*ss = slices.DeleteFunc(*ss, func(s sentence) bool { return !s.Until.After(now) })
}

// find returns the sentence that meets a nick or an address.
func (ss *sentences) find(look nick.Look, ip netip.Addr, now time.Time) (sentence, bool) {
	ss.drop(now)
	for _, s := range *ss {
		if s.look.Same(look) || s.Addr.IsValid() && s.Addr.Contains(ip.Unmap().WithZone("")) {
			return s, true
		}
	}
	return sentence{}, false
}

// findNick reports whether a sentence meets the nick itself.
func (ss *sentences) findNick(look nick.Look, now time.Time) bool {
	_, ok := ss.find(look, netip.Addr{}, now)
	return ok
}

// personal returns the addresses that are most likely one person's whose address
// that is, if it is one (see server.Client.Person).
func personal(ip netip.Addr) netip.Prefix {
	if !ip.IsValid() || ip.IsMulticast() || ip.IsUnspecified() {
		return netip.Prefix{}
	}
	return guard.Source(ip)
}
