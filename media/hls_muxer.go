package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

	"foyer/server/flv"
)

// Times in milliseconds of the stream.
const (
	// hlsGather is for how long a stream is searched for its second track: some encoders
	// begin sound and pictures one after the other.
	hlsGather = 500
	// hlsGone is when a track no longer comes: the other one has continued so long.
	hlsGone = 1500
	// hlsPause is the longest time in which nothing at all happens. A longer one is cut
	// out, since players would wait at it.
	hlsPause = 1000
)

// Limits of what is held until the tracks are known, or the pictures have come to where
// the sound is: frames, and their bytes.
const (
	hlsHeld      = 512
	hlsHeldBytes = 3 << 20
)

// An hlsMuxer cuts a broadcast into segments. A rendition that has begun lasts until the
// end, because players never ask again which there are: where a track does not come,
// there is silence, or the last picture.
//
// Segments are cut at key frames of the leading track: the pictures, or the sound where
// there are none. Where a configuration changes or a track begins, both renditions have a
// discontinuity and a new init segment.
type hlsMuxer struct {
	h      *HLS
	tracks [lanes]hlsTrack
	begun  bool

	since  int64 // when the first frame came
	held   []hlsFrame
	weight int // bytes of held, or of the segments that are being made

	latest int64 // of all frames, in the time of the stream
	cutOut int64 // how much time has been cut out
	broken bool  // the next segment begins with a discontinuity

	number int       // of the segment that is being made
	start  int64     // when it began
	base   time.Time // wall clock of time 0
	heard  time.Time // when the last frame came
	long   bool      // the segment has become too long: nothing is written until the next
}

// An hlsFrame is a frame in the time of HLS, with the codec that decodes it.
type hlsFrame struct {
	tag
	at    int64
	codec *codec
}

// An hlsCut is where a segment begins.
type hlsCut struct {
	number int
	at     int64
	date   time.Time
	broken bool
	codec  *codec
}

func newHLSMuxer(h *HLS) hlsMuxer {
	m := hlsMuxer{h: h}
	m.tracks[videoLane] = hlsTrack{h: h, lane: videoLane, name: "video1"}
	m.tracks[audioLane] = hlsTrack{h: h, lane: audioLane, name: "audio2"}
	return m
}

// reset forgets frames that have not been written.
func (m *hlsMuxer) reset() {
	m.held, m.weight, m.broken, m.long = nil, 0, true, true
	for l := range m.tracks {
		t := &m.tracks[l]
		t.waiting, t.pending, t.out, t.ticks = nil, nil, nil, 0
	}
}

// lead is the track whose key frames begin segments.
func (m *hlsMuxer) lead() *hlsTrack {
	if m.tracks[videoLane].codec != nil || m.tracks[audioLane].codec == nil {
		return &m.tracks[videoLane]
	}
	return &m.tracks[audioLane]
}

func (m *hlsMuxer) other(t *hlsTrack) *hlsTrack { return &m.tracks[lanes-1-t.lane] }

// expect reads in onMetaData which tracks there are.
func (m *hlsMuxer) expect(payload []byte) {
	absent, named := absentFrom(payload)
	if !named {
		return
	}
	for l := range m.tracks {
		t := &m.tracks[l]
		if t.absent = absent[l]; t.absent {
			t.missed = hlsGone // unless its frames come
		}
	}
	m.tracks[audioLane].announced = announced(payload)
}

// announced reports whether onMetaData names a codec of sound that can be shown: as a
// number, or as Enhanced RTMP does.
func announced(payload []byte) bool {
	_, value, _ := bytes.Cut(payload, []byte("\x00\x0caudiocodecid"))
	for _, word := range []string{"\x00\x40\x24\x00\x00\x00\x00\x00\x00", "\x02\x00\x04mp4a", "\x02\x00\x04Opus", fourCCNumber("mp4a"), fourCCNumber("Opus")} {
		if bytes.HasPrefix(value, []byte(word)) {
			return true
		}
	}
	return false
}

// fourCCNumber is a FourCC as a number in AMF0.
func fourCCNumber(name string) string {
	n := float64(binary.BigEndian.Uint32([]byte(name)))
	return string(binary.BigEndian.AppendUint64([]byte{0}, math.Float64bits(n)))
}

var (
	errHLSCodec  = errors.New("HLS carries only H.264, H.265, AV1, VP9, AAC and Opus")
	errHLSConfig = errors.New("its configuration cannot be read")
	errHLSHeader = errors.New("its configuration has not come")
	// errHLSTooLong says why there are no segments.
	errHLSTooLong = &CodecError{"of the stream", "there are too many bytes between its key frames: set a shorter key frame interval in the encoder, or a lower bitrate"}
)

// configure takes a sequence header.
func (m *hlsMuxer) configure(f tag) {
	t := &m.tracks[f.lane]
	if t.want.same(f.Codec, f.Body) {
		return
	}
	if !boxable[f.Codec] {
		t.err = &CodecError{f.Codec.String(), errHLSCodec.Error()}
		return
	}
	c, err := newCodec(f.Codec, f.Body)
	if err != nil {
		t.err = &CodecError{f.Codec.String(), errHLSConfig.Error()}
		return
	}
	t.want, t.err, t.absent = c, nil, false
}

// frame takes a picture or sound, in the time of the stream.
func (m *hlsMuxer) frame(f tag, at int64) {
	t := &m.tracks[f.lane]
	m.pause(at)
	if !m.usable(t, f) {
		if !m.begun && t.err != nil && m.other(t).want == nil {
			m.h.fail(t.err)
		}
		if t.late {
			t.missed = 0
		}
		return
	}
	at -= m.cutOut
	if t.seen {
		m.other(t).missed += max(0, min(at-t.last, maxPending)) // a pause of both does not count
	}
	behind := t.late || t.filled || t.codec == nil
	if t.filled && t.want == t.booked {
		t.filled = false
		m.broken = m.broken || t.seen // otherwise it is the sound that was announced
	}
	t.seen, t.last, t.missed = true, at, 0
	w := hlsFrame{f, at, t.want}
	if !m.begun {
		m.hold(w)
		return
	}
	if t.late = behind && t.lane == videoLane && m.lead().written()-at > hlsLate; t.late {
		t.lost = true
		return
	}
	m.play(w)
	m.fill(m.other(t), at)
}

// pause cuts out a time in which nothing has happened.
func (m *hlsMuxer) pause(at int64) {
	now := time.Now()
	gap := at - m.latest
	if m.begun && (gap > hlsPause || now.Sub(m.heard) > hlsPause*time.Millisecond) {
		m.broken = true
		m.cutOut += max(0, gap-usualFrame)
		m.base = now.Add(-time.Duration(at-m.cutOut) * time.Millisecond)
	}
	m.heard, m.latest = now, max(m.latest, at)
}

// usable reports whether a frame can be decoded.
func (m *hlsMuxer) usable(t *hlsTrack, f tag) bool {
	if f.Codec == flv.VP9 && f.Key && t.want == nil {
		if b := recordOfVP9(f.Body); b != nil { // some encoders send none
			m.configure(tag{flv.Tag{Media: f.Media, Codec: f.Codec, Body: b}, f.lane})
		}
	}
	c := t.want
	switch {
	case !boxable[f.Codec]:
		t.err = &CodecError{f.Codec.String(), errHLSCodec.Error()}
		return false
	case c == nil || c.fourCC != f.Codec:
		if t.err == nil {
			t.err = &CodecError{f.Codec.String(), errHLSHeader.Error()}
		}
		return false
	case t.lane == audioLane:
		return true
	case f.Key:
		c.measure(f.Body)
	case t.lost || t.filled || !t.seen || t.booked != c && m.begun:
		return false
	}
	if t.lost = !c.size.ok(); t.lost {
		t.err = &CodecError{f.Codec.String(), errHLSConfig.Error()}
	}
	return !t.lost
}

// recordOfVP9 makes the configuration from a key frame (VP Codec ISO Media File Format
// Binding §2.2).
func recordOfVP9(b []byte) []byte {
	var h vp9.Header
	if h.Unmarshal(b) != nil || h.NonKeyFrame || h.ColorConfig == nil {
		return nil
	}
	kind := h.ColorConfig.BitDepth<<4 | h.ChromaSubsampling()<<1
	if h.ColorConfig.ColorRange {
		kind |= 1
	}
	return []byte{h.Profile, 0, kind, 2, 2, 2, 0, 0} // colours are not known
}

// hold keeps a frame until it is known which tracks there are.
func (m *hlsMuxer) hold(f hlsFrame) {
	if len(m.held) == 0 {
		m.since, m.weight = f.at, 0
	}
	m.held = append(m.held, f)
	m.weight += len(f.Body)
	ready := f.at-m.since >= hlsGather || len(m.held) >= hlsHeld || m.weight >= hlsHeldBytes
	if !ready {
		ready = true
		for l := range m.tracks {
			t := &m.tracks[l]
			ready = ready && (t.seen || t.err != nil || t.absent)
		}
	}
	if ready {
		m.begin()
	}
}

// begin begins with what has come, and with silence where sound is announced.
func (m *hlsMuxer) begin() {
	held, first := m.held, m.held[0]
	m.held = nil
	for _, f := range held {
		if f.picture() {
			first = f // a key frame, as usable says
			break
		}
	}
	audio := &m.tracks[audioLane]
	if audio.want == nil && audio.err == nil && audio.announced {
		audio.want, _ = newCodec(flv.AAC, silentAAC)
	}
	audio.filled = !audio.seen
	m.begun, m.broken = true, false
	m.number, m.start = -1, first.at
	m.base = time.Now().Add(-time.Duration(first.at) * time.Millisecond)
	m.cut(first)
	m.h.fail(nil)
	for _, f := range held {
		if f.picture() || f.at >= first.at {
			m.play(f)
		}
	}
}

// changes reports whether f begins with other tracks or codecs than the segment before.
func (m *hlsMuxer) changes(f hlsFrame) bool {
	for l := range m.tracks {
		if t := &m.tracks[l]; t.turns(f) {
			return true
		}
	}
	return m.broken
}

// play writes a frame, and begins a segment with it if it is time.
func (m *hlsMuxer) play(f hlsFrame) {
	t := &m.tracks[f.lane]
	lead := m.lead()
	if f.at > m.start && (f.picture() && f.Key || t == lead && !f.picture()) {
		if f.at-m.start >= hlsLasts.Milliseconds() || m.changes(f) {
			m.cut(f)
			lead = m.lead()
		}
	}
	if m.weigh(f) {
		return
	}
	if t != lead {
		t.waiting = append(t.waiting, f)
		if len(t.waiting) > hlsHeld {
			t.release(t.waiting[0].at)
		}
		return
	}
	t.write(f)
	m.other(t).release(f.at)
}

// weigh counts a frame, and reports whether the segment has become too long.
func (m *hlsMuxer) weigh(f hlsFrame) bool {
	m.weight += len(f.Body) + hlsSample
	if m.weight <= MaxHLSSegment || m.long {
		return m.long
	}
	m.reset()
	m.h.fail(errHLSTooLong)
	return true
}

// cut begins a segment with f, in all renditions.
func (m *hlsMuxer) cut(f hlsFrame) {
	if !m.long && m.number >= 0 {
		m.h.fail(nil)
	}
	c := hlsCut{number: m.number + 1, at: f.at, date: m.base.Add(time.Duration(f.at) * time.Millisecond)}
	c.broken = m.number >= 0 && m.changes(f)
	lead := m.lead()
	m.number, m.start, m.weight, m.broken, m.long = c.number, f.at, 0, false, false
	for _, t := range []*hlsTrack{lead, m.other(lead)} {
		if t.turns(f) {
			t.booked = t.want
		}
		c.codec = t.booked
		switch {
		case t.booked == nil:
		case t.codec == nil:
			t.begin(c, m.h.renditions[lead.lane])
		case t == lead:
			t.turn(c)
		default:
			t.cuts = append(t.cuts, c)
		}
	}
	m.h.trim(c.number)
}

// fill continues a track that does not come as far as the other one is.
func (m *hlsMuxer) fill(t *hlsTrack, until int64) {
	if t.codec == nil || m.long {
		return
	}
	if t.missed >= hlsGone && !t.filled {
		t.filled, m.broken = true, true
	}
	switch {
	case t.lane == audioLane && (t.filled || t.want != t.codec): // what comes is for the next segment
		t.release(until)
		t.reach(until)
	case t.lane == videoLane && t.filled:
		for at := t.due + hlsPartTime.Milliseconds(); at <= until; at = t.due + hlsPartTime.Milliseconds() {
			m.play(hlsFrame{t.still, at, t.codec})
			if m.long {
				return
			}
		}
	}
}

// finish writes everything that waits.
func (m *hlsMuxer) finish() {
	if !m.begun && len(m.held) > 0 {
		m.begin()
	}
	for l := range m.tracks {
		m.tracks[l].finish(m.latest - m.cutOut)
	}
}
