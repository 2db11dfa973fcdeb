package sharedobject

import "slices"

// hold is the extra state of an object that is stored: what is being stored,
// and how to go back when that fails.
type hold struct {
	on      bool
	version uint32  // of what is being stored
	mark    int     // in the log: the events before it are told once version is stored
	ownMark int     // in own: the same
	own     []Event // the owner's changes that are not stored, in order
	burnt   uint32  // a version that was not stored: no other state may have it
}

// Store makes an object tell subscribers only of changes that are stored.
// Instead of Flush alone, the owner then calls Hold when there is something to
// store, and Flush when that is done, or Rollback when it failed. Store must be
// called before anything changes.
func (o *Object[S]) Store() { o.hold = new(hold) }

// Changed reports whether there are changes that have not been held or flushed.
func (o *Object[S]) Changed() bool { return o.changed }

// Hold returns a snapshot to be stored. The next Flush tells what has happened
// up to now. Until then only the owner may change the object, and subscribers
// may leave but not come.
func (o *Object[S]) Hold() []byte {
	h := o.hold
	h.on, h.version, h.mark, h.ownMark = true, o.version, len(o.log), len(h.own)
	o.changed = false
	return o.Snapshot()
}

// Rollback takes back everything that has changed since snapshot, which is
// stored, was taken. Subscribers that asked for a change are answered with a
// Status of that code; the next Flush tells the rest at once. The owner's own
// changes are not lost: Redo makes them again.
func (o *Object[S]) Rollback(snapshot []byte, code string) error {
	h := o.hold
	h.burnt = max(h.burnt, o.version)
	h.on, o.changed = false, false
	h.own = latest(h.own)
	clear(o.slots)
	clear(o.cached)
	o.order, o.past, o.bytes = nil, past{}, 0
	if err := o.restore(snapshot); err != nil {
		return err
	}
	o.rewrite(code)
	return nil
}

// Redo makes the owner's changes again that Rollback took back.
func (o *Object[S]) Redo() {
	own := o.hold.own
	o.hold.own = nil
	for _, e := range own {
		switch e.Type {
		case Change:
			o.Set(e.Slot, e.Value)
		case Remove:
			o.Remove(e.Slot)
		case Clear:
			o.Clear()
		}
	}
}

// record keeps a change of the owner for Redo. Even a change that has no effect
// counts while others may be taken back.
func (o *Object[S]) record(e Event, changes bool) {
	if h := o.hold; h != nil && (changes || o.changed || h.on) {
		h.own = append(h.own, e)
	}
}

// latest drops the changes that later ones undo.
func latest(own []Event) []Event {
	var kept []Event
	seen := make(map[string]bool)
	for _, e := range slices.Backward(own) {
		if e.Type == Clear {
			kept = append(kept, e)
			break
		}
		if !seen[e.Slot] {
			seen[e.Slot] = true
			kept = append(kept, e)
		}
	}
	slices.Reverse(kept)
	return kept
}

// rewrite makes the log what it would be if no request had been granted.
func (o *Object[S]) rewrite(code string) {
	old := o.log
	o.log = nil
	at := make([]int, len(old)+1) // the index in the new log for each index in the old one
	for i := range old {
		at[i] = len(o.log)
		e := old[i]
		switch {
		case e.event.Type == SendMessage:
			o.log = append(o.log, e)
		case e.asker != nil:
			o.log = append(o.log, entry[S]{origin: e.asker, reply: []Event{refusal(code)}})
			e.asker.personal = true
		case e.start != nil:
			o.log = append(o.log, entry[S]{origin: e.origin, start: o.snapshot(0)})
		case e.origin != nil:
			o.log = append(o.log, e)
		}
	}
	at[len(old)] = len(o.log)
	for _, sub := range o.list {
		if sub.start != nil {
			sub.start, sub.from = o.snapshot(sub.since), at[sub.from]
		}
	}
}

// stored ends a hold whose snapshot is stored and told.
func (h *hold) stored() {
	h.on, h.burnt = false, 0
	h.own = slices.Delete(h.own, 0, h.ownMark)
}
