package media

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	mp4av1 "github.com/Eyevinn/mp4ff/av1"
	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

	"foyer/server/flv"
)

// MaxRecord is the longest decoder configuration that is taken.
const MaxRecord = 16 << 10

// boxable is the codecs that are put into MP4.
var boxable = map[flv.Codec]bool{flv.AVC: true, flv.HEVC: true, flv.AV1: true, flv.VP9: true, flv.AAC: true, flv.Opus: true}

var errRecord = errors.New("media: decoder configuration is not valid")

// A codec is what a decoder has to know before the first frame.
type codec struct {
	fourCC    flv.Codec
	record    []byte // as the publisher sent it, but for what readAVC mends
	mime      string // as in RFC 6381
	timescale uint32 // ticks of the track in a second
	frame     uint32 // ticks of an audio frame; 0: it varies
	channels  uint16
	size      size // of the picture; that of av01 and vp09 may not be known before a key frame
	prefix    int  // bytes of the length in front of a NAL unit; 0: frames are not made of them
	box       mp4.Box

	vps, sps, pps [][]byte // parameter sets of avc1 and hvc1
	aac           mpeg4audio.AudioSpecificConfig
}

// A size is that of a picture, in pixels; zero is not known.
type size struct{ width, height int }

// maxSide bounds what a header may say: a sample entry has 16 bits for it.
const maxSide = 1<<14 - 1

func (s size) ok() bool {
	return s.width > 0 && s.height > 0 && s.width <= maxSide && s.height <= maxSide
}

// videoScale is that of every video track: RTMP has no finer time.
const videoScale = 1000

// newCodec reads the body of a sequence header.
func newCodec(fourCC flv.Codec, record []byte) (*codec, error) {
	if len(record) > MaxRecord {
		return nil, fmt.Errorf("%w: %d bytes", errRecord, len(record))
	}
	c := &codec{fourCC: fourCC, record: bytes.Clone(record), timescale: videoScale}
	read := map[flv.Codec]func() bool{
		flv.AVC: c.readAVC, flv.HEVC: c.readHEVC, flv.AV1: c.readAV1, flv.VP9: c.readVP9, flv.AAC: c.readAAC, flv.Opus: c.readOpus,
	}[fourCC]
	if read == nil || !read() {
		return nil, fmt.Errorf("%w: %s", errRecord, fourCC)
	}
	return c, nil
}

// rawBox is a record as it came. mp4ff's own boxes for H.264 and H.265 hold only
// records with lengths of four bytes, and not everything that may be in them.
func rawBox(name string, payload []byte) mp4.Box {
	return mp4.CreateUnknownBox(name, uint64(8+len(payload)), payload)
}

// readAVC reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1),
// which goes into a file unchanged. But some encoders leave its profile and level
// at 0; they are those of the SPS.
func (c *codec) readAVC() bool {
	b := c.record
	if len(b) < 7 || b[0] != 1 {
		return false
	}
	sps, rest, ok := takeUnits(b[6:], int(b[5]&0x1f))
	if !ok || len(sps) == 0 || len(rest) == 0 {
		return false
	}
	pps, _, ok := takeUnits(rest[1:], int(rest[0]))
	var s h264.SPS
	if !ok || len(pps) == 0 || s.Unmarshal(sps[0]) != nil {
		return false
	}
	if b[1] == 0 || b[3] == 0 {
		copy(b[1:4], sps[0][1:4])
	}
	c.prefix, c.sps, c.pps = int(b[4]&3)+1, sps, pps
	c.size = size{s.Width(), s.Height()}
	c.mime = fmt.Sprintf("avc1.%02x%02x%02x", b[1], b[2], b[3])
	c.box = rawBox("avcC", b)
	return c.size.ok()
}

// takeUnits takes n NAL units, each behind its length of 16 bits.
func takeUnits(b []byte, n int) (units [][]byte, rest []byte, ok bool) {
	for range n {
		if len(b) < 2 {
			return nil, nil, false
		}
		size := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; size == 0 || len(b) < size {
			return nil, nil, false
		}
		units, b = append(units, b[:size:size]), b[size:]
	}
	return units, b, true
}

// readHEVC reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1),
// which goes into a file unchanged.
func (c *codec) readHEVC() bool {
	b := c.record
	if len(b) < 23 {
		return false
	}
	rest := b[23:]
	for range b[22] {
		if len(rest) < 3 {
			return false
		}
		kind := h265.NALUType(rest[0] & 0x3f)
		units, after, ok := takeUnits(rest[3:], int(binary.BigEndian.Uint16(rest[1:])))
		if !ok {
			return false
		}
		rest = after
		switch kind {
		case h265.NALUType_VPS_NUT:
			c.vps = append(c.vps, units...)
		case h265.NALUType_SPS_NUT:
			c.sps = append(c.sps, units...)
		case h265.NALUType_PPS_NUT:
			c.pps = append(c.pps, units...)
		}
	}
	var s h265.SPS
	if len(c.sps) == 0 || s.Unmarshal(c.sps[0]) != nil {
		return false
	}
	c.prefix, c.size = int(b[21]&3)+1, size{s.Width(), s.Height()}
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
	compatible := bits.Reverse32(binary.BigEndian.Uint32(b[2:]))
	s := fmt.Sprintf("hvc1.%s%d.%X.%s%d", space, b[1]&0x1f, compatible, tier, b[12])
	for _, constraint := range bytes.TrimRight(b[6:12], "\x00") {
		s += fmt.Sprintf(".%X", constraint)
	}
	return s
}

// readAV1 reads an AV1CodecConfigurationRecord (AV1 in ISOBMFF §2.3.3).
func (c *codec) readAV1() bool {
	r, err := mp4av1.DecodeAV1CodecConfRec(c.record)
	if err != nil {
		return false
	}
	c.measure(r.ConfigOBUs)
	c.mime = r.CodecString("av01")
	c.box = &mp4.Av1CBox{CodecConfRec: r}
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
	box := &mp4.VppCBox{
		Version: 1, Profile: b[0], Level: b[1], BitDepth: b[2] >> 4, ChromaSubsampling: b[2] >> 1 & 7, VideoFullRangeFlag: b[2] & 1,
		ColourPrimaries: b[3], TransferCharacteristics: b[4], MatrixCoefficients: b[5],
	}
	c.mime = fmt.Sprintf("vp09.%02d.%02d.%02d", box.Profile, cmp.Or(box.Level, 10), box.BitDepth) // browsers ask for a level
	c.box = box
	return true
}

// readAAC reads an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
func (c *codec) readAAC() bool {
	a := &c.aac
	if a.Unmarshal(c.record) != nil {
		return false
	}
	object := a.Type
	if a.ExtensionType != 0 { // SBR, PS: the rate is the core's
		object = a.ExtensionType
	}
	c.timescale, c.frame = uint32(a.SampleRate), 1024
	if a.FrameLengthFlag {
		c.frame = 960
	}
	switch c.channels = uint16(a.ChannelConfig); c.channels {
	case 0: // a program config element says it
		c.channels = 2
	case 7:
		c.channels = 8
	}
	c.mime = fmt.Sprintf("mp4a.40.%d", object)
	c.box = mp4.CreateEsdsBox(c.record)
	return c.timescale >= 7350 && c.timescale <= 192000
}

// readOpus reads an identification header (RFC 7845 §5.1), whose numbers have
// the other byte order than those of MP4 (Opus in ISOBMFF §4.3.2).
func (c *codec) readOpus() bool {
	b := c.record
	if len(b) < 19 || string(b[:8]) != "OpusHead" || b[9] == 0 || b[9] > 8 {
		return false
	}
	little := binary.LittleEndian
	box := &mp4.DopsBox{
		OutputChannelCount: b[9], PreSkip: little.Uint16(b[10:]), InputSampleRate: little.Uint32(b[12:]),
		OutputGain: int16(little.Uint16(b[16:])), ChannelMappingFamily: b[18],
	}
	if b[18] != 0 {
		if len(b) < 21+int(b[9]) {
			return false
		}
		box.StreamCount, box.CoupledCount, box.ChannelMapping = b[19], b[20], b[21:21+int(b[9])]
	}
	c.timescale, c.channels, c.mime, c.box = 48000, uint16(b[9]), "opus", box
	return true
}

// maxOpus is how long a packet may last (RFC 6716 §3.2.5), in ticks.
const maxOpus = 5760

// ticks is how long an audio frame lasts.
func (c *codec) ticks(body []byte) uint32 {
	if c.fourCC == flv.Opus {
		return uint32(min(opus.PacketDuration2(body), maxOpus))
	}
	return c.frame
}

// measure takes the size from a key frame when the header did not say it.
func (c *codec) measure(frame []byte) {
	switch {
	case c.size.ok():
	case c.fourCC == flv.VP9:
		var h vp9.Header
		if h.Unmarshal(frame) == nil {
			c.size = size{h.Width(), h.Height()}
		}
	case c.fourCC == flv.AV1:
		if _, s, ok := sequenceOf(frame); ok {
			c.size = size{s.Width(), s.Height()}
		}
	}
}

// maxSequence is how far into a frame its sequence header may be, which is
// behind nothing but a temporal delimiter (AV1 §7.5).
const maxSequence = 1 << 10

// sequenceOf finds the sequence header among OBUs (AV1 §5.5).
func sequenceOf(obus []byte) (unit []byte, s av1.SequenceHeader, ok bool) {
	var units av1.Bitstream
	units.Unmarshal(obus[:min(len(obus), maxSequence)]) // it keeps the units before an error
	for _, u := range units {
		var h av1.OBUHeader
		if h.Unmarshal(u) == nil && h.Type == av1.OBUTypeSequenceHeader && s.Unmarshal(u) == nil {
			return u, s, true
		}
	}
	return nil, s, false
}

func (c *codec) same(fourCC flv.Codec, record []byte) bool {
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
