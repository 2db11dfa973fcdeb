package sharedobject

import (
	"slices"

	"foyer/server/amf"
)

// Codes of the sync list.
const (
	SyncClear   = "clear"   // all slots are gone
	SyncChange  = "change"  // somebody else changed Slot, which was Old before
	SyncSuccess = "success" // our own request to change Slot was done; it was Old before
	SyncReject  = "reject"  // our own request to set Slot to Old was refused, or lost to another's
	SyncDelete  = "delete"  // Slot, which was Old, is gone
	SyncStatus  = "status"  // something was refused: Status says why
)

// A Sync is one entry of the list that Flash passes to onSync.
type Sync struct {
	Code, Slot string
	Old        amf.Value // nil when there is none
	Status     string    // of SyncStatus and a refused SyncReject: a Code constant
}

// maxPending bounds how many requests a Replica waits for, so that a server
// that answers none does not make it grow.
const maxPending = 4096

// A Replica is a shared object as its user sees it. Pass Apply what the owner
// sends, and Request what is sent to the owner. The zero value is an object of
// which nothing is known.
//
// Unlike in Flash, a slot changes when the owner has agreed, not before. So a
// replica is always what its object was at that version. A Status does not say
// which request it refuses; it is taken for the answer to the oldest request
// without one. That goes wrong only when a remove, clear or send of ours is
// refused (or could not be stored) after somebody else's request of the same
// kind was told. A Use from version 0 sets it right.
type Replica struct {
	Version uint32
	Slots   map[string]amf.Value // decoded

	pending []Event              // requests without an answer, oldest first
	tried   map[string]amf.Value // values that seem to have been refused; a Success may still prove otherwise
}

// Request notes an event that is being sent to the owner. Without that, a
// Success means nothing to the replica.
func (r *Replica) Request(e Event) {
	switch e.Type {
	case RequestChange:
		if isNull(e.Value) {
			e = Event{Type: RequestRemove, Slot: e.Slot}
			break
		}
		e.Value = decoded(e.Value)
		delete(r.tried, e.Slot)
	case RequestClear:
		e.Type = Clear
	}
	if len(r.pending) == maxPending {
		r.pending = r.pending[1:]
	}
	r.pending = append(r.pending, e)
}

// Apply changes the replica as m says. It returns the sync list: clear, change,
// success, delete and reject as in Flash, and status.
func (r *Replica) Apply(m *Message) []Sync {
	if r.Slots == nil {
		r.Slots = make(map[string]amf.Value)
	}
	r.Version = m.Version
	var list []Sync
	for _, e := range m.Events {
		if s := r.apply(e); s.Code != "" {
			list = append(list, s)
		}
	}
	return list
}

func (r *Replica) apply(e Event) Sync {
	switch e.Type {
	case UseSuccess:
		r.answered(Use, "")
	case SendMessage:
		r.answered(SendMessage, e.Method)
	case Clear:
		r.answered(Clear, "")
		clear(r.Slots)
		return Sync{Code: SyncClear}
	case Change:
		return r.change(e)
	case Success:
		return r.success(e.Slot)
	case Remove:
		r.answered(RequestRemove, e.Slot)
		old := r.Slots[e.Slot]
		delete(r.Slots, e.Slot)
		return Sync{Code: SyncDelete, Slot: e.Slot, Old: old}
	case Status:
		return r.status(e.Code)
	}
	return Sync{}
}

// change: the owner's value wins over a value that we asked for and the owner
// has not agreed to. If the owner does agree (here the last writer wins),
// Success brings our value.
func (r *Replica) change(e Event) Sync {
	s := Sync{Code: SyncChange, Slot: e.Slot, Old: r.Slots[e.Slot]}
	for _, p := range r.pending {
		if p.Type == RequestChange && p.Slot == e.Slot {
			s.Code, s.Old = SyncReject, p.Value
			break
		}
	}
	r.Slots[e.Slot] = decoded(e.Value)
	return s
}

// success: requests are answered in order, so the oldest one for the slot is
// meant. When a Status was taken for its answer, it is in tried.
func (r *Replica) success(slot string) Sync {
	s := Sync{Code: SyncSuccess, Slot: slot, Old: r.Slots[slot]}
	i := slices.IndexFunc(r.pending, func(p Event) bool { return p.Type == RequestChange && p.Slot == slot })
	if i >= 0 {
		r.Slots[slot] = r.pending[i].Value
		r.pending = slices.Delete(r.pending, i, i+1)
	} else if v, ok := r.tried[slot]; ok {
		r.Slots[slot] = v
	}
	delete(r.tried, slot)
	return s
}

// status: the oldest request was refused.
func (r *Replica) status(code string) Sync {
	if len(r.pending) == 0 {
		return Sync{Code: SyncStatus, Status: code}
	}
	p := r.pending[0]
	r.pending = r.pending[1:]
	r.refused(p)
	if p.Type == RequestChange {
		return Sync{Code: SyncReject, Slot: p.Slot, Old: p.Value, Status: code}
	}
	return Sync{Code: SyncStatus, Slot: p.Slot, Status: code}
}

func (r *Replica) refused(p Event) {
	if p.Type != RequestChange || len(r.tried) >= maxPending {
		return
	}
	if r.tried == nil {
		r.tried = make(map[string]amf.Value)
	}
	r.tried[p.Slot] = p.Value
}

// answered takes the oldest request off the list, if it is of that kind; name
// is its slot or handler. The answer to a remove, a clear or a send of our own
// cannot be told from another user's: the first one counts.
func (r *Replica) answered(t EventType, name string) {
	if len(r.pending) == 0 {
		return
	}
	if p := r.pending[0]; p.Type == t && p.Slot+p.Method == name {
		r.pending = r.pending[1:]
	}
}
