package media

import (
	"bytes"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// A mender makes the messages of a publisher what they say they are: one access
// unit in each, with its key frame flag, and the configuration in front. It is
// between the relay, which passes on messages as they come, and everything that
// is made of them. A message that is right already is not copied. The zero value
// is ready.
type mender struct {
	out    []mended // of the call that is being answered
	behind []mended // what came behind the picture that is held
	bytes  int      // of behind
	video  pictureMender
	audio  soundMender
}

// maxBehind is how many messages wait behind a picture. Their bytes are bounded by
// MaxPicture.
const maxBehind = 128

// A mended is a message, with the tag that muxers without a place for other
// tracks take of it: that of track 0, or one of the kind flv.Other.
type mended struct {
	tag
	message rtmp.Message
}

// take returns what is ready when a message has come. That may be nothing, and
// holds until the next call.
func (x *mender) take(m rtmp.Message) []mended {
	x.begin()
	t, ok := parse(m)
	switch {
	case m.Type == rtmp.TypeDataAMF0 || m.Type == rtmp.TypeDataAMF3:
		x.put(mended{message: m})
	case !ok:
	case t.picture():
		x.video.take(x, mended{t, m})
	default:
		x.video.waited(x, m.Timestamp)
		x.audio.take(x, mended{t, m})
	}
	return x.out
}

// end returns what still waits, because nothing of this publisher follows.
func (x *mender) end() []mended {
	x.begin()
	x.video.flush(x)
	x.video, x.audio = pictureMender{}, soundMender{}
	return x.out
}

// settle returns the picture that waits for the rest of it, which will not come
// unless this publisher is known to send pictures in parts.
func (x *mender) settle() []mended {
	x.begin()
	if x.waits() {
		x.video.flush(x)
	}
	return x.out
}

// waits reports whether settle would return something.
func (x *mender) waits() bool { return x.video.held.role == flv.Begin && !x.video.parts }

// gap says that messages are missing here.
func (x *mender) gap() {
	if x.video.held.role != flv.Begin {
		x.video.held = held{}
	}
}

func (x *mender) begin() {
	clear(x.out)
	x.out = x.out[:0]
}

// put puts out a message, behind the picture that is held.
func (x *mender) put(m mended) {
	if x.add(m); len(x.behind) >= maxBehind || x.bytes > MaxPicture {
		x.video.flush(x)
	}
}

func (x *mender) add(m mended) {
	if x.video.held.role != flv.Begin {
		x.out = append(x.out, m)
		return
	}
	x.behind = append(x.behind, m)
	x.bytes += len(m.message.Payload)
}

// release puts out what came behind a picture.
func (x *mender) release() {
	x.out = append(x.out, x.behind...)
	clear(x.behind)
	x.behind, x.bytes = x.behind[:0], 0
}

// pass puts out a message that only players of FLV may make something of.
func (x *mender) pass(m mended) {
	m.Kind = flv.Other
	x.put(m)
}

// putAs puts out the message m of which the first track is t instead.
func (x *mender) putAs(m mended, t tag) {
	x.others(m)
	t.Several = false
	m.tag = t
	m.message.Payload = t.Append(nil)
	m.Body = m.message.Payload[len(m.message.Payload)-len(t.Body):]
	x.put(m)
}

// others puts out the tracks of m that are not the first, each by itself.
func (x *mender) others(m mended) {
	if !m.Several {
		return
	}
	var t flv.Tag
	for ok := t.Parse(m.Media, m.message.Payload); ok; ok = t.Next() {
		if t.Track != 0 {
			o := m.message
			o.Payload = t.Append(nil)
			x.add(mended{tag: tag{lane: m.lane}, message: o})
		}
	}
}

// A soundMender mends sound. A phone may send its configuration as a frame, or
// leave the headers of a file of AAC, ADTS, on the frames.
type soundMender struct {
	codec   flv.Codec
	config  []byte // nil: none has come
	guessed bool   // config is from the frames
}

func (s *soundMender) take(x *mender, m mended) {
	if m.Kind != flv.SequenceStart && m.Kind != flv.CodedFrames {
		x.put(m)
		return
	}
	if m.Codec != s.codec {
		*s = soundMender{codec: m.Codec}
	}
	switch {
	case s.elements() && isADTS(m.Body):
		s.unwrap(x, m)
	case len(m.Body) == 0:
	case m.Kind == flv.SequenceStart:
		s.config, s.guessed = m.Body, false
		x.put(m)
	case bytes.Equal(m.Body, s.config):
	case isConfig(m.Codec, m.Body) && (m.Codec != flv.AAC || s.elements()):
		if _, err := newCodec(m.Codec, m.Body); err == nil && s.config == nil {
			s.configure(x, m, m.Body)
		}
	default:
		x.put(m)
	}
}

// elements reports whether the sound is AAC whose frames are lists of elements, as
// far as is known: with SBR and PS or without, but not one of low delay, which has
// shorter frames that may begin with anything (ISO/IEC 14496-3 §1.5.1.1).
func (s *soundMender) elements() bool {
	const lowDelay, ps = 17, 29
	if s.codec != flv.AAC || len(s.config) == 0 {
		return s.codec == flv.AAC
	}
	object := s.config[0] >> 3
	return object < lowDelay || object == ps
}

// configure puts out a configuration that the publisher has not sent as one.
func (s *soundMender) configure(x *mender, m mended, config []byte) {
	s.config, s.guessed = config, true
	t := m.tag
	t.Kind, t.Key, t.Body = flv.SequenceStart, false, config
	m.Several = false // its tracks follow
	x.putAs(m, t)
}

// shortAAC is the fewest bytes that a frame of AAC has: one channel of silence
// and the mark of the end (ISO/IEC 14496-3 §4.4.2.1).
const shortAAC = 4

// isConfig reports whether sound that was sent as a frame is none but a
// configuration, or what else is in front of the frames of a file.
func isConfig(c flv.Codec, b []byte) bool {
	switch c {
	case flv.AAC:
		const sbr = "\x56\xe5" // the extension of an AudioSpecificConfig (§1.6.6.1)
		return len(b) < shortAAC || len(b) <= 5 && string(b[2:4]) == sbr
	case flv.Opus:
		return bytes.HasPrefix(b, []byte("OpusHead")) || bytes.HasPrefix(b, []byte("OpusTags"))
	case flv.FLAC:
		return bytes.HasPrefix(b, []byte("fLaC"))
	case flv.MP3:
		return bytes.HasPrefix(b, []byte("ID3"))
	}
	return false
}

const (
	adtsHeader = 7
	adtsCRC    = 2
	maxADTS    = 64 // frames in one message
)

// isADTS reports whether AAC has an ADTS header (ISO/IEC 14496-3 §1.A.2.2). No
// frame begins with its sync word, which would be a mark of the end.
func isADTS(b []byte) bool { return len(b) >= 2 && b[0] == 0xFF && b[1]&0xF6 == 0xF0 }

// unwrap takes the headers off the frames, and learns from them what no
// configuration has said.
func (s *soundMender) unwrap(x *mender, m mended) {
	x.others(m)
	m.Several = false
	b, from := m.Body, m.message.Timestamp
	for n := range uint32(maxADTS) {
		frame, config, rest := cutADTS(b)
		if config == nil {
			return
		}
		if s.config == nil || s.guessed && !bytes.Equal(s.config, config) {
			s.configure(x, m, config)
		}
		if b = rest; len(frame) == 0 {
			continue
		}
		t := m.tag
		t.Kind, t.Key, t.Body = flv.CodedFrames, true, frame
		m.message.Timestamp = from + n*1024*1000/adtsRate(config)
		x.putAs(m, t)
	}
}

// adtsRates by sampling frequency index (ISO/IEC 14496-3 §1.6.3.4).
var adtsRates = [13]uint32{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

func adtsRate(config []byte) uint32 { return adtsRates[config[0]<<1&0x0E|config[1]>>7] }

// cutADTS takes the first frame off b, and makes an AudioSpecificConfig of its
// header. The configuration is nil if there is no frame, or not all of it.
func cutADTS(b []byte) (frame, config, rest []byte) {
	if len(b) < adtsHeader || !isADTS(b) {
		return nil, nil, nil
	}
	head := adtsHeader
	if b[1]&1 == 0 {
		head += adtsCRC
	}
	size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	object, rate, channels := b[2]>>6+1, b[2]>>2&0x0F, b[2]&1<<2|b[3]>>6
	if size < adtsHeader || int(rate) >= len(adtsRates) {
		return nil, nil, nil
	}
	config = []byte{object<<3 | rate>>1, rate<<7 | channels<<3}
	if size == adtsHeader || len(b) == adtsHeader { // a header alone: only the configuration
		return nil, config, nil
	}
	if size < head || size > len(b) {
		return nil, nil, nil
	}
	return b[head:size:size], config, b[size:]
}
