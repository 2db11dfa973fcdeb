package web

import (
	"context"
	"io"
	"sync"

	"foyer/media"
)

// Limits of the indexes that are kept: those that were used last.
const (
	MaxIndexes    = 64       // indexes
	MaxIndexBytes = 64 << 20 // of all indexes together; a single one may be larger
)

// recordingIndexes keeps, for each recording that a browser plays, the index of its
// frames in the file. One index is made at a time.
type recordingIndexes struct {
	// set by newRecordingIndexes
	limit  int           // bytes
	making chan struct{} // cap 1: has a value while an index is being made

	// guarded by mu
	mu    sync.Mutex
	kept  []recordingIndex // in the order of their last use
	bytes int
}

type recordingIndex struct {
	key recordingKey
	mp4 *media.MP4
}

// A recordingKey is a recording at its present size.
type recordingKey struct {
	room, name string
	size       int64
}

func newRecordingIndexes() *recordingIndexes {
	return &recordingIndexes{limit: MaxIndexBytes, making: make(chan struct{}, 1)}
}

// find returns the index of a recording, and makes it if need be. While another one
// is being made it waits, until ctx ends.
func (x *recordingIndexes) find(ctx context.Context, key recordingKey, file io.ReaderAt) (*media.MP4, error) {
	if m := x.use(key); m != nil {
		return m, nil
	}
	select {
	case x.making <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-x.making }()
	if m := x.use(key); m != nil { // made meanwhile
		return m, nil
	}
	m, err := media.IndexFLV(file, key.size)
	if err != nil {
		return nil, err
	}
	x.keep(recordingIndex{key, m})
	return m, nil
}

// use returns an index that is kept, or nil.
func (x *recordingIndexes) use(key recordingKey) *media.MP4 {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, k := range x.kept {
		if k.key == key {
			x.kept = append(append(x.kept[:i:i], x.kept[i+1:]...), k)
			return k.mp4
		}
	}
	return nil
}

func (x *recordingIndexes) keep(k recordingIndex) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept = append(x.kept, k)
	x.bytes += k.mp4.Size()
	for len(x.kept) > 1 && (len(x.kept) > MaxIndexes || x.bytes > x.limit) {
		x.bytes -= x.kept[0].mp4.Size()
		x.kept = append([]recordingIndex(nil), x.kept[1:]...)
	}
}
