package room

import (
	"math"
	"strings"
	"sync/atomic"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

const (
	// ingestWindow is how many whole seconds rates are taken from.
	ingestWindow = 10
	// MaxMetaData is the longest onMetaData that is looked into, in bytes.
	MaxMetaData = 16 << 10
	// maxGap is the longest time between two frames that is believed. More is a
	// clock that was set.
	maxGap = 10 * time.Minute
	// maxSpeed is the highest one that is.
	maxSpeed = 100
)

// A monitor watches what one publisher sends. WriteMessage runs on the
// publisher's goroutine and looks at a few bytes of each message. For the
// instance, which asks for its health now and then, it leaves a copy of what it has
// seen, once a second.
type monitor struct {
	observed                          // owned by the publisher's goroutine
	shown    atomic.Pointer[observed] // the copy, into which nobody writes
	heard    atomic.Int64             // when any sound or picture came last, in ns after since; -1: none has

	// owned by the instance goroutine
	first      float64 // by how many ms sound was ahead in the first window
	firstKnown bool
}

// observed is what is known of a stream.
type observed struct {
	since                time.Time
	video, audio         lane
	seconds              [ingestWindow + 1]second
	second               int   // the newest one of them, counted from since
	tracks               int   // the highest number of a further track
	keys                 int   // key frames
	keyAt                int64 // when the last one was, in the video's own time
	intervals            [4]int64
	picture              avcPicture
	metaWidth            float64
	metaHeight           float64
	encoder              string
	sampleRate, channels int // of AAC
}

// lane is one of the two: sound or pictures.
type lane struct {
	codec  codec
	header bool // a sequence header came
	frames int
	time   int64 // of the last frame, in ms, without wrapping
}

// second is what happened in one.
type second struct {
	video, audio      int // bytes
	frames            int // of video
	back              int // frames from before the last one
	low, high         int32
	ahead             int64 // sum over the frames: by how many ms sound was ahead of the picture
	paired            int   // of how many frames that is the sum
	start, end        int64 // the times of the first frame in it, and the last
	startSet, shifted bool
}

func newMonitor(now time.Time) *monitor {
	in := &monitor{observed: observed{since: now}}
	in.heard.Store(-1)
	in.show()
	return in
}

// show leaves a copy of what is known.
func (in *monitor) show() {
	o := in.observed
	in.shown.Store(&o)
}

// WriteMessage looks at a message.
func (in *monitor) WriteMessage(m rtmp.Message) {
	now := time.Now()
	if in.turn(now) {
		in.show() // the second before is whole
	}
	s := &in.seconds[in.second%len(in.seconds)]
	switch m.Type {
	case rtmp.TypeVideo:
		in.heard.Store(int64(now.Sub(in.since)))
		s.video += len(m.Payload)
		in.see(s, parseTag(m), m.Timestamp)
	case rtmp.TypeAudio:
		in.heard.Store(int64(now.Sub(in.since)))
		s.audio += len(m.Payload)
		in.hear(s, parseTag(m), m.Timestamp)
	case rtmp.TypeDataAMF0:
		in.read(m.Payload)
	}
}

// turn begins the second that it is, and empties those between. It reports whether
// it is another one than before.
func (in *observed) turn(now time.Time) bool {
	n := int(now.Sub(in.since) / time.Second)
	for i := max(in.second+1, n-ingestWindow); i <= n; i++ {
		in.seconds[i%len(in.seconds)] = second{}
	}
	before := in.second
	in.second = max(in.second, n)
	return in.second > before
}

// see takes a tag of video.
func (in *monitor) see(s *second, t tag, at uint32) {
	if in.tracks = max(in.tracks, int(t.track)); t.track != 0 {
		return
	}
	if t.codec != "" {
		in.video.codec = t.codec
	}
	if t.header {
		defer in.show()
		in.video.header = true
		if t.codec == codecAVC {
			if p, ok := parseAVC(t.payload); ok {
				in.picture = p
			}
		}
	}
	if !t.frame {
		return
	}
	if in.video.advance(at, &in.audio) {
		s.back++
	}
	s.frames++
	if !s.shifted {
		s.low, s.high, s.shifted = t.shift, t.shift, true
	}
	s.low, s.high = min(s.low, t.shift), max(s.high, t.shift)
	if !s.startSet {
		s.start, s.startSet = in.video.time, true
	}
	s.end = in.video.time
	if in.audio.frames > 0 {
		s.ahead += in.audio.time - in.video.time
		s.paired++
	}
	if t.key {
		if in.keys > 0 {
			in.intervals[in.keys%len(in.intervals)] = in.video.time - in.keyAt
		}
		in.keyAt = in.video.time
		in.keys++
	}
}

// hear takes a tag of audio.
func (in *monitor) hear(s *second, t tag, at uint32) {
	if in.tracks = max(in.tracks, int(t.track)); t.track != 0 {
		return
	}
	if t.codec != "" {
		in.audio.codec = t.codec
	}
	if t.header {
		defer in.show()
		in.audio.header = true
		if t.codec == codecAAC {
			in.sampleRate, in.channels = parseAAC(t.payload)
		}
	}
	if t.frame && in.audio.advance(at, &in.video) {
		s.back++
	}
}

// advance moves to the timestamp of the next frame, and reports whether it is
// from before the last one. Times are compared around the wrap at 2^32, with
// the other lane's at the beginning.
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

// read takes onMetaData, of which it believes what nothing else tells.
func (in *monitor) read(b []byte) {
	if len(b) > MaxMetaData {
		return
	}
	args, err := amf.NewDecoder(b).Rest()
	if name, _ := amf.AsString(args.At(0)); err != nil || name != "onMetaData" {
		return
	}
	o := args.At(1)
	in.metaWidth, in.metaHeight = side(amf.Lookup(o, "width")), side(amf.Lookup(o, "height"))
	in.encoder = line(amf.Lookup(o, "encoder"), maxEncoder)
	in.show()
}

// maxEncoder is the length of an encoder's name, in code points.
const maxEncoder = 60

// side is a width or height.
func side(v amf.Value) float64 {
	if n, ok := amf.AsNumber(v); ok && n >= 1 && n <= MaxSide {
		return math.Floor(n)
	}
	return 0
}

// Health is how a stream is doing. Rates are those of the last seconds.
type Health struct {
	Stream  string
	Since   time.Time
	Encoder string // its name, as it says

	VideoCodec, Profile string // "" without video; "" when not known
	Width, Height       int
	FPS                 float64
	VideoBitrate        float64       // bits a second
	KeyFrames           time.Duration // the longest time between the last ones; 0 when not known
	BFrames             bool

	AudioCodec           string
	SampleRate, Channels int
	AudioBitrate         float64

	Drift  time.Duration // by how much sound comes before its picture
	Speed  float64       // of the video's own time; 1 is right, 0 is not known
	Silent time.Duration // since the last sound or picture
	Tracks int

	Advice []string // what to change, most important first; never nil
}

// health sums up what was known when the last second ended.
func (in *monitor) health(stream string, now time.Time) Health {
	o := *in.shown.Load()
	h := Health{
		Stream: stream, Since: o.since, Encoder: o.encoder, Tracks: o.tracks + 1,
		VideoCodec: o.name(&o.video), AudioCodec: o.name(&o.audio), Silent: now.Sub(o.since),
		Width: int(o.metaWidth), Height: int(o.metaHeight), SampleRate: o.sampleRate, Channels: o.channels,
	}
	if heard := in.heard.Load(); heard >= 0 {
		h.Silent -= time.Duration(heard)
	}
	if h.Silent >= stalled {
		o.turn(now)
	}
	if o.picture.width > 0 {
		h.Width, h.Height, h.Profile = o.picture.width, o.picture.height, o.picture.profile
	}
	if h.VideoCodec == "" {
		h.Width, h.Height = 0, 0
	}
	sum := o.sum()
	if n := float64(sum.seconds); n > 0 {
		h.FPS = math.Round(10*float64(sum.frames)/n) / 10
		h.VideoBitrate, h.AudioBitrate = 8*float64(sum.video)/n, 8*float64(sum.audio)/n
	}
	h.BFrames = sum.shifted && sum.low != sum.high
	h.KeyFrames = o.keyFrames()
	h.Speed = sum.speed()
	ahead, known := sum.drift()
	h.Drift = time.Duration(ahead) * time.Millisecond
	if known && !in.firstKnown && sum.seconds == ingestWindow {
		in.first, in.firstKnown = ahead, true
	}
	moved := 0.0
	if in.firstKnown && known {
		moved = ahead - in.first
	}
	h.Advice = o.advise(h, sum, moved, now.Sub(o.since))
	return h
}

// keyFrames is the longest time between the last key frames; 0 when it is not
// known.
func (in *observed) keyFrames() time.Duration {
	if in.keys == 0 || in.video.frames == 0 {
		return 0
	}
	ms := max(in.intervals[0], in.intervals[1], in.intervals[2], in.intervals[3], in.video.time-in.keyAt)
	d := time.Duration(ms) * time.Millisecond
	if d <= 0 || d >= maxGap || in.keys == 1 && d <= longKeyFrames {
		return 0
	}
	return d
}

// name is the codec of a lane; "unknown" when it has one that nobody knows.
func (in *observed) name(l *lane) string {
	if l.codec == "" && l.frames > 0 {
		return "unknown"
	}
	return string(l.codec)
}

// sum is all of the last whole seconds.
type sum struct {
	second
	seconds  int
	from, to int64 // the first frame of the oldest second that has one, and of the newest
	apart    int   // seconds between these two
}

func (in *observed) sum() (all sum) {
	oldest := -1
	for i := max(1, in.second-ingestWindow); i < in.second; i++ { // the first second has a beginning, the newest no end
		s := &in.seconds[i%len(in.seconds)]
		all.seconds++
		all.video, all.audio = all.video+s.video, all.audio+s.audio
		all.frames, all.back = all.frames+s.frames, all.back+s.back
		all.ahead, all.paired = all.ahead+s.ahead, all.paired+s.paired
		if s.shifted {
			if !all.shifted {
				all.low, all.high, all.shifted = s.low, s.high, true
			}
			all.low, all.high = min(all.low, s.low), max(all.high, s.high)
		}
		if s.startSet {
			if oldest < 0 {
				oldest, all.from = i, s.start
			}
			all.to, all.apart = s.start, i-oldest
		}
	}
	return all
}

// drift is by how many ms sound was ahead on average.
func (s *sum) drift() (ms float64, known bool) {
	if s.paired == 0 {
		return 0, false
	}
	return math.Round(float64(s.ahead) / float64(s.paired)), true
}

// speed is how fast the video's time went.
func (s *sum) speed() float64 {
	if s.apart < ingestWindow/2 {
		return 0
	}
	speed := math.Round(float64(s.to-s.from)/float64(s.apart)/10) / 100
	if speed < 0 || speed > maxSpeed {
		return 0 // the clock was set
	}
	return speed
}

// value is h as it travels.
func (h *Health) value() amf.Object {
	o := amf.Object{
		{Name: "stream", Value: amf.String(h.Stream)}, {Name: "since", Value: amf.Number(ms(h.Since))},
		{Name: "encoder", Value: amf.String(h.Encoder)}, {Name: "video", Value: amf.Null{}}, {Name: "audio", Value: amf.Null{}},
		{Name: "drift", Value: amf.Number(h.Drift.Milliseconds())}, {Name: "speed", Value: amf.Number(h.Speed)},
		{Name: "silent", Value: amf.Number(h.Silent.Milliseconds())}, {Name: "tracks", Value: amf.Number(h.Tracks)},
		{Name: "advice", Value: texts(h.Advice)},
	}
	if h.VideoCodec != "" {
		o[3].Value = amf.Object{
			{Name: "codec", Value: amf.String(h.VideoCodec)}, {Name: "profile", Value: amf.String(h.Profile)},
			{Name: "width", Value: amf.Number(h.Width)}, {Name: "height", Value: amf.Number(h.Height)},
			{Name: "fps", Value: amf.Number(h.FPS)}, {Name: "bitrate", Value: amf.Number(math.Round(h.VideoBitrate))},
			{Name: "keyFrames", Value: amf.Number(h.KeyFrames.Milliseconds())}, {Name: "bFrames", Value: amf.Bool(h.BFrames)},
		}
	}
	if h.AudioCodec != "" {
		o[4].Value = amf.Object{
			{Name: "codec", Value: amf.String(h.AudioCodec)}, {Name: "sampleRate", Value: amf.Number(h.SampleRate)},
			{Name: "channels", Value: amf.Number(h.Channels)}, {Name: "bitrate", Value: amf.Number(math.Round(h.AudioBitrate))},
		}
	}
	return o
}

// summary is what of it stands in the shared object "room": rounded, so that it
// changes when something has changed.
func (h *Health) summary() amf.Object {
	return amf.Object{
		{Name: "video", Value: amf.String(h.VideoCodec)}, {Name: "audio", Value: amf.String(h.AudioCodec)},
		{Name: "width", Value: amf.Number(h.Width)}, {Name: "height", Value: amf.Number(h.Height)},
		{Name: "fps", Value: amf.Number(math.Round(h.FPS))}, {Name: "bitrate", Value: amf.Number(roughly(h.VideoBitrate + h.AudioBitrate))},
		{Name: "advice", Value: texts(h.Advice)},
	}
}

// roughly keeps two digits.
func roughly(v float64) float64 {
	if v < 10 {
		return math.Round(v)
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Round(v/unit) * unit
}

func texts(list []string) amf.StrictArray {
	a := make(amf.StrictArray, len(list))
	for i, s := range list {
		a[i] = amf.String(strings.TrimSpace(s))
	}
	return a
}
