package demo

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"foyer/server/flv"
)

// flvFile is an FLV file of tags.
func flvFile(tags ...tag) []byte {
	b := flv.AppendFileHeader(nil, flv.HasAudio|flv.HasVideo)
	for _, t := range tags {
		b = flv.AppendTag(b, t.media, t.raw, t.data)
	}
	return b
}

func video(raw uint32, data string) tag { return tag{media: flv.Video, raw: raw, data: []byte(data)} }
func audio(raw uint32, data string) tag { return tag{media: flv.Audio, raw: raw, data: []byte(data)} }

const (
	avcHeader = "\x17\x00\x00\x00\x00h"
	avcKey    = "\x17\x01\x00\x00\x00k"
	avcInter  = "\x27\x01\x00\x00\x00p"
	avcEnd    = "\x17\x02\x00\x00\x00"
	aacHeader = "\xAF\x00\x12\x10"
	aacFrame  = "\xAF\x01s"
	metadata  = "\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09"
)

func TestNewSource(t *testing.T) {
	for _, c := range []struct{ name, file, codecs, warning, err string }{
		{"clip", string(clip), "H.264, AAC", "", ""},
		{"sound", string(flvFile(audio(0, aacHeader), audio(0, aacFrame))), "AAC", "", ""},
		{"old", string(flvFile(video(0, "\x12x"), audio(0, "\x2Ex"))), "Sorenson H.263, MP3", "browsers cannot play Sorenson H.263: only RTMP and FLV players will", ""},
		{"enhanced", string(flvFile(video(0, "\x90hvc1x"), audio(0, "\x90Opus"))), "H.265, Opus", "", ""},
		{"a number without a codec", string(flvFile(video(0, "\x1fx"))), "codec 15", "browsers cannot play codec 15: only RTMP and FLV players will", ""},
		{"tracks and a modifier", string(flvFile(video(0, "\x97\x00\x00\x06\x20av01\x01\x00\x00\x01xhvc1\x00\x00\x00\x01x"))), "AV1", "", ""},
		{"cut short", string(flvFile(video(0, "\x17\x01"))), "", "", "neither pictures nor sound"},
		{"a tag that is none", string(flvFile(tag{media: 7, data: []byte("x")})), "", "", "bad FLV tag at byte 13: its type is 7"},
		{"nothing", string(flvFile(tag{media: flv.Script, data: []byte(metadata)})), "", "", "neither pictures nor sound"},
		{"no FLV", "hello", "", "", "not an FLV file; make one with 'ffmpeg -i IN -c copy OUT.flv'"},
	} {
		s, err := NewSource(strings.NewReader(c.file))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || s.String() != c.codecs || s.Warning() != c.warning {
			t.Errorf("%s: %v, %q, %q", c.name, err, s, s.Warning())
		}
	}
}

// The clip is what its README says.
func TestClip(t *testing.T) {
	if len(clip) > 1e6 {
		t.Errorf("the clip has %d bytes", len(clip))
	}
	r, err := flv.NewStrictReader(bytes.NewReader(clip))
	if err != nil {
		t.Fatal(err)
	}
	var pictures, sounds, keys int
	for {
		h, data, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		var p flv.Tag
		if !p.Parse(h.Media, data) || p.Kind != flv.CodedFrames {
			continue
		}
		if p.Media == flv.Audio {
			if h.Time != uint32(sounds*32) {
				t.Fatalf("sound %d is at %d", sounds, h.Time)
			}
			sounds++
			continue
		}
		if p.Shift != 0 {
			t.Fatalf("picture %d is a B-frame, or after one", pictures)
		}
		if h.Time != uint32(pictures*40) || p.Key != (pictures%25 == 0) {
			t.Fatalf("picture %d is at %d, key frame: %v", pictures, h.Time, p.Key)
		}
		pictures++
		if p.Key {
			keys++
		}
	}
	if pictures != 500 || sounds != 625 || keys != 20 || pictures*40 != int(clipLength.Milliseconds()) {
		t.Errorf("%d pictures, %d key frames, %d frames of sound", pictures, keys, sounds)
	}
}
