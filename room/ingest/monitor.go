package ingest

import (
	"math"
	"sync/atomic"
	"time"

	"foyer/server/amf"
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// window is how many whole seconds rates are taken from.
const window = 10

// MaxMetaData is the longest onMetaData that is read, in bytes.
const MaxMetaData = 16 << 10

// A Monitor watches what one publisher sends. WriteMessage runs on the publisher's
// goroutine and looks at a few bytes of each message. It leaves a copy of what it has
// seen for Health, which runs on the goroutine of the room: once a second, and when
// something comes for the first time.
type Monitor struct {
	observed                          // owned by the publisher's goroutine
	shown    atomic.Pointer[observed] // the copy, which nobody changes
	heard    atomic.Int64             // when sound or a picture came last, in ns after since; -1: none has

	// owned by the goroutine that calls Health
	first      float64 // by how many ms sound was ahead in the first window
	firstKnown bool
}

// observed is what has been seen of a stream.
type observed struct {
	since                time.Time
	video, audio         lane
	seconds              [window + 1]second
	second               int   // the number of the newest of them, counted from since
	tracks               int   // the highest number of a track
	keys                 int   // key frames
	keyAt                int64 // the time of the last one, by the video's clock
	intervals            [4]int64
	picture              avcPicture
	metaWidth            float64 // from onMetaData
	metaHeight           float64
	encoder              string          // as it calls itself
	sampleRate, channels int             // of AAC
	config               [maxConfig]byte // of AAC
	configSize           int             // 0: it is not known, or longer
	lengthSize           int             // of the units in frames, in bytes
	habits               habits
}

// lane is either sound or pictures.
type lane struct {
	codec  string // its name; "": not known
	header bool   // a sequence header came
	frames int
	time   int64 // of the last frame, in ms, without wrapping
}

// second is what happened in one second.
type second struct {
	video, audio      int // bytes
	frames            int // of video
	back              int // frames with a time before that of the one before
	low, high         int32
	ahead             int64 // sum over the frames: by how many ms sound was ahead of the picture
	paired            int   // over how many frames that is the sum
	sounds            int   // frames of audio
	heard, seen       int64 // by how many ms the clocks of sound and pictures went on
	start             int64 // the time of the first frame
	startSet, shifted bool
}

// NewMonitor returns a monitor of a stream that begins now.
func NewMonitor(now time.Time) *Monitor {
	in := &Monitor{observed: observed{since: now, lengthSize: 4}}
	in.heard.Store(-1)
	in.show()
	return in
}

// show leaves a copy for Health.
func (in *Monitor) show() {
	o := in.observed
	in.shown.Store(&o)
}

// WriteMessage looks at a message.
func (in *Monitor) WriteMessage(m rtmp.Message) {
	now := time.Now()
	if in.turn(now) {
		in.show() // the last second is complete
	}
	s := &in.seconds[in.second%len(in.seconds)]
	switch m.Type {
	case rtmp.TypeVideo:
		in.heard.Store(int64(now.Sub(in.since)))
		s.video += len(m.Payload)
		if t, ok := in.mainTrack(m); ok {
			in.see(s, t, m.Timestamp)
		}
	case rtmp.TypeAudio:
		in.heard.Store(int64(now.Sub(in.since)))
		s.audio += len(m.Payload)
		if t, ok := in.mainTrack(m); ok {
			in.hear(s, t, m.Timestamp)
		}
	case rtmp.TypeDataAMF0:
		in.read(m.Payload)
	}
}

// turn begins the current second, and empties those since the last. It reports whether a
// new one has begun.
func (in *observed) turn(now time.Time) bool {
	n := int(now.Sub(in.since) / time.Second)
	for i := max(in.second+1, n-window); i <= n; i++ {
		in.seconds[i%len(in.seconds)] = second{}
	}
	before := in.second
	in.second = max(in.second, n)
	return in.second > before
}

// mainTrack reads an audio or video message and counts its tracks. It returns the
// one with the number 0, which most people want, wherever that is in the message.
func (in *observed) mainTrack(m rtmp.Message) (main flv.Tag, ok bool) {
	var t flv.Tag
	for more := t.Parse(flv.Media(m.Type), m.Payload); more; more = t.Next() {
		in.tracks = max(in.tracks, int(t.Track))
		if t.Track == 0 {
			main, ok = t, true
		}
	}
	return main, ok
}

// see takes a video message.
func (in *Monitor) see(s *second, t flv.Tag, at uint32) {
	in.video.name(t.Codec)
	switch {
	case t.Kind == flv.SequenceStart:
		in.video.header = true
		in.lengthSize = lengthSize(t.Codec, t.Body)
		in.habits.startCodes = in.habits.startCodes || t.Codec == flv.AVC && hasStartCode(t.Body, in.lengthSize)
		if p, ok := parseAVC(t.Body); ok && t.Codec == flv.AVC {
			in.picture = p
		}
		in.show()
	case t.Kind == flv.CodedFrames && in.pictured(t):
		in.frame(s, t, at)
		if in.video.frames == 1 {
			in.show()
		}
	}
}

// frame takes a frame of video.
func (in *observed) frame(s *second, t flv.Tag, at uint32) {
	before := in.video.time
	if in.video.advance(at, &in.audio) {
		s.back++
	}
	if in.video.frames > 1 {
		s.seen += in.video.time - before
	}
	s.frames++
	if !s.shifted {
		s.low, s.high, s.shifted = t.Shift, t.Shift, true
	}
	s.low, s.high = min(s.low, t.Shift), max(s.high, t.Shift)
	if !s.startSet {
		s.start, s.startSet = in.video.time, true
	}
	if in.audio.frames > 0 {
		s.ahead += in.audio.time - in.video.time
		s.paired++
	}
	if t.Key {
		if in.keys > 0 {
			in.intervals[in.keys%len(in.intervals)] = in.video.time - in.keyAt
		}
		in.keyAt = in.video.time
		in.keys++
	}
}

// hear takes an audio message.
func (in *Monitor) hear(s *second, t flv.Tag, at uint32) {
	in.audio.name(t.Codec)
	switch {
	case t.Kind == flv.SequenceStart:
		in.audio.header = true
		if t.Codec == flv.AAC {
			in.sampleRate, in.channels = parseAAC(t.Body)
			if in.configSize = 0; len(t.Body) <= maxConfig {
				in.configSize = copy(in.config[:], t.Body)
			}
		}
		in.show()
	case t.Kind == flv.CodedFrames && in.sounds(t):
		before := in.audio.time
		if in.audio.advance(at, &in.video) {
			s.back++
		}
		if s.sounds++; in.audio.frames > 1 {
			s.heard += in.audio.time - before
		}
		if in.audio.frames == 1 {
			in.show()
		}
	}
}

// name notes the codec of a message, if it says a known one.
func (l *lane) name(c flv.Codec) {
	if name := c.Name(); name != "" {
		l.codec = name
	}
}

// advance moves on to the timestamp of the next frame, and reports whether time went
// back. Timestamps wrap at 2^32; the first one is compared with the other lane.
func (l *lane) advance(at uint32, other *lane) (back bool) {
	if l.frames++; l.frames == 1 {
		if l.time = other.time; other.frames == 0 {
			l.time = int64(at)
		}
	}
	step := int64(int32(at - uint32(l.time)))
	l.time += step
	return step < 0 && l.frames > 1
}

// read takes from onMetaData what nothing else tells.
func (in *Monitor) read(b []byte) {
	if len(b) > MaxMetaData {
		return
	}
	args, err := amf.NewDecoder(b).Rest()
	if name, _ := amf.AsString(args.At(0)); err != nil || name != "onMetaData" {
		return
	}
	o := args.At(1)
	in.metaWidth, in.metaHeight = side(amf.Lookup(o, "width")), side(amf.Lookup(o, "height"))
	in.encoder, _ = amf.AsString(amf.Lookup(o, "encoder"))
	in.show()
}

// side reads a width or a height; 0 if it cannot be one.
func side(v amf.Value) float64 {
	if n, ok := amf.AsNumber(v); ok && n >= 1 && n <= MaxSide {
		return math.Floor(n)
	}
	return 0
}
