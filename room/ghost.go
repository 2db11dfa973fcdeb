package room

import (
	"crypto/sha256"
	"crypto/subtle"

	"foyer/server/amf"
)

// MinResume is the least length, in bytes, of what somebody is known again by.
// Less is nothing: it could be guessed.
const MinResume = 16

// A mark is what a program can prove later that it is the same one, whose lost
// connection still holds its nick. The room keeps no more than a hash. The
// zero mark is nobody's.
type mark [sha256.Size]byte

// markOf reads the argument resume of connect.
func markOf(v amf.Value) mark {
	s, _ := amf.AsString(v)
	if len(s) < MinResume {
		return mark{}
	}
	return sha256.Sum256([]byte(s))
}

// isOf reports whether p, who may be nil, has the mark.
func (m mark) isOf(p *person) bool {
	return p != nil && m != mark{} && subtle.ConstantTimeCompare(m[:], p.mark[:]) == 1
}

// replace lets p have the place of a ghost: for the others he was never away.
// What he may not do he may not do now either.
func (r *Room) replace(ghost, p *person) {
	p.id, p.since = ghost.id, ghost.since
	p.speech, p.renames, p.spoke, p.mutedUntil = ghost.speech, ghost.renames, ghost.spoke, ghost.mutedUntil
	r.expel(ghost, reject("You came in again on another connection.", 0))
}
