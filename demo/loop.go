package demo

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"

	"foyer/server/flv"
)

const (
	// A greater step in a file's timestamps, forward or back, is a cut, and is
	// not waited for.
	maxForward = 10_000
	maxBack    = 1_000
	// cutStep is the time that passes at a cut, and after the only frame of a
	// track.
	cutStep = 40
	// maxStep bounds how long the last frame of a track is shown.
	maxStep = 1_000
)

// errNothing means that a whole file had nothing to send.
var errNothing = errors.New("there is no key frame in the file")

// A tag is one of the file.
type tag struct {
	media flv.Media
	raw   uint32 // its timestamp in the file, in ms
	time  int64  // where it is on the timeline of a loop, in ms
	data  []byte // never empty
}

// A role is the purpose of a tag in a loop.
type role uint8

const (
	frame    role = iota
	keyFrame      // a picture that needs no other, or sound
	header        // metadata, or what a decoder must know first
	ending        // says that nothing follows, which is not so in a loop
	aside         // anything else, such as a cue point
)

func (t *tag) role() role {
	var p flv.Tag
	switch ok := p.Parse(t.media, t.data); {
	case !ok:
		return aside
	case p.Key:
		return keyFrame
	}
	switch p.Kind {
	case flv.CodedFrames:
		return frame
	case flv.SequenceStart, flv.MPEG2TSSequenceStart, flv.MultichannelConfig, flv.Metadata:
		return header
	case flv.SequenceEnd:
		return ending
	}
	return aside
}

// A slot is the place of a header: a later one in the same place replaces it.
type slot struct {
	media   flv.Media
	kind    flv.Kind
	several bool
	track   uint8
}

func (t *tag) slot() slot {
	var p flv.Tag
	p.Parse(t.media, t.data)
	return slot{p.Media, p.Kind, p.Several, p.Track}
}

// A loop plays an FLV file over and over on one timeline, in ms. Within a
// track, time never goes back. A loop is a pure function of the file.
type loop struct {
	// set by play
	file   io.ReadSeeker
	once   bool
	video  bool      // begin with a key frame
	from   int64     // and not before this time
	clock  bool      // the file is played in step with the clock,
	origin time.Time // and its time 0 is this

	flv    *flv.Reader
	began  bool   // this round had a frame
	sent   bool   // this round had something to send
	barren int    // rounds in a row without anything to send
	raw    uint32 // of the last frame, in the file
	time   int64  // of the last frame
	end    int64  // when the next round begins
	tracks map[flv.Media]*track
	known  []tag // metadata and headers in force, in order
	queue  []tag // to be sent next

	waiting bool // waiting for the frame to begin with
}

// A track is the sound, the pictures or the data.
type track struct {
	last, step int64
	again      bool // its next frame is the first of a round
}

// rewind goes to the beginning of the file.
func (l *loop) rewind() (err error) {
	if _, err = l.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l.flv, err = flv.NewReader(l.file)
	l.began = false
	for _, tr := range l.tracks {
		tr.again = true
	}
	return err
}

// resume makes next start again for a new peer: with the metadata and headers
// in force, and the next key frame.
func (l *loop) resume() { l.waiting, l.queue, l.barren = true, nil, 0 }

// next returns the next tag to be sent, with its time. At the end of a loop
// that plays once the error is io.EOF.
func (l *loop) next() (tag, error) {
	for len(l.queue) == 0 {
		h, data, err := l.flv.Next()
		switch {
		case errors.Is(err, io.EOF) && l.once && l.sent:
			return tag{}, io.EOF
		case errors.Is(err, io.EOF):
			if l.barren++; l.barren > 2 {
				return tag{}, errNothing
			}
			if err := l.rewind(); err != nil {
				return tag{}, err
			}
		case err != nil:
			return tag{}, err
		case len(data) > 0:
			l.take(tag{media: h.Media, raw: h.Time, data: data})
		}
	}
	t := l.queue[0]
	l.queue = l.queue[1:]
	l.sent, l.barren = true, 0
	return t, nil
}

// take queues what a tag of the file means for the peer.
func (l *loop) take(t tag) {
	r := t.role()
	switch r {
	case ending:
		return
	case header, aside:
		tr := l.track(t.media)
		if t.media == flv.Script { // goes along with the frames
			tr.last = max(tr.last, l.time)
		}
		t.time = tr.last
		if (r == aside || l.learn(t)) && !l.waiting {
			l.queue = append(l.queue, t)
		}
		return
	}
	l.place(&t)
	if l.waiting {
		if t.time < l.from || l.video && (t.media != flv.Video || r != keyFrame) {
			return
		}
		l.waiting = false
		for _, h := range l.known {
			h.time = t.time
			l.queue = append(l.queue, h)
		}
	}
	l.queue = append(l.queue, t)
}

// learn keeps a header and reports whether it is new, since a file repeats it
// in each round.
func (l *loop) learn(t tag) bool {
	i := slices.IndexFunc(l.known, func(k tag) bool { return k.slot() == t.slot() })
	if i < 0 {
		l.known = append(l.known, t)
		slices.SortStableFunc(l.known, func(a, b tag) int { return int(b.media) - int(a.media) }) // script, video, audio
		return true
	}
	if bytes.Equal(l.known[i].data, t.data) {
		return false
	}
	l.known[i] = t
	return true
}

// track returns the track of a medium, which begins now if it is new.
func (l *loop) track(m flv.Media) *track {
	tr := l.tracks[m]
	if tr == nil {
		if l.tracks == nil {
			l.tracks = make(map[flv.Media]*track)
		}
		tr = &track{last: max(0, l.time), step: cutStep, again: true} // a frame may be a little older than the very first one
		l.tracks[m] = tr
	}
	return tr
}

// place sets the time of a frame. The file's timestamps may begin anywhere,
// and wrap.
func (l *loop) place(t *tag) {
	delta := int64(int32(t.raw - l.raw))
	switch {
	case !l.began:
		t.time = l.end
	case delta < -maxBack || delta > maxForward:
		t.time = l.time + cutStep
	default:
		t.time = l.time + delta
	}
	l.began, l.raw, l.time = true, t.raw, t.time
	tr := l.track(t.media)
	t.time = max(t.time, tr.last)
	if step := t.time - tr.last; step > 0 && !tr.again {
		tr.step = min(step, maxStep)
	}
	tr.last, tr.again = t.time, false
	l.end = max(l.end, tr.last+tr.step)
}
