package store

import (
	"slices"
	"time"
)

// An entry says where a message of a room is.
type entry struct {
	id, seq uint64
	at      int64 // Unix ns
}

// An index says where the messages of a room are. Ids grow by one. A message
// that was removed leaves a gap, and the oldest messages are forgotten.
type index struct {
	entries   []entry // oldest first
	last      uint64  // newest id given
	forgotten uint64  // newest id that was dropped for its age or because there were too many
}

// add keeps e, whose id is the next one.
func (x *index) add(e entry) {
	x.last = e.id
	x.entries = append(x.entries, e)
}

// find returns the index of the message, or of the first one above its id.
func (x *index) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(x.entries, id, func(e entry, id uint64) int {
		switch {
		case e.id < id:
			return -1
		case e.id > id:
			return 1
		}
		return 0
	})
}

// remove takes a message out and reports whether it was there.
func (x *index) remove(id uint64) bool {
	i, found := x.find(id)
	if found {
		x.entries = slices.Delete(x.entries, i, i+1)
	}
	return found
}

// forget drops the messages up to id.
func (x *index) forget(id uint64) {
	i, _ := x.find(id + 1)
	x.entries = slices.Delete(x.entries, 0, i)
	x.forgotten = max(x.forgotten, id)
}

// trim drops messages beyond count, and those from before oldest. It reports
// whether it dropped any.
func (x *index) trim(count int, oldest time.Time) bool {
	i := max(0, len(x.entries)-count)
	for at := oldest.UnixNano(); i < len(x.entries) && x.entries[i].at < at; {
		i++
	}
	if i > 0 {
		x.forget(x.entries[i-1].id)
	}
	return i > 0
}

// front returns the id below the first message that is left.
func (x *index) front() uint64 {
	if len(x.entries) == 0 {
		return x.last
	}
	return x.entries[0].id - 1
}

// page returns the messages of a page, oldest first: the first ones above
// after, the last ones below before, or the first ones between both; -1 means
// no bound. complete is false when a message that belongs there was forgotten,
// and more is true when limit cut some off.
func (x *index) page(after, before int64, limit int) (found []entry, complete, more bool) {
	found = x.entries
	if before >= 0 {
		i, _ := x.find(uint64(before))
		found = found[:i]
	}
	if after >= 0 {
		i, _ := x.find(uint64(after) + 1)
		found = found[min(i, len(found)):]
		complete = uint64(after) >= x.forgotten || 0 <= before && before <= after+1
		more = len(found) > limit
		return slices.Clone(found[:min(len(found), limit)]), complete, more
	}
	more = len(found) > limit
	complete = more || x.forgotten == 0 || 0 <= before && before <= 1 // ids begin at 1
	return slices.Clone(found[max(0, len(found)-limit):]), complete, more
}
