package media

import (
	"bytes"
	"slices"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// Limits and times of a remux, the times in milliseconds of the stream.
const (
	MaxHeld      = 4 << 20 // bytes that wait for the first init segment
	MaxFragment  = 1 << 20 // bytes of a fragment, but for its last frame
	frameSize    = 128     // roughly what a waiting frame takes besides its bytes
	fragmentTime = 60      // the least that a fragment lasts
	startWait    = 1500    // for a track that may still come
	maxPending   = 500     // how long a frame waits for the next one, which tells its duration
	trackGone    = 2000    // a track is left out when the other one has continued without it for so long
	audioSlack   = 40      // how far timestamps may be from the count of samples
	maxOffset    = 5000    // presentation minus decoding time
)

// A SegmentKind is what a viewer is given.
type SegmentKind uint8

const (
	// Init begins, or begins again: Data is the init segment, of type Mime.
	Init SegmentKind = iota
	// Fragment follows an Init, or another Fragment.
	Fragment
	// End says that the publisher has gone. Another Init may follow.
	End
	// Unsupported says that Codec has no place in MP4; the stream continues
	// without it.
	Unsupported
)

// A Segment is a piece of a remux. It is not changed afterwards.
type Segment struct {
	Kind  SegmentKind
	Mime  string
	Codec string
	Key   bool // a viewer can begin with this fragment
	Data  []byte
}

// A Remuxer makes fragmented MP4 of the messages of one stream. It has no
// goroutine and does no I/O; what it holds is bounded by MaxHeld and a fragment.
type Remuxer struct {
	// set by NewRemuxer
	emit  func(Segment)
	whole bool // for a file: a track that pauses stays in it

	mender   mender
	clock    flv.Clock
	tracks   [lanes]track
	absent   [lanes]bool // says the metadata, or the codec has no place in MP4
	started  bool        // an init segment has been made
	held     []frame     // until then
	size     int         // of held, in bytes
	since    int64       // when the first frame came
	sequence uint32
	out      [lanes][]sample    // of the fragment to come
	outSize  int                // of out, in bytes
	strange  map[flv.Codec]bool // codecs that Unsupported has named
	still    *Still             // of the last key frame
	err      error              // our own mistake: the remux is over
}

// A track is one lane of the file.
type track struct {
	codec *codec // of the init segment
	next  *codec // of the next init segment

	pending  *sample // a frame whose duration is not known yet
	since    int64   // time of pending
	came     int64   // the time of the stream when pending came
	outSince int64   // time of the first frame in the fragment to come
	seen     bool    // a frame has come
	last     int64   // its time
	missed   int64   // by how much the other track has continued since
	floor    int64   // the earliest place for a frame, in ticks
	due      int64   // where the next audio frame belongs if there is no gap
	end      int64   // when everything that was written ends
}

// A frame is a tag that is ready to be written.
type frame struct {
	tag
	at int64
}

// NewRemuxer returns a Remuxer that gives emit its segments.
func NewRemuxer(emit func(Segment)) *Remuxer {
	return &Remuxer{emit: emit, strange: make(map[flv.Codec]bool)}
}

// Write takes the next message. An error is our own mistake, never the
// publisher's, and ends the remux.
func (r *Remuxer) Write(m rtmp.Message) error {
	r.take(r.mender.take(m))
	return r.err
}

func (r *Remuxer) take(list []mended) {
	for _, m := range list {
		switch {
		case m.message.Type == rtmp.TypeDataAMF0 || m.message.Type == rtmp.TypeDataAMF3:
			r.expect(m.message.Payload)
		case m.Kind == flv.SequenceStart:
			r.configure(m.tag)
		case m.Kind == flv.CodedFrames && boxable[m.Codec]:
			r.frame(m.tag, m.message.Timestamp)
		case m.Kind == flv.CodedFrames:
			r.refuse(m.tag)
		}
	}
}

// refuse says, once, that a codec has no place in MP4.
func (r *Remuxer) refuse(t tag) {
	r.absent[t.lane] = true
	if r.tracks[t.lane].codec == nil && !r.strange[t.Codec] && len(r.strange) < maxStrange {
		r.strange[t.Codec] = true
		r.emit(Segment{Kind: Unsupported, Codec: t.Codec.String()})
	}
}

// maxStrange is how many codecs one publisher may name.
const maxStrange = 8

// End says that the publisher has gone.
func (r *Remuxer) End() error {
	r.take(r.mender.end())
	r.finish()
	if r.started || len(r.strange) > 0 {
		r.emit(Segment{Kind: End})
	}
	for l := range r.tracks {
		r.tracks[l] = track{end: r.tracks[l].end}
	}
	r.clock.Begin()
	r.started, r.held, r.size, r.still = false, nil, 0, nil
	r.absent = [lanes]bool{}
	clear(r.strange)
	return r.err
}

// expect reads in onMetaData which tracks there are. If it leaves out a track that
// was there, the track has ended, unless more of its frames come.
func (r *Remuxer) expect(payload []byte) {
	absent, named := absentFrom(payload)
	if !named {
		return
	}
	r.absent = absent
	for l := range r.tracks {
		if absent[l] {
			r.tracks[l].missed = trackGone
		}
	}
}

// absentFrom is the tracks that onMetaData leaves out. If it names no codec, it
// says nothing.
func absentFrom(payload []byte) (absent [lanes]bool, named bool) {
	video := bytes.Contains(payload, []byte("\x00\x0cvideocodecid"))
	audio := bytes.Contains(payload, []byte("\x00\x0caudiocodecid"))
	return [lanes]bool{videoLane: !video, audioLane: !audio}, video || audio
}

// configure takes a sequence header. A wrong one is ignored.
func (r *Remuxer) configure(t tag) {
	tr := &r.tracks[t.lane]
	if tr.next.same(t.Codec, t.Body) || tr.next == nil && tr.codec.same(t.Codec, t.Body) {
		return
	}
	if tr.codec.same(t.Codec, t.Body) { // back to what it was
		tr.next = nil
		return
	}
	if c, err := newCodec(t.Codec, t.Body); err == nil {
		tr.next, r.absent[t.lane] = c, false
	}
}

// frame takes a frame, which is held or written, or left out if nobody could
// decode it.
func (r *Remuxer) frame(t tag, timestamp uint32) {
	at := max(0, r.clock.At(t.Media, timestamp))
	tr := &r.tracks[t.lane]
	c := tr.next
	if c == nil {
		c = tr.codec
	}
	if c == nil || c.fourCC != t.Codec {
		return
	}
	if t.lane == videoLane {
		if t.Key {
			c.measure(t.Body)
		}
		if !c.size.ok() || !t.Key && (!r.started && !tr.seen || r.started && tr.next != nil) {
			return
		}
	}
	if tr.seen {
		other := &r.tracks[lanes-1-t.lane]
		other.missed += max(0, min(at-tr.last, maxPending)) // a pause of both does not count
	}
	tr.seen, tr.last, tr.missed = true, at, 0
	f := frame{t, at}
	if !r.started {
		r.hold(f)
		return
	}
	r.renew(f)
	if tr.codec != nil && tr.next == nil {
		r.write(f)
	}
}

// hold keeps a frame until it is known which tracks there are. A key frame
// makes the earlier frames worthless, but not the sound that belongs behind it
// and came before it.
func (r *Remuxer) hold(f frame) {
	if len(r.held) == 0 {
		r.since = f.at
	}
	if f.lane == videoLane && f.Key {
		r.held = slices.DeleteFunc(r.held, func(h frame) bool { return h.lane == videoLane || h.at < f.at })
		r.size = 0
		for _, h := range r.held {
			r.size += len(h.Body) + frameSize
		}
	}
	r.held = append(r.held, f)
	r.size += len(f.Body) + frameSize
	ready := r.size > MaxHeld || f.at-r.since >= startWait
	if !ready {
		ready = true
		for l := range r.tracks {
			ready = ready && (r.tracks[l].seen || r.absent[l])
		}
	}
	if ready {
		r.start()
	}
}

func (r *Remuxer) start() {
	held := r.held
	r.held, r.size = nil, 0
	r.started = true
	r.init(r.tracks[videoLane].seen, r.tracks[audioLane].seen)
	for _, f := range held {
		if r.tracks[f.lane].codec != nil {
			r.write(f)
		}
	}
}

// renew begins again, if f is a frame to begin with: with codecs that have
// changed, with tracks that came late or came back, and without a track that is
// gone, for which a browser would wait for ever. Pictures have to begin with a
// key frame, so where there are any, sound waits for one.
func (r *Remuxer) renew(f frame) {
	video, audio := &r.tracks[videoLane], &r.tracks[audioLane]
	switch {
	case f.lane == videoLane && f.Key:
		if gone := r.gone(audio); gone || video.next != nil || audio.next != nil && audio.seen {
			r.finish()
			if gone {
				audio.rest()
			}
			r.init(true, audio.seen)
		}
	case f.lane == audioLane:
		if gone := r.gone(video); gone || audio.next != nil && video.codec == nil {
			r.finish()
			if gone {
				video.rest()
			}
			r.init(false, true)
		}
	}
}

// gone reports whether a track is in the init segment but no longer comes.
func (r *Remuxer) gone(t *track) bool { return !r.whole && t.codec != nil && t.missed >= trackGone }

// rest takes a track out of the init segments until its frames are back.
func (t *track) rest() {
	if t.next == nil {
		t.next = t.codec
	}
	t.codec, t.seen = nil, false
}

// init writes an init segment, with the new codecs of the lanes that belong in it.
func (r *Remuxer) init(lane ...bool) {
	var codecs [lanes]*codec
	for l := range r.tracks {
		t := &r.tracks[l]
		if t.next != nil && lane[l] {
			t.codec, t.next = t.next, nil
			t.floor, t.due = (t.end*int64(t.codec.timescale)+999)/1000, 0
		}
		codecs[l] = t.codec
	}
	data, err := initSegment(codecs)
	if err != nil {
		r.err = err
		return
	}
	r.emit(Segment{Kind: Init, Mime: mimeType(codecs[videoLane], codecs[audioLane]), Data: data})
}

// write takes a frame of a track that is in the init segment.
func (r *Remuxer) write(f frame) {
	t := &r.tracks[f.lane]
	s := t.place(f)
	if p := t.pending; p != nil {
		r.put(f.lane, s.dts-p.dts)
	}
	if f.lane == videoLane && f.Key {
		r.flush()
		r.still = &Still{codec: t.codec, body: f.Body}
	}
	t.pending, t.since, t.came = s, f.at, r.clock.Now()
	r.release()
	if len(r.out[f.lane]) > 0 && f.at-t.outSince >= fragmentTime || r.outSize >= MaxFragment {
		r.flush()
	}
}

// place gives a frame its place in the track, always after the one before.
// Audio frames follow each other without a gap, unless their timestamps, which
// are rounded, say otherwise.
func (t *track) place(f frame) *sample {
	scale := int64(t.codec.timescale)
	at := f.at * scale / 1000
	if f.lane == audioLane {
		if slack := audioSlack * scale / 1000; t.due > 0 && at-t.due <= slack && t.due-at <= slack {
			at = t.due
		}
	}
	at = max(at, t.floor)
	t.floor = at + 1
	s := &sample{dts: at, key: f.Key, data: f.Body}
	if f.lane == audioLane {
		s.dur = t.codec.ticks(f.Body)
		t.due = at + int64(s.dur)
	} else if f.Shift >= -maxOffset && f.Shift <= maxOffset {
		s.cts = f.Shift
	}
	return s
}

// release puts frames that have waited too long for the next one: those of a
// track that pauses, or that has a picture now and then.
func (r *Remuxer) release() {
	for l := range r.tracks {
		t := &r.tracks[l]
		waited := r.clock.Now() - t.came
		if t.pending == nil || waited < maxPending {
			continue
		}
		duration := int64(t.pending.dur)
		if lane(l) == videoLane {
			duration = waited
		}
		r.put(lane(l), max(1, duration))
	}
}

// put moves the frame that waits into the fragment.
func (r *Remuxer) put(l lane, duration int64) {
	t := &r.tracks[l]
	s := t.pending
	t.pending = nil
	scale := int64(t.codec.timescale)
	if l == audioLane && duration > scale { // it is a pause, not a long frame
		duration = int64(s.dur)
	}
	s.dur = uint32(min(duration, maxPending*scale))
	if len(r.out[l]) == 0 {
		t.outSince = t.since
	}
	r.out[l] = append(r.out[l], *s)
	r.outSize += len(s.data) + frameSize
	t.end = (s.dts + int64(s.dur)) * 1000 / scale
}

// pending is how many frames are in the fragment to come.
func (r *Remuxer) pending() int { return len(r.out[videoLane]) + len(r.out[audioLane]) }

// flush writes the fragment.
func (r *Remuxer) flush() {
	if r.pending() == 0 || r.err != nil {
		return
	}
	r.sequence++
	data, err := fragment(r.sequence, &r.out)
	if err != nil {
		r.err = err
		return
	}
	picture := &r.tracks[videoLane]
	key := picture.codec == nil
	if video := r.out[videoLane]; len(video) > 0 {
		key = video[0].key
	}
	for l := range r.out {
		clear(r.out[l])
		r.out[l] = r.out[l][:0]
	}
	r.outSize = 0
	r.emit(Segment{Kind: Fragment, Key: key, Data: data})
}

// usualFrame is how long the last picture lasts, which no other follows.
const usualFrame = 33

// finish writes everything that waits.
func (r *Remuxer) finish() {
	for l := range r.tracks {
		if t := &r.tracks[l]; t.pending != nil {
			r.put(lane(l), max(int64(t.pending.dur), usualFrame))
		}
	}
	r.flush()
}
