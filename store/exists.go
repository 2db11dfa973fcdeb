package store

import (
	"context"
	"fmt"
)

// Exists reports whether anything is kept of a room: what it knows, or a
// message. One that was only opened leaves nothing. It blocks at most until ctx
// ends.
func (s *Store) Exists(ctx context.Context, room string) (bool, error) {
	p, err := s.roomPart(ctx, room)
	if err != nil {
		return false, fmt.Errorf("looking for room %s: %w", room, err)
	}
	state, err := s.value(ctx, roomsBucket, "state", p)
	if state != nil || err != nil {
		return state != nil, err
	}
	m, err := s.lastOf(ctx, chatStream, subject(chatSubject, p))
	if err != nil {
		return false, fmt.Errorf("looking for room %s: %w", room, err)
	}
	return m != nil && m.header.Get(headerID) != "", nil
}
