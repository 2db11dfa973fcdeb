package demo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// flvFile is an FLV file of tags.
func flvFile(tags ...tag) []byte {
	b := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	for _, t := range tags {
		n := len(t.data)
		b = append(b, t.kind, byte(n>>16), byte(n>>8), byte(n), byte(t.raw>>16), byte(t.raw>>8), byte(t.raw), byte(t.raw>>24), 0, 0, 0)
		b = append(b, t.data...)
		b = binary.BigEndian.AppendUint32(b, uint32(n+11))
	}
	return b
}

func video(raw uint32, data string) tag { return tag{kind: tagVideo, raw: raw, data: []byte(data)} }
func audio(raw uint32, data string) tag { return tag{kind: tagAudio, raw: raw, data: []byte(data)} }

const (
	avcHeader = "\x17\x00\x00\x00\x00h"
	avcKey    = "\x17\x01\x00\x00\x00k"
	avcInter  = "\x27\x01\x00\x00\x00p"
	avcEnd    = "\x17\x02\x00\x00\x00"
	aacHeader = "\xAF\x00\x12\x10"
	aacFrame  = "\xAF\x01s"
	metadata  = "\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09"
)

func readAll(file []byte) (tags []tag, err error) {
	r, err := newFLVReader(bytes.NewReader(file))
	for err == nil {
		var t tag
		if t, err = r.next(); err == nil {
			tags = append(tags, t)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return tags, err
}

func TestFLV(t *testing.T) {
	whole := flvFile(tag{kind: tagScript, data: []byte(metadata)}, video(0, avcHeader), audio(0, ""), audio(0xFFFFFFF0, aacFrame))
	for cut := 13; cut <= len(whole); cut++ {
		tags, err := readAll(whole[:cut])
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if want := len(whole) - 4; cut >= want && (len(tags) != 3 || tags[2].raw != 0xFFFFFFF0) {
			t.Errorf("cut at %d: %v", cut, tags)
		}
	}
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "the file is empty"},
		{"text", "hello, this is text", "not an FLV file: make one with"},
		{"short", "FLV", "not an FLV file: make one with"},
		{"MP4", "\x00\x00\x00\x20ftypisom", "not an FLV file but MP4"},
		{"Matroska", "\x1A\x45\xDF\xA3xxxxxxxxx", "not an FLV file but Matroska or WebM"},
		{"transport stream", "\x47\x40\x11\x10xxxxxxxx", "transport stream"},
		{"version", "FLV\x02\x05\x00\x00\x00\x09\x00\x00\x00\x00", "version 2"},
		{"header", "FLV\x01\x05\x00\x00\x00\x08\x00\x00\x00\x00", "header of 8 bytes"},
		{"long header", "FLV\x01\x05\xFF\x00\x00\x09\x00\x00\x00\x00", "header of"},
		{"tag", string(flvFile(tag{kind: 7, data: []byte("x")})), "no FLV tag at byte 13: type 7"},
		{"second tag", string(flvFile(audio(0, "abc"), tag{kind: 0x40, data: []byte("x")})), "no FLV tag at byte 31"},
		{"encrypted", string(flvFile(tag{kind: 0x29, data: []byte("x")})), "encrypted"},
		{"too big", "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x09\x40\x00\x01\x00\x00\x00\x00\x00\x00\x00", "has 4194305 bytes"},
	} {
		if _, err := readAll([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestNewSource(t *testing.T) {
	for _, c := range []struct{ name, file, codecs, warning, err string }{
		{"clip", string(clip), "H.264, AAC", "", ""},
		{"sound", string(flvFile(audio(0, aacHeader), audio(0, aacFrame))), "AAC", "", ""},
		{"old", string(flvFile(video(0, "\x12x"), audio(0, "\x2Ex"))), "Sorenson H.263, MP3", "browsers cannot play Sorenson H.263: only RTMP and FLV players will", ""},
		{"enhanced", string(flvFile(video(0, "\x90hvc1x"), audio(0, "\x90Opus"))), `"hvc1", "Opus"`, "", ""},
		{"nothing", string(flvFile(tag{kind: tagScript, data: []byte(metadata)})), "", "", "neither pictures nor sound"},
		{"no FLV", "hello", "", "", "not an FLV file"},
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
	tags, err := readAll(clip)
	if err != nil {
		t.Fatal(err)
	}
	var pictures, sounds, keys int
	for _, g := range tags {
		switch r := roleOf(g); {
		case r == header || r == ending:
		case g.kind == tagVideo:
			if g.data[2]|g.data[3]|g.data[4] != 0 {
				t.Fatalf("picture %d is a B-frame, or after one", pictures)
			}
			if g.raw != uint32(pictures*40) || r == keyFrame != (pictures%25 == 0) {
				t.Fatalf("picture %d is at %d, role %d", pictures, g.raw, r)
			}
			pictures++
			if r == keyFrame {
				keys++
			}
		default:
			if g.raw != uint32(sounds*32) {
				t.Fatalf("sound %d is at %d", sounds, g.raw)
			}
			sounds++
		}
	}
	if pictures != 500 || sounds != 625 || keys != 20 || pictures*40 != int(clipLength.Milliseconds()) {
		t.Errorf("%d pictures, %d key frames, %d frames of sound", pictures, keys, sounds)
	}
}

// FuzzFLV: whatever a file is, reading it ends, and playing it sends nothing
// that goes back in time or is empty.
func FuzzFLV(f *testing.F) {
	f.Add(flvFile(video(0, avcHeader), audio(0, aacHeader), video(0, avcKey), audio(5, aacFrame), video(40, avcInter), video(40, avcEnd)))
	f.Add(flvFile(tag{kind: tagScript, data: []byte(metadata)}, audio(0xFFFFFFFF, aacFrame), audio(3, aacFrame)))
	f.Add(flvFile(video(9000, "\x90hvc1x"), video(0, "\x91hvc1x"), video(90000, "\xA1hvc1x")))
	f.Add(clip[:2000])
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := NewSource(bytes.NewReader(file))
		if err != nil {
			return
		}
		l, err := s.play(time.Time{}, false)
		if err != nil {
			t.Fatal(err)
		}
		last := make(map[byte]int64)
		for range 200 {
			g, err := l.next()
			if err != nil {
				return
			}
			if len(g.data) == 0 {
				t.Fatal("an empty tag")
			}
			switch {
			case g.kind == tagScript:
				scriptMessage(g.data)
			case roleOf(g) != header && g.time < last[g.kind]:
				t.Fatalf("%d after %d", g.time, last[g.kind])
			case roleOf(g) != header:
				last[g.kind] = g.time
			}
		}
	})
}
