package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/Eyevinn/mp4ff/mp4"
)

// MaxRecord is the longest decoder configuration that is taken.
const MaxRecord = 16 << 10

// boxable is the codecs that are put into MP4.
var boxable = map[string]bool{"avc1": true, "hvc1": true, "av01": true, "vp09": true, "mp4a": true, "Opus": true}

var errRecord = errors.New("media: decoder configuration is not valid")

// A codec is what a decoder must know before the first frame.
type codec struct {
	fourCC    string
	record    []byte // as the publisher sent it
	mime      string // as in RFC 6381
	timescale uint32 // ticks of the track in a second
	frame     uint32 // ticks of an audio frame; 0: it varies
	channels  uint16
	size      size // of the picture; for av01 and vp09 it may be known only at a key frame
	box       mp4.Box
}

// videoScale is that of every video track: RTMP has no finer time.
const videoScale = 1000

// newCodec reads the body of a sequence header.
func newCodec(fourCC string, record []byte) (*codec, error) {
	if len(record) > MaxRecord {
		return nil, fmt.Errorf("%w: %d bytes", errRecord, len(record))
	}
	c := &codec{fourCC: fourCC, record: bytes.Clone(record), timescale: videoScale}
	read := map[string]func() bool{
		"avc1": c.readAVC, "hvc1": c.readHEVC, "av01": c.readAV1, "vp09": c.readVP9, "mp4a": c.readAAC, "Opus": c.readOpus,
	}[fourCC]
	if read == nil || !read() {
		return nil, fmt.Errorf("%w: %s", errRecord, fourCC)
	}
	return c, nil
}

func rawBox(name string, payload []byte) mp4.Box {
	return mp4.CreateUnknownBox(name, uint64(8+len(payload)), payload)
}

// readAVC reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
// It goes into the file as it is; what does not end is refused.
func (c *codec) readAVC() bool {
	b := c.record
	if len(b) < 7 || b[0] != 1 || b[4]&3 == 2 {
		return false
	}
	sets := b[5] & 0x1f
	rest, ok := b[6:], sets > 0
	for i := range sets {
		var nalu []byte
		if nalu, rest, ok = nextSet(rest); !ok {
			return false
		}
		if i == 0 {
			c.size = sizeOfAVC(nalu)
		}
	}
	if len(rest) == 0 {
		return false
	}
	pictures := rest[0]
	rest = rest[1:]
	for range pictures {
		if _, rest, ok = nextSet(rest); !ok {
			return false
		}
	}
	c.mime = fmt.Sprintf("avc1.%02x%02x%02x", b[1], b[2], b[3])
	c.box = rawBox("avcC", b)
	return ok && pictures > 0 && c.size.ok()
}

// nextSet takes a parameter set with its length of 16 bits.
func nextSet(b []byte) (nalu, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; n == 0 || n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// readHEVC reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1).
func (c *codec) readHEVC() bool {
	const sequenceSet = 33
	b := c.record
	if len(b) < 23 || b[21]&3 == 2 {
		return false
	}
	rest := b[23:]
	for range b[22] {
		if len(rest) < 3 {
			return false
		}
		kind, n := rest[0]&0x3f, int(binary.BigEndian.Uint16(rest[1:]))
		rest = rest[3:]
		for range n {
			var nalu []byte
			var ok bool
			if nalu, rest, ok = nextSet(rest); !ok {
				return false
			}
			if kind == sequenceSet && c.size == (size{}) {
				c.size = sizeOfHEVC(nalu)
			}
		}
	}
	c.mime = mimeOfHEVC(b)
	c.box = rawBox("hvcC", b)
	return c.size.ok()
}

// mimeOfHEVC is ISO/IEC 14496-15 §E.3: hvc1.1.6.L93.B0.
func mimeOfHEVC(b []byte) string {
	space := []string{"", "A", "B", "C"}[b[1]>>6]
	tier := "L"
	if b[1]&0x20 != 0 {
		tier = "H"
	}
	var compatible uint32 // its bits the other way round
	for i := range 32 {
		compatible |= binary.BigEndian.Uint32(b[2:]) >> i & 1 << (31 - i)
	}
	s := fmt.Sprintf("hvc1.%s%d.%X.%s%d", space, b[1]&0x1f, compatible, tier, b[12])
	for _, constraint := range bytes.TrimRight(b[6:12], "\x00") {
		s += fmt.Sprintf(".%X", constraint)
	}
	return s
}

// readAV1 reads an AV1CodecConfigurationRecord (AV1 in ISOBMFF §2.3.3).
func (c *codec) readAV1() bool {
	b := c.record
	if len(b) < 4 || b[0] != 0x81 {
		return false
	}
	depth, tier := 8, "M"
	if b[2]&0x40 != 0 {
		if depth = 10; b[2]&0x20 != 0 {
			depth = 12
		}
	}
	if b[2]&0x80 != 0 {
		tier = "H"
	}
	c.mime = fmt.Sprintf("av01.%d.%02d%s.%02d", b[1]>>5, b[1]&0x1f, tier, depth)
	c.size = sizeOfAV1(b[4:])
	c.box = rawBox("av1C", b)
	return true
}

// readVP9 reads a VPCodecConfigurationRecord (VP Codec ISO Media File Format
// Binding §2.2), with or without the version and flags of its box.
func (c *codec) readVP9() bool {
	b := c.record
	if bytes.HasPrefix(b, []byte{1, 0, 0, 0}) && len(b) >= 12 {
		b = b[4:]
	}
	if len(b) < 8 {
		return false
	}
	level := b[1]
	if level == 0 { // unknown; browsers want one
		level = 10
	}
	c.mime = fmt.Sprintf("vp09.%02d.%02d.%02d", b[0], level, b[2]>>4)
	c.box = rawBox("vpcC", append([]byte{1, 0, 0, 0}, b...))
	return true
}

// aacRates is the sampling frequency index (ISO/IEC 14496-3 §1.6.3.4).
var aacRates = [...]uint32{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// readAAC reads an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
func (c *codec) readAAC() bool {
	r := &bitReader{b: c.record}
	object := audioObject(r)
	c.timescale = audioRate(r)
	c.channels = uint16(r.bits(4))
	core := object
	if object == 5 || object == 29 { // SBR, PS: the rate above is the core's
		audioRate(r)
		core = audioObject(r)
	}
	c.frame = 1024
	if (core == 1 || core == 2 || core == 3 || core == 4) && r.flag() {
		c.frame = 960
	}
	switch c.channels {
	case 0: // says a program config element
		c.channels = 2
	case 7:
		c.channels = 8
	}
	c.mime = fmt.Sprintf("mp4a.40.%d", object)
	c.box = mp4.CreateEsdsBox(c.record)
	return !r.short && object > 0 && c.timescale >= 7350 && c.timescale <= 192000 && c.channels <= 8
}

func audioObject(r *bitReader) uint32 {
	if v := r.bits(5); v != 31 {
		return v
	}
	return 32 + r.bits(6)
}

func audioRate(r *bitReader) uint32 {
	i := r.bits(4)
	switch {
	case i == 15:
		return r.bits(24)
	case int(i) < len(aacRates):
		return aacRates[i]
	}
	return 0
}

// readOpus reads an identification header (RFC 7845 §5.1); in MP4 its numbers
// have the other byte order (Opus in ISOBMFF §4.3.2).
func (c *codec) readOpus() bool {
	b := c.record
	if len(b) < 19 || string(b[:8]) != "OpusHead" || b[9] == 0 || b[9] > 8 {
		return false
	}
	c.timescale, c.channels, c.mime = 48000, uint16(b[9]), "opus"
	d := []byte{0, b[9], b[11], b[10], b[15], b[14], b[13], b[12], b[17], b[16], b[18]}
	if b[18] != 0 {
		if len(b) < 21+int(b[9]) {
			return false
		}
		d = append(d, b[19:21+int(b[9])]...)
	}
	c.box = rawBox("dOps", d)
	return true
}

// opusTicks is how long a packet lasts (RFC 6716 §3.1), at 48 kHz.
func opusTicks(packet []byte) uint32 {
	var frame uint32
	switch config := packet[0] >> 3; {
	case config < 12:
		frame = []uint32{480, 960, 1920, 2880}[config%4]
	case config < 16:
		frame = []uint32{480, 960}[config%2]
	default:
		frame = []uint32{120, 240, 480, 960}[config%4]
	}
	switch packet[0] & 3 {
	case 0:
		return frame
	case 3:
		if len(packet) < 2 {
			return frame
		}
		return min(frame*uint32(packet[1]&0x3f), 5760)
	}
	return 2 * frame
}

// ticks is how long an audio frame lasts.
func (c *codec) ticks(body []byte) uint32 {
	if c.fourCC == "Opus" {
		return opusTicks(body)
	}
	return c.frame
}

// measure takes the size from a key frame when the header did not say it.
func (c *codec) measure(frame []byte) {
	switch {
	case c.size.ok():
	case c.fourCC == "vp09":
		c.size = sizeOfVP9(frame)
	case c.fourCC == "av01":
		c.size = sizeOfAV1(frame)
	}
}

// sound reports whether a frame can be what it says: NAL units, each with its
// length before it, are exactly the frame. A browser ends the playing at a
// frame that is not.
func (c *codec) sound(body []byte) bool {
	var n int
	switch {
	case len(body) == 0:
		return false
	case c.fourCC == "avc1":
		n = int(c.record[4]&3) + 1
	case c.fourCC == "hvc1":
		n = int(c.record[21]&3) + 1
	default:
		return true
	}
	for len(body) > 0 {
		if len(body) < n {
			return false
		}
		length := 0
		for _, b := range body[:n] {
			length = length<<8 | int(b)
		}
		if length > len(body)-n {
			return false
		}
		body = body[n+length:]
	}
	return true
}

func (c *codec) same(fourCC string, record []byte) bool {
	return c != nil && c.fourCC == fourCC && bytes.Equal(c.record, record)
}

// mimeType is the type that a MediaSource is asked about.
func mimeType(video, audio *codec) string {
	kind := "audio/mp4"
	var names []string
	if video != nil {
		kind, names = "video/mp4", append(names, video.mime)
	}
	if audio != nil {
		names = append(names, audio.mime)
	}
	return kind + `; codecs="` + strings.Join(names, ",") + `"`
}
