package demo

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"foyer/server/flv"
)

// clip is the test card that clip/README.md explains.
//
//go:embed clip/clip.flv
var clip []byte

// clipLength is the length of the clip. It divides a minute, so that its clock
// can be compared with any other.
const clipLength = 20 * time.Second

// probeTags is how many tags NewSource reads to find out what is in a file.
const probeTags = 500

// A Source is something to broadcast: the built-in clip or an FLV file.
type Source struct {
	file  io.ReadSeeker
	video bool // there are pictures: playing begins with a key frame
	clock bool // this is the clip, which is played in step with the clock

	codecs     []string
	unplayable []string
}

// Clip is the built-in test card with a moving clock.
func Clip() *Source {
	s, err := NewSource(bytes.NewReader(clip))
	if err != nil {
		panic(err) // a test makes sure of it
	}
	s.clock = true
	return s
}

// NewSource inspects an FLV file. The error says why the file cannot be
// broadcast, in words for a person.
func NewSource(file io.ReadSeeker) (*Source, error) {
	r, err := flv.NewReader(file)
	if errors.Is(err, flv.ErrNotFLV) {
		return nil, fmt.Errorf("%w; make one with 'ffmpeg -i IN -c copy OUT.flv'", err)
	} else if err != nil {
		return nil, err
	}
	s := &Source{file: file}
	seen := make(map[flv.Media]bool)
	for range probeTags {
		h, data, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		var t flv.Tag
		if !t.Parse(h.Media, data) || t.Codec == 0 || seen[t.Media] {
			continue
		}
		seen[t.Media] = true
		s.take(&t)
	}
	if len(seen) == 0 {
		return nil, errors.New("there are neither pictures nor sound in the file")
	}
	return s, nil
}

// take learns from the first tag with sound, or with pictures.
func (s *Source) take(t *flv.Tag) {
	name := t.Codec.String()
	s.video = s.video || t.Media == flv.Video
	s.codecs = append(s.codecs, name)
	if t.Codec.Old() { // those went with Flash
		s.unplayable = append(s.unplayable, name)
	}
}

// String names the codecs, as in "H.264, AAC".
func (s *Source) String() string { return strings.Join(s.codecs, ", ") }

// Warning says which part of the source not everybody will see or hear; "" if
// there is none.
func (s *Source) Warning() string {
	if len(s.unplayable) == 0 {
		return ""
	}
	return "browsers cannot play " + strings.Join(s.unplayable, " and ") + ": only RTMP and FLV players will"
}

// play returns a loop that begins now: the clip at the place of the clock, a
// file at its beginning.
func (s *Source) play(now time.Time, once bool) (*loop, error) {
	l := &loop{file: s.file, once: once, video: s.video}
	if s.clock {
		l.clock, l.once = true, false // the whole clip, from wherever it begins
		l.from = now.UnixMilli() % clipLength.Milliseconds()
		l.origin = now.Add(-ms(l.from))
	}
	if err := l.rewind(); err != nil {
		return nil, err
	}
	l.resume()
	return l, nil
}
