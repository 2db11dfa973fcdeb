package demo

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"
)

const (
	// A step in a file's timestamps that is greater, forward or back, is a cut:
	// nobody waits for it.
	maxForward = 10_000
	maxBack    = 1_000
	// cutStep is what time passes at a cut, and after the only frame of a track.
	cutStep = 40
	// maxStep bounds how long the last frame of a track is shown.
	maxStep = 1_000
)

// errNothing means that a whole file went by without anything to send.
var errNothing = formatErrorf("there is no key frame in the file")

// A loop plays an FLV file over and over on one timeline, in ms, on which time
// never goes back within a track. It is a pure function of the file.
type loop struct {
	// set by play
	file   io.ReadSeeker
	once   bool
	video  bool      // begin with a key frame
	from   int64     // and not before this time
	clock  bool      // it is played in step with the clock,
	origin time.Time // and its time 0 is then

	flv    *flvReader
	began  bool   // this round had a frame
	sent   bool   // something was to be sent
	barren int    // rounds in a row without anything to send
	raw    uint32 // of the last frame, in the file
	time   int64  // of the last frame
	end    int64  // when the next round begins
	tracks map[byte]*track
	known  []tag // metadata and headers in force, in order
	queue  []tag // to be sent next

	waiting bool // for the frame to begin with
}

// A track is the sound or the pictures.
type track struct {
	last, step int64
	again      bool // its next frame is the first of a round
}

// rewind goes to the beginning of the file.
func (l *loop) rewind() (err error) {
	if _, err = l.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l.flv, err = newFLVReader(l.file)
	l.began = false
	for _, tr := range l.tracks {
		tr.again = true
	}
	return err
}

// resume makes next begin anew for a peer that knows nothing: with the
// metadata and headers in force and the next key frame.
func (l *loop) resume() { l.waiting, l.queue, l.barren = true, nil, 0 }

// next returns what is to be sent next, with its time. At the end of a loop
// that plays once the error is io.EOF.
func (l *loop) next() (tag, error) {
	for len(l.queue) == 0 {
		t, err := l.flv.next()
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
		default:
			l.take(t)
		}
	}
	t := l.queue[0]
	l.queue = l.queue[1:]
	l.sent, l.barren = true, 0
	return t, nil
}

// take puts into the queue what a tag of the file means.
func (l *loop) take(t tag) {
	r := roleOf(t)
	switch r {
	case ending:
		return
	case header, aside:
		t.time = l.time
		if tr := l.tracks[t.kind]; tr != nil {
			t.time = tr.last
		}
		if (r == aside || l.learn(t)) && !l.waiting {
			l.queue = append(l.queue, t)
		}
		return
	}
	l.place(&t)
	if l.waiting {
		if t.time < l.from || l.video && (t.kind != tagVideo || r != keyFrame) {
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

// learn keeps a header and reports whether it is news: a file says it again in
// each round.
func (l *loop) learn(t tag) bool {
	i := slices.IndexFunc(l.known, func(k tag) bool { return k.kind == t.kind })
	if i < 0 {
		l.known = append(l.known, t)
		slices.SortStableFunc(l.known, func(a, b tag) int { return int(b.kind) - int(a.kind) }) // script, video, audio
		return true
	}
	if bytes.Equal(l.known[i].data, t.data) {
		return false
	}
	l.known[i] = t
	return true
}

// place finds the time of a frame. Timestamps of the file may begin anywhere,
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
	if l.tracks == nil {
		l.tracks = make(map[byte]*track)
	}
	tr := l.tracks[t.kind]
	if tr == nil {
		tr = &track{last: max(0, t.time), step: cutStep} // it may be a little older than the first frame of all
		l.tracks[t.kind] = tr
	}
	t.time = max(t.time, tr.last)
	if step := t.time - tr.last; step > 0 && !tr.again {
		tr.step = min(step, maxStep)
	}
	tr.last, tr.again = t.time, false
	l.end = max(l.end, tr.last+tr.step)
}
