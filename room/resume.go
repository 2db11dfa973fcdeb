package room

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"foyer/server/amf"
	"foyer/server/guard"
)

// MinResume is the shortest text, in bytes, that a returning program is known by.
// A shorter one counts as none: it could be guessed.
const MinResume = 16

// A proof shows that a program is the one whose lost connection still holds its
// nick. The room keeps only a hash of the text that the program gives. The zero
// proof is nobody's.
type proof [sha256.Size]byte

// proofOf reads the argument resume of connect.
func proofOf(v amf.Value) proof {
	s, _ := amf.AsString(v)
	if len(s) < MinResume {
		return proof{}
	}
	return sha256.Sum256([]byte(s))
}

// isOf reports whether p, which may be nil, has this proof.
func (m proof) isOf(p *person) bool {
	return p != nil && m != proof{} && guard.Same(string(m[:]), string(p.proof[:]))
}

// replace gives p the place of an old connection of the same person: to the others
// they were never away, and what they were not allowed to do is still not allowed.
func (r *Room) replace(old, p *person) {
	p.id, p.since = old.id, old.since
	p.speech, p.renames, p.spoke, p.mutedUntil = old.speech, old.renames, old.spoke, old.mutedUntil
	r.expel(old, reject("You came in again on another connection.", 0))
}

// MarshalText writes m as a short string of JSON.
func (m proof) MarshalText() ([]byte, error) {
	return base64.RawStdEncoding.AppendEncode(nil, m[:]), nil
}

// UnmarshalText reads what MarshalText wrote.
func (m *proof) UnmarshalText(text []byte) error {
	data, err := base64.RawStdEncoding.DecodeString(string(text))
	if err != nil || len(data) != len(m) {
		return fmt.Errorf("room: a proof of %d characters", len(text))
	}
	copy(m[:], data)
	return nil
}
