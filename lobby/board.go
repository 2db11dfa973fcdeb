package lobby

import (
	"maps"
	"slices"
	"time"

	"foyer/server"
	"foyer/server/sharedobject"
)

const (
	// PublishInterval is the shortest time between two changes of the shared object.
	PublishInterval = 500 * time.Millisecond
	// MaxShown is how many rooms the shared object holds: a shared object has no more
	// slots. With more rooms, those are pinned ones and the liveliest, chosen again
	// every ChooseInterval.
	MaxShown       = sharedobject.MaxSlots
	ChooseInterval = 5 * time.Second
)

// board is the shared object "rooms", and the changes that are not in it yet.
type board struct {
	object   *sharedobject.Object[*server.Client]
	dirty    map[string]bool   // rooms that have changed since
	slots    map[string]string // names of its slots, by rooms
	chosen   map[string]bool   // the rooms that it holds; nil: all
	chosenAt time.Time         // when they were last chosen
	timer    *time.Timer       // publishes dirty rooms; nil: that may be done at once
}

// touch notes that r changed. The first change is published at once; changes of the
// next PublishInterval follow together. The lobbies of other nodes are told at once:
// they publish by clocks of their own.
func (l *Lobby) touch(r *room) {
	l.board.dirty[r.key] = true
	l.share(r.key)
	if l.board.timer == nil {
		l.publish()
	}
}

// choose decides which rooms the shared object holds. Rooms that come in or go out
// become dirty.
func (l *Lobby) choose() {
	if len(l.listed)+len(l.nodes.rooms) <= MaxShown {
		if l.board.chosen != nil {
			l.board.chosen = nil
			for key := range l.all() {
				l.board.dirty[key] = true
			}
		}
		return
	}
	if l.board.chosen != nil && time.Since(l.board.chosenAt) < ChooseInterval {
		return
	}
	before := l.board.chosen
	l.board.chosen, l.board.chosenAt = make(map[string]bool, MaxShown), time.Now()
	found := l.find(query{sort: "activity"}, false)
	for _, r := range found[:min(len(found), MaxShown)] {
		l.board.chosen[r.key] = true
		if before != nil && !before[r.key] {
			l.board.dirty[r.key] = true
		}
	}
	if before == nil { // until now it held all
		for key := range l.all() {
			l.board.dirty[key] = l.board.dirty[key] || !l.board.chosen[key]
		}
	}
	for key := range before {
		if !l.board.chosen[key] {
			l.board.dirty[key] = true
		}
	}
}

// publish brings the shared object up to date, slot by slot.
func (l *Lobby) publish() {
	l.board.timer = nil
	if len(l.board.dirty) == 0 {
		return
	}
	l.choose()
	for _, key := range slices.Sorted(maps.Keys(l.board.dirty)) {
		r, slot := l.shown(key), l.board.slots[key]
		shows := r != nil && !r.status.Unlisted && (l.board.chosen == nil || l.board.chosen[key])
		if slot != "" && (!shows || r.name != slot) {
			l.board.object.Remove(slot)
			delete(l.board.slots, key)
		}
		if shows {
			l.board.object.Set(r.name, r.entry())
			l.board.slots[key] = r.name
		}
	}
	clear(l.board.dirty)
	l.board.timer = l.in.After(PublishInterval, l.publish)
}
