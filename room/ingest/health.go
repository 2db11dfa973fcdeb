package ingest

import (
	"math"
	"strings"
	"time"

	"foyer/server/amf"
)

// Bounds of what is believed. Beyond them, a clock was set.
const (
	maxGap   = 10 * time.Minute // between two key frames
	maxSpeed = 100
)

// Health is how a stream is doing. Rates are those of the last ten whole seconds.
type Health struct {
	Stream  string
	Since   time.Time
	Encoder string // as it calls itself, of any length up to MaxMetaData and with any characters

	VideoCodec, Profile string // "": there is no video, or its profile is not known
	Width, Height       int
	FPS                 float64
	VideoBitrate        float64       // bits a second
	KeyFrames           time.Duration // the longest time between the last ones; 0: not known
	BFrames             bool

	AudioCodec           string
	SampleRate, Channels int
	AudioBitrate         float64

	Drift  time.Duration // by how much sound comes before its picture
	Speed  float64       // of the video's clock; 1 is right, 0: not known
	Silent time.Duration // since the last sound or picture
	Tracks int

	Advice []string // what to change, the most important first; never nil
}

// Health sums up what had been seen when the last second ended.
func (in *Monitor) Health(stream string, now time.Time) Health {
	o := *in.shown.Load()
	h := Health{
		Stream: stream, Since: o.since, Encoder: o.encoder, Tracks: o.tracks + 1,
		VideoCodec: o.video.codecName(), AudioCodec: o.audio.codecName(), Silent: now.Sub(o.since),
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
	if known && !in.firstKnown && sum.seconds == window {
		in.first, in.firstKnown = ahead, true
	}
	moved := 0.0
	if in.firstKnown && known {
		moved = ahead - in.first
	}
	h.Advice = o.advise(h, sum, moved, now.Sub(o.since))
	return h
}

// keyFrames returns the longest time between the last key frames; 0: not known.
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

// codecName returns the codec of a lane, or "unknown" if it has no name.
func (l *lane) codecName() string {
	if l.codec == "" && l.frames > 0 {
		return "unknown"
	}
	return l.codec
}

// sum adds up the last whole seconds.
type sum struct {
	second
	seconds  int
	from, to int64 // times of the first frames of the oldest and the newest second that have frames
	apart    int   // seconds between those two
}

func (in *observed) sum() (all sum) {
	oldest := -1
	for i := max(1, in.second-window); i < in.second; i++ { // the first second began late, and the newest has not ended
		s := &in.seconds[i%len(in.seconds)]
		all.seconds++
		all.video, all.audio = all.video+s.video, all.audio+s.audio
		all.frames, all.back = all.frames+s.frames, all.back+s.back
		all.ahead, all.paired = all.ahead+s.ahead, all.paired+s.paired
		all.sounds, all.heard, all.seen = all.sounds+s.sounds, all.heard+s.heard, all.seen+s.seen
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

// drift returns by how many ms sound was ahead on average.
func (s *sum) drift() (ms float64, known bool) {
	if s.paired == 0 {
		return 0, false
	}
	return math.Round(float64(s.ahead) / float64(s.paired)), true
}

// stands reports whether frames come and the clock that counts them does not go on.
func (s *sum) stands(frames int, moved int64) bool {
	return s.seconds >= window/2 && frames >= slowestFrames*s.seconds && moved >= 0 && moved < int64(s.seconds)*standing
}

// speed returns how fast the video's clock went; 0: not known.
func (s *sum) speed() float64 {
	if s.apart < window/2 {
		return 0
	}
	speed := math.Round(float64(s.to-s.from)/float64(s.apart)/10) / 100
	if speed < 0 || speed > maxSpeed {
		return 0 // the clock was set
	}
	return speed
}

// Value returns h as the method ingest answers it.
func (h *Health) Value() amf.Object {
	o := amf.Object{
		{Name: "stream", Value: amf.String(h.Stream)}, {Name: "since", Value: amf.Number(h.Since.UnixMilli())},
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

// Summary returns what the shared object "room" shows of h: rounded, so that it changes
// only when something has changed.
func (h *Health) Summary() amf.Object {
	return amf.Object{
		{Name: "video", Value: amf.String(h.VideoCodec)}, {Name: "audio", Value: amf.String(h.AudioCodec)},
		{Name: "width", Value: amf.Number(h.Width)}, {Name: "height", Value: amf.Number(h.Height)},
		{Name: "fps", Value: amf.Number(math.Round(h.FPS))}, {Name: "bitrate", Value: amf.Number(roughly(h.VideoBitrate + h.AudioBitrate))},
		{Name: "advice", Value: texts(h.Advice)},
	}
}

// roughly rounds to two digits.
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
