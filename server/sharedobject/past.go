package sharedobject

import "slices"

// MaxTombstones is how many removed slots an object remembers for subscribers
// that come back. Beyond that, older versions fall out of the resync window.
const MaxTombstones = 1024

// past is the resync window: the removed slots, without which the difference
// between an old version and the present one cannot be told.
type past struct {
	since  uint32      // the oldest version whose difference to the present one is known
	stones []tombstone // oldest first; none for a slot that exists again
}

type tombstone struct {
	slot    string
	version uint32 // in which the slot was removed
}

func (p *past) removed(slot string, version uint32) {
	if len(p.stones) == MaxTombstones {
		p.since = p.stones[0].version
		p.stones = slices.Delete(p.stones, 0, 1)
	}
	p.stones = append(p.stones, tombstone{slot, version})
}

func (p *past) recreated(slot string) {
	p.stones = slices.DeleteFunc(p.stones, func(t tombstone) bool { return t.slot == slot })
}

// maxCached is how many snapshots are kept until something changes.
const maxCached = 8

// A snapshot brings a new subscriber up to date. Until something changes, all
// subscribers that come with the same version share it.
type snapshot struct {
	since  uint32 // 0: the snapshot is everything
	events []Event
}

// snapshot returns what a subscriber lacks that has seen the version since: the
// difference if since is in the resync window, otherwise everything.
func (o *Object[S]) snapshot(since uint32) *snapshot {
	// Versions wrap, so their distances are compared.
	if since == 0 || o.version-since > o.version-o.past.since {
		since = 0
	}
	if snap := o.cached[since]; snap != nil {
		return snap
	}
	snap := &snapshot{since: since, events: []Event{{Type: UseSuccess}}}
	if since == 0 {
		snap.events = append(slices.Grow(snap.events, 1+len(o.order)), Event{Type: Clear})
	}
	for _, s := range o.order {
		if since == 0 || o.newer(s.version, since) {
			snap.events = append(snap.events, Event{Type: Change, Slot: s.name, Value: s.value})
		}
	}
	for _, t := range o.past.stones {
		if since != 0 && o.newer(t.version, since) {
			snap.events = append(snap.events, Event{Type: Remove, Slot: t.slot})
		}
	}
	if len(o.cached) >= maxCached {
		clear(o.cached)
	}
	o.cached[since] = snap
	return snap
}

func (o *Object[S]) newer(version, than uint32) bool {
	return o.version-version < o.version-than
}
