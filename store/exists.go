package store

import (
	"context"
	"fmt"
)

// Exists reports whether anything is stored of a room: its state, or a message.
// A room that was only opened leaves nothing. Exists blocks until ctx ends at
// the latest.
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
