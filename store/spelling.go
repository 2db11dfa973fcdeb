package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Names that differ only by case are one name, and arrive here in lower case.
// An older version kept each spelling separately. Anything it stored under a
// name with capital letters stays where it is, and is found by the name in
// lower case as long as nothing is stored under that one. Of several spellings,
// the one that was written last counts; the others stay in the store, where
// nothing finds them.
//
// spellings maps the part of each name in lower case to the part of its old
// spelling. It is read once, since nothing adds to it.
type spellings struct{ rooms, objects map[part]part }

// readSpellings reads the spellings, unless that has been done.
func (s *Store) readSpellings(ctx context.Context) (*spellings, error) {
	if read := s.spellings.Load(); read != nil {
		return read, nil
	}
	rooms, err := s.spellingsIn(ctx, roomsBucket, func(parts []string) (is, lower part) {
		if len(parts) != 2 || parts[0] == "owner" {
			return "", "" // the fence stores nothing
		}
		return part(parts[1]), part(strings.ToLower(parts[1]))
	}, func(is part) string { return kv(roomsBucket, "*", is) })
	if err != nil {
		return nil, err
	}
	objects, err := s.spellingsIn(ctx, objectsBucket, func(parts []string) (is, lower part) {
		if len(parts) != 2 || part(parts[1]) == ownerKey || isHashed(part(parts[0])) {
			return "", ""
		}
		return part(parts[0]), key(strings.ToLower(unkey(part(parts[0]))))
	}, func(is part) string { return kv(objectsBucket, is, "*") })
	if err != nil {
		return nil, err
	}
	s.spellings.CompareAndSwap(nil, &spellings{rooms, objects})
	if n := len(rooms) + len(objects); n > 0 {
		s.log.Info("names with capital letters found", "rooms", len(rooms), "instances", len(objects))
	}
	return s.spellings.Load(), nil
}

// spellingsIn returns the spellings in a bucket. names returns the part of a key
// that is a name, and its lower case; all returns the subjects of a part.
func (s *Store) spellingsIn(ctx context.Context, bucket string, names func([]string) (is, lower part), all func(part) string) (map[part]part, error) {
	stream, err := timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return s.js().Stream(ctx, "KV_"+bucket) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the names in %s: %w", bucket, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, fmt.Errorf("reading the names in %s: %w", bucket, err)
	}
	there, found := make(map[part]bool), make(map[part]map[part]bool)
	for subject := range info.State.Subjects {
		is, lower := names(strings.Split(strings.TrimPrefix(subject, "$KV."+bucket+"."), "."))
		if is == lower {
			there[is] = true
			continue
		}
		if found[lower] == nil {
			found[lower] = make(map[part]bool)
		}
		found[lower][is] = true
	}
	newest := make(map[part]part)
	for lower, these := range found {
		if there[lower] {
			continue
		}
		var last uint64
		for is := range these {
			m, err := s.lastOf(ctx, "KV_"+bucket, all(is))
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", is, err)
			}
			if m != nil && m.seq > last {
				last, newest[lower] = m.seq, is
			}
		}
	}
	return newest, nil
}

// roomPart returns the part under which a room is stored.
func (s *Store) roomPart(ctx context.Context, name string) (part, error) {
	old, err := s.readSpellings(ctx)
	if err != nil {
		return "", err
	}
	return spelledAs(old.rooms, token(name)), nil
}

// objectsPart returns the part under which the objects of an instance are
// stored.
func (s *Store) objectsPart(instance string) part {
	if old := s.spellings.Load(); old != nil {
		return spelledAs(old.objects, key(instance))
	}
	return key(instance)
}

// spelledAs returns the old spelling of a part, or the part itself.
func spelledAs(old map[part]part, p part) part {
	if is, ok := old[p]; ok {
		return is
	}
	return p
}
