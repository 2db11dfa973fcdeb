package flv

import (
	"bytes"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	theirs "github.com/bluenviron/gortmplib/pkg/message"
)

// records are messages with decoder configurations and others that gortmplib
// looks into.
var records = []struct {
	media Media
	bytes string
}{
	{Video, "\x17\x00\x00\x00\x00" + avcRecord}, {Video, "\x90avc1" + avcRecord}, {Video, "\x96\x00avc1\x03" + avcRecord},
	{Video, "\x90av01\x81\x00\x0c\x00"}, {Video, "\x90vp09\x01\x00\x00\x00\x00\x0a\x82\x02\x02\x02\x00\x00"},
	{Audio, "\xaf\x00\x12\x10"}, {Audio, "\x90mp4a\x12\x10"}, {Audio, "\x95\x00mp4a\x02\x12\x10"},
	{Audio, "\x90OpusOpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"}, {Audio, "\x90ac-3"}, {Audio, "\x95\x00.mp3\x01"},
	{Audio, "\x94Opus\x01\x06\x00\x00\x00\x3f"}, {Video, "\x92av01"}, {Audio, "\x92Opus"}, {Video, "\x94hvc1\x02\x00\x09colorInfo\x05"},
}

const avcRecord = "\x01\x42\xc0\x28\xff\xe1\x00\x19\x67\x42\xc0\x28\xd9\x00\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc9\x20\x01\x00\x04\x68\xcb\x8c\xb2"

// TestGortmplib compares how gortmplib and we read a message, and how we read it
// when gortmplib has written it again. It knows fewer codecs, no modifiers, no
// messages of several tracks and no commands, and wants configurations to be
// whole. Whatever it takes, we take, and as the same.
func TestGortmplib(t *testing.T) {
	taken := make(map[string]int)
	compare := func(media Media, payload []byte) {
		m := readTheirs(media, payload)
		if m == nil || media == Video && payload[0]>>4&7 == frameCommand {
			return
		}
		want, kind := claim(m)
		taken[kind]++
		for _, payload := range [][]byte{payload, writeTheirs(t, m)} {
			var got Tag
			if !got.Parse(media, payload) || got.Several || want.Kind != got.Kind || want.Codec != got.Codec || want.Track != got.Track ||
				want.Shift != got.Shift || kind == "video" && want.Key != got.Key || want.Body != nil && !bytes.Equal(want.Body, got.Body) {
				t.Errorf("%x is %s, %+v to gortmplib, and %+v to us", payload, kind, want, got)
			}
		}
	}
	for _, m := range generated() {
		for cut := range len(m.payload) {
			compare(m.media, m.payload[:cut+1])
		}
	}
	for _, r := range records {
		if compare(r.media, []byte(r.bytes)); readTheirs(r.media, []byte(r.bytes)) == nil {
			t.Errorf("gortmplib does not take %x", r.bytes)
		}
	}
	t.Log(taken)
	for _, kind := range []string{"video", "audio", "start", "frames", "frames x", "end", "metadata", "channels", "track"} {
		if taken[kind] == 0 {
			t.Errorf("gortmplib took no %s", kind)
		}
	}
}

// chunkHeader is the size of the header of a message's first chunk (RTMP 1.0
// §5.3.1). The messages here fit into one.
const chunkHeader = 12

// readTheirs has gortmplib read a message; nil if it does not take it.
func readTheirs(media Media, payload []byte) theirs.Message {
	b := append([]byte{6, 0, 0, 0, 0, 0, byte(len(payload)), byte(media), 1, 0, 0, 0}, payload...)
	r := bytecounter.NewReader(bytes.NewReader(b))
	m, err := theirs.NewReader(r, r, nil).Read()
	if err != nil {
		return nil
	}
	return m
}

// writeTheirs has gortmplib write a message.
func writeTheirs(t *testing.T, m theirs.Message) []byte {
	var b bytes.Buffer
	w := bytecounter.NewWriter(&b)
	if err := theirs.NewWriter(w, w, false).Write(m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[chunkHeader:]
}

// claim is what a message of gortmplib's says, without the body of a
// configuration, and what it is called here.
func claim(m theirs.Message) (t Tag, kind string) {
	ms := func(d time.Duration) int32 { return int32(d / time.Millisecond) }
	switch m := m.(type) {
	case *theirs.Video:
		t = Tag{Kind: [...]Kind{SequenceStart, CodedFrames, SequenceEnd}[m.Type], Codec: AVC, Key: m.IsKeyFrame && m.Type == theirs.VideoTypeAU, Body: m.AU}
		if m.Codec == theirs.CodecH265 {
			t.Codec = HEVC
		}
		if m.Type == theirs.VideoTypeAU {
			t.Shift = ms(m.PTSDelta)
		}
		return t, "video"
	case *theirs.Audio:
		t = Tag{Kind: CodedFrames, Codec: numbered(Audio, &audioNumbers, m.Codec), Body: m.AU}
		if t.Codec == AAC && m.AACType == theirs.AudioAACTypeConfig {
			t.Kind = SequenceStart
		}
		return t, "audio"
	case *theirs.VideoExSequenceStart:
		return Tag{Kind: SequenceStart, Codec: Codec(m.FourCC)}, "start"
	case *theirs.AudioExSequenceStart:
		return Tag{Kind: SequenceStart, Codec: Codec(m.FourCC)}, "start"
	case *theirs.VideoExCodedFrames:
		return Tag{Kind: CodedFrames, Codec: Codec(m.FourCC), Shift: ms(m.PTSDelta), Body: m.Payload}, "frames"
	case *theirs.AudioExCodedFrames:
		return Tag{Kind: CodedFrames, Codec: Codec(m.FourCC), Body: m.Payload}, "frames"
	case *theirs.VideoExFramesX:
		return Tag{Kind: CodedFrames, Codec: Codec(m.FourCC), Body: m.Payload}, "frames x"
	case *theirs.VideoExSequenceEnd:
		return Tag{Kind: SequenceEnd, Codec: Codec(m.FourCC)}, "end"
	case *theirs.AudioExSequenceEnd:
		return Tag{Kind: SequenceEnd, Codec: Codec(m.FourCC)}, "end"
	case *theirs.VideoExMetadata:
		return Tag{Kind: Metadata, Codec: Codec(m.FourCC)}, "metadata"
	case *theirs.AudioExMultichannelConfig:
		return Tag{Kind: MultichannelConfig, Codec: Codec(m.FourCC)}, "channels"
	case *theirs.VideoExMultitrack:
		t, _ = claim(m.Wrapped)
		t.Track = m.TrackID
	case *theirs.AudioExMultitrack:
		t, _ = claim(m.Wrapped)
		t.Track = m.TrackID
	}
	return t, "track"
}
