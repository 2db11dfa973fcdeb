package flv

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tags are payloads and what they say. They drive Parse and Append, and are the
// seeds of FuzzTag. Without tags a payload is not ok. Append writes a payload
// with one tag again as it is, unless another one says the same: loose.
var tags = []struct {
	name  string
	media Media
	bytes string
	tags  []Tag
	loose bool
}{
	{"H.264 header", Video, "\x17\x00\x00\x00\x00head", one(Tag{Kind: SequenceStart, Codec: AVC, Body: []byte("head")}), false},
	{"H.264 key frame", Video, "\x17\x01\x00\x00\x50key", one(Tag{Kind: CodedFrames, Codec: AVC, Key: true, Shift: 80, Body: []byte("key")}), false},
	{"H.264 frame that is shown early", Video, "\x27\x01\xff\xff\xd8next", one(Tag{Kind: CodedFrames, Codec: AVC, Shift: -40, Body: []byte("next")}), false},
	{"H.264 frame without data", Video, "\x27\x01\x00\x00\x00", one(Tag{Kind: CodedFrames, Codec: AVC}), false},
	{"H.264 generated key frame", Video, "\x47\x01\x00\x00\x00x", one(Tag{Kind: CodedFrames, Codec: AVC, Body: []byte("x")}), true},
	{"H.264 end", Video, "\x17\x02\x00\x00\x00", one(Tag{Kind: SequenceEnd, Codec: AVC}), false},
	{"H.264 of a reserved type", Video, "\x17\x03\x00\x00\x00x", one(Tag{Kind: Other, Codec: AVC, Body: []byte("x")}), true},
	{"H.264 cut short", Video, "\x17\x01\x00\x00", nil, false},
	{"command", Video, "\x57\x01", one(Tag{Kind: Command, Codec: AVC, Body: []byte("\x01")}), false},
	{"H.265 of the dialect", Video, "\x1c\x01\x00\x00\x00key", one(Tag{Kind: CodedFrames, Codec: HEVC, Key: true, Body: []byte("key")}), false},
	{"AV1 of the dialect", Video, "\x2d\x01\x00\x00\x00x", one(Tag{Kind: CodedFrames, Codec: AV1, Body: []byte("x")}), false},
	{"Sorenson H.263", Video, "\x12key", one(Tag{Kind: CodedFrames, Codec: 0x902, Key: true, Body: []byte("key")}), false},
	{"Sorenson H.263 disposable", Video, "\x32x", one(Tag{Kind: CodedFrames, Codec: 0x902, Body: []byte("x")}), true},
	{"a number without a codec", Video, "\x2fx", one(Tag{Kind: CodedFrames, Codec: 0x90F, Body: []byte("x")}), false},
	{"empty video", Video, "", nil, false},

	{"H.265 header", Video, "\x90hvc1head", ex(Tag{Kind: SequenceStart, Codec: HEVC, Body: []byte("head")}), false},
	{"H.265 key frame", Video, "\x91hvc1\x00\x00\x28key", ex(Tag{Kind: CodedFrames, Codec: HEVC, Key: true, Shift: 40, Body: []byte("key")}), false},
	{"H.265 frame without a shift", Video, "\xa3hvc1next", ex(Tag{Kind: CodedFrames, Codec: HEVC, Body: []byte("next")}), true},
	{"H.266 frame", Video, "\xa1vvc1\x00\x00\x28x", ex(Tag{Kind: CodedFrames, Codec: VVC, Shift: 40, Body: []byte("x")}), false},
	{"AV1 key frame", Video, "\x91av01key", ex(Tag{Kind: CodedFrames, Codec: AV1, Key: true, Body: []byte("key")}), false},
	{"AV1 header in MPEG-2 TS", Video, "\x95av01desc", ex(Tag{Kind: MPEG2TSSequenceStart, Codec: AV1, Body: []byte("desc")}), false},
	{"VP8", Video, "\xa1vp08x", ex(Tag{Kind: CodedFrames, Codec: VP8, Body: []byte("x")}), false},
	{"VP9 end", Video, "\x92vp09", ex(Tag{Kind: SequenceEnd, Codec: VP9}), false},
	{"an unknown FourCC", Video, "\x91wxyzkey", ex(Tag{Kind: CodedFrames, Codec: 'w'<<24 | 'x'<<16 | 'y'<<8 | 'z', Key: true, Body: []byte("key")}), false},
	{"HDR", Video, "\x94hvc1\x02\x00\x09colorInfo", ex(Tag{Kind: Metadata, Codec: HEVC, Body: []byte("\x02\x00\x09colorInfo")}), false},
	{"HDR, whose frame type does not count", Video, "\xd4hvc1hdr", ex(Tag{Kind: Metadata, Codec: HEVC, Body: []byte("hdr")}), true},
	{"enhanced command", Video, "\xd0\x01", ex(Tag{Kind: Command, Body: []byte("\x01")}), false},
	{"a reserved packet type", Video, "\x98hvc1x", ex(Tag{Kind: Other, Codec: HEVC, Body: []byte("x")}), true},
	{"FourCC cut short", Video, "\x90hvc", nil, false},
	{"a shift that is missing", Video, "\x91avc1\x00\x00", nil, false},

	{"nanoseconds", Video, "\x97\x02\x01\x02\x03\x01av01x", ex(Tag{Kind: CodedFrames, Codec: AV1, Key: true, Nanos: 0x010203, Body: []byte("x")}), false},
	{"nanoseconds of a command", Video, "\xd7\x02\x01\x02\x03\x00\x01", ex(Tag{Kind: Command, Nanos: 0x010203, Body: []byte("\x01")}), false},
	{"nanoseconds in two bytes", Video, "\x97\x01\x02\x03\x01av01x", ex(Tag{Kind: CodedFrames, Codec: AV1, Key: true, Body: []byte("x")}), true},
	{"ModEx of another type", Video, "\x97\x02\x01\x02\x03\x11av01x", ex(Tag{Kind: CodedFrames, Codec: AV1, Key: true, Body: []byte("x")}), true},
	{"two ModEx", Video, "\x97\x00\x00\x07\x00\x00\x00hvc1", ex(Tag{Kind: SequenceStart, Codec: HEVC}), true},
	{"long ModEx", Video, "\x97\xff\x00\xff" + strings.Repeat("x", 256) + "\x10hvc1", ex(Tag{Kind: SequenceStart, Codec: HEVC}), true},
	{"ModEx before several tracks", Video, "\x97\x02\x00\x00\x09\x06\x01av01\x02x", ex(Tag{Kind: CodedFrames, Codec: AV1, Key: true, Nanos: 9, Track: 2, Body: []byte("x")}), false},
	{"ModEx without a size", Video, "\x97", nil, false},
	{"ModEx without a long size", Video, "\x97\xff\x00", nil, false},
	{"ModEx that lies", Video, "\x97\x09abc", nil, false},
	{"ModEx that lies far", Video, "\x97\xff\xff\xff\x00hvc1", nil, false},
	{"ModEx without an end", Video, "\x97\x00\x00\x07", nil, false},

	{"track 2", Video, "\x96\x01av01\x02key", ex(Tag{Kind: CodedFrames, Codec: AV1, Key: true, Track: 2, Body: []byte("key")}), false},
	{"track 0 by number", Video, "\xa6\x01av01\x00x", ex(Tag{Kind: CodedFrames, Codec: AV1, Body: []byte("x")}), true},
	{"a shift in a track", Video, "\xa6\x01hvc1\x01\x00\x00\x28x", ex(Tag{Kind: CodedFrames, Codec: HEVC, Track: 1, Shift: 40, Body: []byte("x")}), false},
	{"many tracks", Video, "\x96\x11avc1\x01\x00\x00\x04\x00\x00\x28a\x00\x00\x00\x03\x00\x00\x00", ex(
		Tag{Kind: CodedFrames, Codec: AVC, Key: true, Several: true, Track: 1, Shift: 40, Body: []byte("a")},
		Tag{Kind: CodedFrames, Codec: AVC, Key: true, Several: true}), false},
	{"many tracks of many codecs", Video, "\x96\x20av01\x01\x00\x00\x01yvp09\x00\x00\x00\x02xx", ex(
		Tag{Kind: SequenceStart, Codec: AV1, Several: true, Track: 1, Body: []byte("y")},
		Tag{Kind: SequenceStart, Codec: VP9, Several: true, Body: []byte("xx")}), false},
	{"HDR of many tracks", Video, "\xd6\x14hvc1\x00\x00\x00\x01x", ex(Tag{Kind: Command, Body: []byte("\x14hvc1\x00\x00\x00\x01x")}), true},
	{"tracks inside tracks", Video, "\x96\x06av01\x01x", ex(Tag{Kind: Other, Codec: AV1, Track: 1, Body: []byte("x")}), true},
	{"a reserved way to lay out tracks", Video, "\x96\x31av01\x01\x00\x00\x01x", nil, false},
	{"a second track that lies", Video, "\x96\x11av01\x01\x00\x00\x01x\x02\x00\x00\x02x", ex(
		Tag{Kind: CodedFrames, Codec: AV1, Key: true, Several: true, Track: 1, Body: []byte("x")}), true},
	{"a shift beyond its track", Video, "\x96\x11avc1\x01\x00\x00\x02\x00\x00\x28", nil, false},
	{"a track that lies", Video, "\x96\x11av01\x01\x00\x00\x09x", nil, false},
	{"a track without its size", Video, "\x96\x11av01\x01\x00\x00", nil, false},
	{"a track without its number", Video, "\x96\x01av01", nil, false},
	{"a track without its codec", Video, "\x96\x20av0", nil, false},
	{"tracks without a layout", Video, "\x96", nil, false},

	{"AAC header", Audio, "\xaf\x00\x12\x10", one(Tag{Kind: SequenceStart, Codec: AAC, Sound: 15, Body: []byte("\x12\x10")}), false},
	{"AAC", Audio, "\xaf\x01data", one(Tag{Kind: CodedFrames, Codec: AAC, Sound: 15, Key: true, Body: []byte("data")}), false},
	{"AAC of a reserved type", Audio, "\xaf\x02x", one(Tag{Kind: Other, Codec: AAC, Sound: 15, Body: []byte("x")}), true},
	{"AAC cut short", Audio, "\xaf", nil, false},
	{"MP3", Audio, "\x2edata", one(Tag{Kind: CodedFrames, Codec: MP3, Sound: 14, Key: true, Body: []byte("data")}), false},
	{"MP3 at 8 kHz", Audio, "\xe0data", one(Tag{Kind: CodedFrames, Codec: 0x80E, Key: true, Body: []byte("data")}), false},
	{"PCM", Audio, "\x0fx", one(Tag{Kind: CodedFrames, Codec: 0x800, Sound: 15, Key: true, Body: []byte("x")}), false},
	{"Speex without data", Audio, "\xb6", one(Tag{Kind: CodedFrames, Codec: 0x80B, Sound: 6, Key: true}), false},
	{"silence", Audio, "", nil, false},
	{"Opus header", Audio, "\x90OpusHead", ex(Tag{Kind: SequenceStart, Codec: Opus, Body: []byte("Head")}), false},
	{"Opus", Audio, "\x91Opusdata", ex(Tag{Kind: CodedFrames, Codec: Opus, Key: true, Body: []byte("data")}), false},
	{"FLAC end", Audio, "\x92fLaC", ex(Tag{Kind: SequenceEnd, Codec: FLAC}), false},
	{"CodedFramesX is of video", Audio, "\x93Opusx", ex(Tag{Kind: Other, Codec: Opus, Body: []byte("x")}), true},
	{"channels", Audio, "\x94ec-3\x01\x06\x00\x00\x00\x3f", ex(Tag{Kind: MultichannelConfig, Codec: EAC3, Body: []byte("\x01\x06\x00\x00\x00\x3f")}), false},
	{"a second track of sound", Audio, "\x95\x01ac-3\x01data", ex(Tag{Kind: CodedFrames, Codec: AC3, Key: true, Track: 1, Body: []byte("data")}), false},
	{"many tracks of sound", Audio, "\x95\x21mp4a\x00\x00\x00\x01a.mp3\x01\x00\x00\x01b", ex(
		Tag{Kind: CodedFrames, Codec: AAC, Key: true, Several: true, Body: []byte("a")},
		Tag{Kind: CodedFrames, Codec: MP3, Key: true, Several: true, Track: 1, Body: []byte("b")}), false},
	{"nanoseconds of sound", Audio, "\x97\x02\x00\x00\x07\x00fLaCx", ex(Tag{Kind: SequenceStart, Codec: FLAC, Nanos: 7, Body: []byte("x")}), false},

	{"onMetaData", Script, OnMetaData + "\x05", one(Tag{Kind: Metadata, Body: []byte("\x05")}), false},
	{"@setDataFrame", Script, SetDataFrame + OnMetaData + "\x05", one(Tag{Kind: Metadata, Body: []byte("\x05")}), true},
	{"@setDataFrame of something else", Script, SetDataFrame + "\x02\x00\x01x", one(Tag{Body: []byte(SetDataFrame + "\x02\x00\x01x")}), false},
	{"@clearDataFrame", Script, clearDataFrame + OnMetaData, one(Tag{Kind: ClearMetadata, Body: []byte(OnMetaData)}), false},
	{"a cue point", Script, "\x02\x00\x0aonCuePoint\x05", one(Tag{Body: []byte("\x02\x00\x0aonCuePoint\x05")}), false},
	{"no data", Script, "", nil, false},
	{"a command of RTMP", 20, OnMetaData, nil, false},
}

// one is the tag of a payload.
func one(t Tag) []Tag { return []Tag{t} }

// ex is the tracks of an enhanced payload.
func ex(all ...Tag) []Tag {
	for i := range all {
		all[i].Enhanced = true
	}
	return all
}

// read is all tracks of a payload.
func read(media Media, payload []byte) (all []Tag) {
	var t Tag
	for ok := t.Parse(media, payload); ok; ok = t.Next() {
		all = append(all, t)
	}
	return all
}

// said is what a tag says, wherever that was in a message.
func said(t Tag) Tag {
	return Tag{Media: t.Media, Kind: t.Kind, Enhanced: t.Enhanced, Key: t.Key, Track: t.Track, Sound: t.Sound,
		Codec: t.Codec, Shift: t.Shift, Nanos: t.Nanos, Body: append([]byte{}, t.Body...)}
}

func TestParse(t *testing.T) {
	for _, c := range tags {
		got := read(c.media, []byte(c.bytes))
		if len(got) != len(c.tags) {
			t.Errorf("%s: %d tags", c.name, len(got))
			continue
		}
		for i, want := range c.tags {
			want.Media = c.media
			if diff := cmp.Diff(said(want), said(got[i]), cmp.AllowUnexported(Tag{})); diff != "" || want.Several != got[i].Several {
				t.Errorf("%s: -want +got\n%s", c.name, diff)
			}
		}
		if len(got) == 1 && !c.loose && string(got[0].Append(nil)) != c.bytes {
			t.Errorf("%s: %q is written as %q", c.name, c.bytes, got[0].Append(nil))
		}
	}
}

// check checks the promises of Parse and Append for one payload.
func check(t *testing.T, media Media, payload []byte) {
	before := bytes.Clone(payload)
	for i, got := range read(media, payload) {
		switch {
		case !bytes.Equal(payload[got.At:got.At+len(got.Body)], got.Body) || cap(got.Body) != len(got.Body):
			t.Errorf("%x: body %x is not at %d", payload, got.Body, got.At)
		case i > 0 && !got.Several:
			t.Errorf("%x has several tracks, but not its track %d", payload, i)
		case got.Key && got.Kind != CodedFrames:
			t.Errorf("%x is a key frame and no frame", payload)
		}
		if media != Script && got.Kind == Other {
			continue
		}
		var again Tag
		if !again.Parse(media, got.Append(nil)) || again.Several || !reflect.DeepEqual(said(got), said(again)) {
			t.Errorf("%x is written as %x", payload, got.Append(nil))
		}
	}
	if !bytes.Equal(before, payload) {
		t.Errorf("%x was changed", before)
	}
}

// FuzzTag: a payload is read within its bounds, and each track that is read is
// written such that it is read as the same.
func FuzzTag(f *testing.F) {
	for _, c := range tags {
		f.Add(byte(c.media), []byte(c.bytes))
	}
	f.Fuzz(func(t *testing.T, media byte, payload []byte) { check(t, Media(media), payload) })
}

// TestGenerated does as FuzzTag with tags of all kinds that are cut at each byte.
func TestGenerated(t *testing.T) {
	n := 0
	for _, m := range generated() {
		for cut := range len(m.payload) + 1 {
			check(t, m.media, m.payload[:cut])
			n++
		}
	}
	if n < 10_000 {
		t.Errorf("only %d payloads", n)
	}
}

// A message is a payload and its type.
type message struct {
	media   Media
	payload []byte
}

// generated makes messages of all codecs, packet types and layouts, and all
// beginnings of the old format.
func generated() (all []message) {
	for first := range 256 {
		for packet := range byte(4) {
			payload := []byte{byte(first), packet, 0, 0, 40, 'x'}
			all = append(all, message{Audio, payload}, message{Video, payload})
		}
	}
	const key, inter, command = 0x90, 0xA0, 0xD0
	for _, codec := range []string{"avc1", "hvc1", "vvc1", "av01", "vp09", "vp08", "mp4a", "Opus", "fLaC", ".mp3", "zzzz"} {
		for packet := range byte(7) {
			for layout := range byte(5) {
				tracks := tracksOf(layout, packet, codec)
				for _, modifier := range []string{"", "\x00\x2a", "\x02\x00\x00\x2a"} {
					all = append(all, message{Audio, enhanced(soundEnhanced<<4, packetAudioMultitrack, layout, packet, modifier, tracks)})
					for _, first := range []byte{key, inter, command} {
						all = append(all, message{Video, enhanced(first, packetVideoMultitrack, layout, packet, modifier, tracks)})
					}
				}
			}
		}
	}
	return all
}

// enhanced is tracks behind the header for them.
func enhanced(first, multitrack, layout, packet byte, modifier, tracks string) []byte {
	if layout > 0 {
		packet = multitrack
	}
	if modifier != "" {
		return append([]byte{first | packetModEx}, modifier+string([]byte{packet})+tracks...)
	}
	return append([]byte{first | packet}, tracks...)
}

// tracksOf is the rest of a message: one track, or those with the numbers 1 and
// 0 in each layout, of which the last is reserved.
func tracksOf(layout, packet byte, codec string) string {
	const body, size = "\x00\x00\x28body", "\x00\x00\x07"
	types := string([]byte{(layout-1)<<4 | packet})
	switch layout {
	case 0:
		return codec + body
	case 1:
		return types + codec + "\x00" + body
	case 3:
		return types + codec + "\x01" + size + body + codec + "\x00" + size + body
	}
	return types + codec + "\x01" + size + body + "\x00" + size + body
}

// TestBombs: payloads of a million small steps are read in as many steps. Reading
// them again and again would take minutes, on any machine.
func TestBombs(t *testing.T) {
	for name, payload := range map[string]string{
		"ModEx upon ModEx":   "\x97" + strings.Repeat("\x00\x00\x07", MaxPayload/3),
		"tracks of nothing":  "\x96\x11av01" + strings.Repeat("\x01\x00\x00\x00", MaxPayload/4),
		"codecs of nothing":  "\x96\x20" + strings.Repeat("av01\x01\x00\x00\x00", MaxPayload/8),
		"a track of all":     "\x96\x11av01\x01\xff\xff\xff" + strings.Repeat("x", MaxPayload),
		"ModEx to the limit": "\x97\xff\xff\xff" + strings.Repeat("x", 1<<16) + "\x01av01x",
	} {
		begin := time.Now()
		n := 0
		var tag Tag
		for ok := tag.Parse(Video, []byte(payload)); ok; ok = tag.Next() {
			n++
		}
		if d := time.Since(begin); d > 20*time.Second {
			t.Errorf("%s: %d tracks took %v", name, n, d)
		}
	}
}

// TestParseAllocates nothing, whatever it reads.
func TestParseAllocates(t *testing.T) {
	var payloads [][]byte
	for _, c := range tags {
		payloads = append(payloads, []byte(c.bytes))
	}
	var kept Kind
	if n := testing.AllocsPerRun(10, func() {
		for i, c := range tags {
			var tag Tag
			for ok := tag.Parse(c.media, payloads[i]); ok; ok = tag.Next() {
				kept |= tag.Kind
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCodec(t *testing.T) {
	for c, want := range map[Codec][3]string{
		AVC: {"H.264", "H.264", "avc1"}, MP3: {"MP3", "MP3", ".mp3"},
		0: {"", "unknown", "????"}, 0x90F: {"", "codec 15", "?????"[:4]}, 'z'<<24 | 'z'<<16 | 'z'<<8: {"", "zzz?", "zzz?"},
		0x902: {"Sorenson H.263", "Sorenson H.263", "????"},
	} {
		if got := [3]string{c.Name(), c.String(), c.FourCC()}; got != want {
			t.Errorf("%x: %q, want %q", uint32(c), got, want)
		}
	}
	if old := []bool{AVC.Old(), Codec(0).Old(), Codec(0x80B).Old(), Codec(0x90F).Old(), Codec(0xA00).Old()}; !slices.Equal(old, []bool{false, false, true, true, false}) {
		t.Errorf("old: %v", old)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range tags {
		switch c.name {
		case "H.264 key frame", "H.265 key frame", "many tracks", "AAC", "Opus":
			payload := []byte(c.bytes)
			b.Run(c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					var tag Tag
					for ok := tag.Parse(c.media, payload); ok; ok = tag.Next() {
					}
				}
			})
		}
	}
}
