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

// doors are the decisions of moderators about single people: bans, mutes, and those
// who may come back to a locked room. As JSON they are part of the room's state.
type doors struct {
	Bans    sentences `json:"bans,omitempty"`
	Mutes   sentences `json:"mutes,omitempty"`
	Members members   `json:"insiders,omitempty"` // of the locked room: those who left and may come back
}

// begin continues with the doors that were stored.
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

// sentence is a ban or a mute: a decision about somebody, for a time.
type sentence struct {
	Nick   string       `json:"nick"`          // as it was then; older programs wrote it in capitals
	Addr   netip.Prefix `json:"addr,omitzero"` // not valid if it would hit others as well
	Until  time.Time    `json:"until"`
	Reason string       `json:"reason,omitempty"`
	look   nick.Look    // of Nick
}

// refuse tells a banned person the reason, and when the ban ends.
func (s sentence) refuse(now time.Time) *rtmp.StatusError {
	until := "You are banned until " + s.Until.UTC().Format("2006-01-02 15:04:05 UTC")
	e := reject(withReason(until, s.Reason), s.Until.Sub(now))
	if s.Reason != "" {
		e.Application = server.Because(s.Reason, s.Until.Sub(now))
	}
	return e
}

// sentences is a list of at most MaxSentences.
type sentences []sentence

func (ss *sentences) add(s sentence, now time.Time) {
	ss.drop(now)
	if len(*ss) >= MaxSentences {
		first := slices.MinFunc(*ss, func(a, b sentence) int { return a.Until.Compare(b.Until) })
		ss.lift(first.look, first.Addr)
	}
	*ss = append(*ss, s)
}

// known completes sentences that were read from the store.
func (ss sentences) known() sentences {
	for i := range ss {
		ss[i].look = nick.LookOf(ss[i].Nick)
	}
	return ss
}

// lift ends the sentences on a nick that looks like this, and on an address.
func (ss *sentences) lift(look nick.Look, addr netip.Prefix) {
	*ss = slices.DeleteFunc(*ss, func(s sentence) bool {
		return s.look.Same(look) || s.Addr.IsValid() && s.Addr == addr
	})
}

// drop forgets sentences that are over.
func (ss *sentences) drop(now time.Time) {
	*ss = slices.DeleteFunc(*ss, func(s sentence) bool { return !s.Until.After(now) })
}

// find returns a sentence on a nick that looks like this, or on an address.
func (ss *sentences) find(look nick.Look, ip netip.Addr, now time.Time) (sentence, bool) {
	ss.drop(now)
	for _, s := range *ss {
		if s.look.Same(look) || s.Addr.IsValid() && s.Addr.Contains(ip.Unmap().WithZone("")) {
			return s, true
		}
	}
	return sentence{}, false
}

// findNick reports whether there is a sentence on a nick that looks like this.
func (ss *sentences) findNick(look nick.Look, now time.Time) bool {
	_, ok := ss.find(look, netip.Addr{}, now)
	return ok
}

// personal returns the block of addresses that most likely belongs to one person, or
// none if ip is no person's address (see server.Client.Person).
func personal(ip netip.Addr) netip.Prefix {
	if !ip.IsValid() || ip.IsMulticast() || ip.IsUnspecified() {
		return netip.Prefix{}
	}
	return guard.Source(ip)
}
