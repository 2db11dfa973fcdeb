package media

import (
	"errors"
	"io"

	"foyer/server/flv"
)

// RemuxFLV writes an FLV file as fragmented MP4, as far as it is whole. A change
// of codecs ends the MP4, which has one init segment.
func RemuxFLV(w io.Writer, r io.Reader) error {
	tags, err := NewFLVReader(r)
	if err != nil {
		return err
	}
	var failed error
	inits := 0
	remux := NewRemuxer(func(s Segment) {
		if s.Kind == Init {
			inits++
		}
		if failed == nil && inits == 1 && (s.Kind == Init || s.Kind == Fragment) {
			_, failed = w.Write(s.Data)
		}
	})
	remux.whole = true
	for failed == nil && inits < 2 {
		m, err := tags.Next()
		if err == io.EOF || err == io.ErrUnexpectedEOF || errors.Is(err, flv.ErrBadTag) {
			return errors.Join(remux.End(), failed)
		}
		if err != nil {
			return err
		}
		if err := remux.Write(m); err != nil {
			return err
		}
	}
	return failed
}
