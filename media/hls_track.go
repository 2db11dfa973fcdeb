package media

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

	"foyer/server/flv"
)

// hlsGather is how many milliseconds of a stream are searched for its second
// track: some encoders begin sound and pictures one after the other.
const hlsGather = 500

// Limits of what is held meanwhile: frames, and their bytes without the last one.
const (
	hlsHeld      = 512
	hlsHeldBytes = 3 << 20
)

// hlsTracks are the tracks of a stream, as the sequence headers say, and the
// frames that wait until all are known.
type hlsTracks struct {
	video, audio *hlsTrack // nil: not seen
	opened       bool
	changed      bool // the codecs are not those of the muxer
	since        int64
	held         []hlsWrite
	heldBytes    int // of held, since it was empty
}

// An hlsTrack is one codec on its way into a muxer.
type hlsTrack struct {
	codec  flv.Codec
	config []byte
	err    error // why it cannot be shown
	hls    *gohlslib.Track
	size   int      // of the lengths in front of NAL units
	params [][]byte // VPS, SPS, PPS
	last   int64    // time of the last frame, in the track's clock
	begun  bool

	seen    bool // a frame has come
	at      int64
	missed  int64 // by how much the other track has continued since
	resting bool  // not in the muxer until its frames come again
}

// An hlsWrite is a frame to be written.
type hlsWrite struct {
	at    int64
	frame tag
	track *hlsTrack
}

// header learns a codec's configuration.
func (t *hlsTracks) header(f tag) {
	slot := &t.audio
	if f.picture() {
		slot = &t.video
	}
	old := *slot
	if old != nil && old.codec == f.Codec && bytes.Equal(old.config, f.Body) {
		return
	}
	track := newHLSTrack(f)
	if t.opened && old != nil && old.hls != nil && track.err == nil && track.params != nil && old.codec == track.codec {
		// The parameters of this codec are in band, so the muxer continues.
		old.config, old.size, old.params = track.config, track.size, track.params
		return
	}
	*slot = track
	t.changed = true
}

// coded looks at a frame and reports whether it is time for a new muxer.
func (t *hlsTracks) coded(f tag, at int64) (begin bool, err error) {
	track := t.of(f)
	if track == nil || track.codec != f.Codec {
		if f.picture() && !f.Key && f.Codec == flv.VP9 {
			return false, nil
		}
		t.header(tag{flv.Tag{Media: f.Media, Codec: f.Codec, Body: f.Body}, f.lane}) // this codec has no header
		track = t.of(f)
	}
	if track.err != nil {
		return false, track.err
	}
	t.rest(f, at)
	if !t.changed || track.resting {
		return false, nil
	}
	if len(t.held) == 0 {
		if t.pictures() && !(f.picture() && f.Key) {
			return false, nil // begins with a key frame
		}
		t.since = at
	}
	if (t.video == nil || t.audio == nil) && at-t.since < hlsGather && len(t.held) < hlsHeld && t.heldBytes < hlsHeldBytes {
		t.hold(f, at)
		return false, nil
	}
	if t.pictures() && (len(t.held) == 0 || !t.held[0].frame.picture()) && !(f.picture() && f.Key) {
		t.held = nil // the pictures came later: begin with their key frame
		return false, nil
	}
	return true, nil
}

// rest leaves out a track that no longer comes, because players would wait for
// it, and takes it in again when it is back. Where there are pictures, both happen
// at a key frame.
func (t *hlsTracks) rest(f tag, at int64) {
	this, other := t.audio, t.video
	if f.picture() {
		this, other = other, this
	}
	if this.seen && other != nil {
		other.missed += max(0, min(at-this.at, maxPending)) // a pause of both does not count
	}
	this.seen, this.at, this.missed = true, at, 0
	switch {
	case !t.opened:
	case f.picture() && f.Key && this.resting:
		this.resting, t.changed = false, true
	case other == nil || this.resting || f.picture() && !f.Key:
	case other.missed >= trackGone && !other.resting:
		other.resting, t.changed = true, true
	case f.picture() && other.resting && other.missed < trackGone:
		other.resting, t.changed = false, true
	}
}

// pictures reports whether the muxer has, or will have, a track of them.
func (t *hlsTracks) pictures() bool { return t.video != nil && !t.video.resting }

func (t *hlsTracks) hold(f tag, at int64) {
	if len(t.held) == 0 {
		t.heldBytes = 0
	}
	t.held = append(t.held, hlsWrite{at: at, frame: f, track: t.of(f)})
	t.heldBytes += len(f.Body)
}

func (t *hlsTracks) of(f tag) *hlsTrack {
	if f.picture() {
		return t.video
	}
	return t.audio
}

// open makes the muxer's tracks.
func (t *hlsTracks) open() (all []*gohlslib.Track, err error) {
	for _, track := range []*hlsTrack{t.video, t.audio} {
		if track == nil || track.resting {
			continue
		}
		if track.hls == nil {
			return nil, track.err
		}
		fresh := *track.hls
		track.hls, track.begun = &fresh, false
		all = append(all, track.hls)
	}
	t.opened, t.changed = true, false
	return all, nil
}

// ready returns the frames to write, the last of which is f.
func (t *hlsTracks) ready(f tag, at int64) []hlsWrite {
	all := t.held
	t.held = nil
	if track := t.of(f); !track.resting {
		all = append(all, hlsWrite{at: at, frame: f, track: track})
	}
	return all
}

// newHLSTrack reads a sequence header.
func newHLSTrack(f tag) *hlsTrack {
	t := &hlsTrack{codec: f.Codec, config: f.Body}
	var codec codecs.Codec
	rate := 90000
	codec, t.err = t.parse(f.Body)
	if aac, ok := codec.(*codecs.MPEG4Audio); ok {
		rate = aac.Config.SampleRate
	} else if _, ok := codec.(*codecs.Opus); ok {
		rate = 48000
	}
	if t.err != nil {
		t.err = &CodecError{f.Codec.String(), t.err.Error()}
		return t
	}
	t.hls = &gohlslib.Track{Codec: codec, ClockRate: rate}
	return t
}

var (
	errHLSCodec  = errors.New("HLS carries only H.264, H.265, AV1, VP9, AAC and Opus")
	errHLSConfig = errors.New("its configuration cannot be read")
)

func (t *hlsTrack) parse(b []byte) (codecs.Codec, error) {
	switch {
	case !boxable[t.codec]:
		return nil, errHLSCodec
	case t.codec == flv.VP9:
		return parseVP9(b), nil
	}
	c, err := newCodec(t.codec, b)
	if err != nil {
		return nil, errHLSConfig
	}
	t.size, t.params = c.prefix, slices.Concat(c.vps, c.sps, c.pps)
	switch t.codec {
	case flv.AVC:
		return &codecs.H264{SPS: c.sps[0], PPS: c.pps[0]}, nil
	case flv.HEVC:
		if len(c.vps) > 0 && len(c.pps) > 0 {
			return &codecs.H265{VPS: c.vps[0], SPS: c.sps[0], PPS: c.pps[0]}, nil
		}
	case flv.AV1:
		if unit, _, ok := sequenceOf(b[4:]); ok {
			return &codecs.AV1{SequenceHeader: unit}, nil
		}
	case flv.AAC:
		if c.aac.ChannelConfig > 0 {
			return &codecs.MPEG4Audio{Config: c.aac}, nil
		}
	case flv.Opus:
		return &codecs.Opus{ChannelCount: int(c.channels)}, nil
	}
	return nil, errHLSConfig
}

// parseVP9 reads a key frame. A vpcC does not tell the size: then the muxer reads
// everything in the first key frame.
func parseVP9(b []byte) *codecs.VP9 {
	var h vp9.Header
	if h.Unmarshal(b) != nil || h.NonKeyFrame || h.ColorConfig == nil || h.FrameSize == nil {
		return &codecs.VP9{BitDepth: 8, ChromaSubsampling: 1}
	}
	return &codecs.VP9{Width: h.Width(), Height: h.Height(), Profile: h.Profile, BitDepth: h.ColorConfig.BitDepth,
		ChromaSubsampling: h.ChromaSubsampling(), ColorRange: h.ColorConfig.ColorRange}
}

var errHLSFrame = errors.New("media: frame cannot be read")

// write writes the frame.
func (w hlsWrite) write(m *gohlslib.Muxer, ntp time.Time) error {
	t, f := w.track, w.frame
	switch t.codec {
	case flv.AAC:
		if at, ok := t.sound(w.at, 1024); ok {
			return m.WriteMPEG4Audio(t.hls, ntp, at, [][]byte{f.Body})
		}
		return nil
	case flv.Opus:
		if at, ok := t.sound(w.at, opus.PacketDuration2(f.Body)); ok {
			return m.WriteOpus(t.hls, ntp, at, [][]byte{f.Body})
		}
		return nil
	}
	at := w.at * 90
	if t.begun && at <= t.last {
		at = t.last + 90
	}
	t.begun, t.last = true, at
	switch t.codec {
	case flv.VP9:
		return m.WriteVP9(t.hls, ntp, at, f.Body)
	case flv.AV1:
		units, err := av1Units(f.Body)
		if err != nil || len(units) == 0 {
			return err
		}
		return m.WriteAV1(t.hls, ntp, at, units)
	}
	units, err := t.units(f)
	if err != nil || len(units) == 0 {
		return err
	}
	pts := at + int64(f.Shift)*90
	if t.codec == flv.HEVC {
		return m.WriteH265(t.hls, ntp, pts, units)
	}
	return m.WriteH264(t.hls, ntp, pts, units)
}

// sound is the time of a packet of n samples. Packets follow one another, since
// times in milliseconds are not exact, unless there is a gap. It is not ok for an
// empty packet, or when a publisher sends more sound than there is time.
func (t *hlsTrack) sound(at, n int64) (time int64, ok bool) {
	rate := int64(t.hls.ClockRate)
	time = at * rate / 1000
	if t.begun && time-t.last < rate/10 {
		if t.last-time > rate {
			return 0, false
		}
		time = t.last
	}
	t.begun, t.last = true, time+n
	return time, n > 0
}

// av1Units are the OBUs of a frame, without temporal delimiters (AV1 in ISOBMFF §2.4).
func av1Units(b []byte) (units av1.Bitstream, err error) {
	if err := units.Unmarshal(b); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(units, func(u []byte) bool { return len(u) == 0 || u[0]>>3&15 == 2 }), nil
}

// units are the NAL units of a frame, those of the header in front of a key frame.
func (t *hlsTrack) units(f tag) (units [][]byte, err error) {
	if f.Key {
		units = append(units, t.params...)
	}
	for b := f.Body; len(b) > 0; {
		if len(b) < t.size {
			return nil, errHLSFrame
		}
		n := 0
		for _, c := range b[:t.size] {
			n = n<<8 | int(c)
		}
		if b = b[t.size:]; n > len(b) {
			return nil, errHLSFrame
		}
		if n > 0 {
			units = append(units, b[:n:n])
		}
		b = b[n:]
	}
	return units, nil
}
