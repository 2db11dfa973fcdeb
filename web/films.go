package web

import (
	"context"
	"io"
	"sync"

	"foyer/media"
)

// Limits of the lists of frames that are kept, for the recordings that were asked
// for last.
const (
	MaxFilms     = 64       // lists
	MaxFilmBytes = 64 << 20 // of all together; one may be larger
)

// films is the recordings that browsers play, each with the list of where its
// frames are. One list is made at a time.
type films struct {
	// set by newFilms
	limit  int           // bytes
	making chan struct{} // cap 1: has a value while a list is being made

	// guarded by mu
	mu    sync.Mutex
	kept  []film // that was asked for last comes last
	bytes int
}

type film struct {
	key filmKey
	mp4 *media.MP4
}

// A filmKey is a recording as it is now.
type filmKey struct {
	room, name string
	size       int64
}

func newFilms() *films { return &films{limit: MaxFilmBytes, making: make(chan struct{}, 1)} }

// find returns the list of a recording, and makes it if need be: whoever else
// wants one to be made waits, until ctx ends.
func (f *films) find(ctx context.Context, key filmKey, file io.ReaderAt) (*media.MP4, error) {
	if m := f.use(key); m != nil {
		return m, nil
	}
	select {
	case f.making <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-f.making }()
	if m := f.use(key); m != nil { // made meanwhile
		return m, nil
	}
	m, err := media.IndexFLV(file, key.size)
	if err != nil {
		return nil, err
	}
	f.keep(film{key, m})
	return m, nil
}

// use returns what is kept, or nil.
func (f *films) use(key filmKey) *media.MP4 {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, k := range f.kept {
		if k.key == key {
			f.kept = append(append(f.kept[:i:i], f.kept[i+1:]...), k)
			return k.mp4
		}
	}
	return nil
}

func (f *films) keep(k film) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = append(f.kept, k)
	f.bytes += k.mp4.Size()
	for len(f.kept) > 1 && (len(f.kept) > MaxFilms || f.bytes > f.limit) {
		f.bytes -= f.kept[0].mp4.Size()
		f.kept = append([]film(nil), f.kept[1:]...)
	}
}
