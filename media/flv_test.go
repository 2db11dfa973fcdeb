package media

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"foyer/server/amf"
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// Messages of a publisher.
const (
	tagMeta = flv.OnMetaData + "\x08\x00\x00\x00\x02\x00\x05width\x00\x40\x74\x00\x00\x00\x00\x00\x00" +
		"\x00\x08duration\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09"
	tagAVC   = "\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x04\x67\x42\xc0\x1e\x01\x00\x02\x68\xce"
	tagKey   = "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88"
	tagInter = "\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a"
	tagAAC   = "\xaf\x00\x12\x10"
	tagSound = "\xaf\x01sound"
)

// message is a message of that body, of the type that it looks like.
func message(at uint32, body string) rtmp.Message {
	m := rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Timestamp: at, Payload: []byte(body)}
	switch {
	case strings.HasPrefix(body, "\x02"):
		m.Type = rtmp.TypeDataAMF0
	case body[0]>>4 == 10, len(body) > 5 && body[1:5] == "Opus":
		m.Type = rtmp.TypeAudio
	}
	return m
}

// tags reads a file as "type@time" words.
func tags(t *testing.T, b []byte) string {
	t.Helper()
	r, err := NewFLVReader(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%v: %.40x", err, b)
	}
	var words []string
	for {
		m, err := r.Next()
		if err == io.EOF {
			if r.Offset() != int64(len(b)) {
				t.Errorf("ends at %d of %d", r.Offset(), len(b))
			}
			return strings.Join(words, " ")
		} else if err != nil {
			t.Fatal(err)
		}
		f, ok := parse(m)
		word := m.Type.String()
		switch {
		case f.Kind == flv.SequenceStart:
			word = f.Codec.FourCC()
		case ok && f.picture() && f.Key:
			word = "key"
		}
		words = append(words, fmt.Sprintf("%s@%d", word, m.Timestamp))
	}
}

func TestFLV(t *testing.T) {
	begin := []rtmp.Message{message(7000, tagMeta), message(7000, tagAVC), message(7000, tagAAC)}
	for _, tt := range []struct {
		name  string
		then  []rtmp.Message
		flags byte
		want  string
	}{
		{"from a key frame in the past", []rtmp.Message{message(6000, tagKey), message(5990, tagSound), message(6040, tagInter)},
			5, "data@0 avc1@0 mp4a@0 key@0 audio@0 video@40"},
		{"data without a time of its own", []rtmp.Message{message(6000, tagKey), message(6040, tagInter), message(0, "\x02\x00\x03cue\x05")},
			5, "data@0 avc1@0 mp4a@0 key@0 video@40 data@40"},
		{"metadata again", []rtmp.Message{message(6000, tagKey), message(6040, tagInter), message(6040, tagMeta), message(6080, tagInter)},
			5, "data@0 avc1@0 mp4a@0 key@0 video@40 data@0 video@80"},
		{"over the wrap", []rtmp.Message{message(math.MaxUint32-19, tagKey), message(20, tagInter)},
			5, "data@0 avc1@0 mp4a@0 key@0 video@40"},
		{"past 24 bits", []rtmp.Message{message(0, tagKey), message(9_000_000, tagKey), message(9_000_010, tagInter)},
			5, "data@0 avc1@0 mp4a@0 key@0 key@1 video@11"},
		{"back to nothing", []rtmp.Message{message(500_000, tagKey), message(500_040, tagInter), message(0, tagKey), message(33, tagInter)},
			5, "data@0 avc1@0 mp4a@0 key@0 video@40 key@41 video@74"},
		{"sound first", []rtmp.Message{message(6000, tagSound), message(6010, tagKey)},
			5, "data@0 avc1@0 mp4a@0 audio@0 key@10"},
		{"nothing yet", nil, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f FLV
			var b []byte
			for _, m := range append(begin, tt.then...) {
				b = f.Append(b, m)
			}
			b = f.End(b)
			if tt.want == "" {
				if len(b) > 0 {
					t.Errorf("got %x", b)
				}
				return
			}
			if got := tags(t, b); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if b[4] != tt.flags {
				t.Errorf("flags are %d, want %d", b[4], tt.flags)
			}
		})
	}
}

// The header of the file names the tracks that come, also those without a sequence
// header, as far as half a second tells.
func TestFLVFlags(t *testing.T) {
	const h263, speex, nothing = "\x22\x00\x00\x84", "\xb6xxx", byte(0)
	for _, tt := range []struct {
		name  string
		in    []rtmp.Message
		flags byte
	}{
		{"both", []rtmp.Message{video(0, h263), audio(20, speex)}, flv.HasVideo | flv.HasAudio},
		{"sound comes late", []rtmp.Message{video(0, h263), video(400, h263), audio(420, speex)}, flv.HasVideo | flv.HasAudio},
		{"pictures come late", []rtmp.Message{audio(0, speex), audio(400, speex), video(420, h263)}, flv.HasVideo | flv.HasAudio},
		{"only pictures", []rtmp.Message{video(0, h263), video(500, h263)}, flv.HasVideo},
		{"only sound", []rtmp.Message{audio(0, speex), audio(500, speex)}, flv.HasAudio},
		{"only sound, says the metadata", []rtmp.Message{meta(metaAudio), audio(0, speex)}, flv.HasAudio},
		{"both, says the metadata", []rtmp.Message{meta(metaBoth), video(0, h263), audio(40, speex)}, flv.HasVideo | flv.HasAudio},
		{"not known yet", []rtmp.Message{meta(metaBoth), video(0, h263)}, nothing},
	} {
		var f FLV
		var b []byte
		for _, m := range tt.in {
			b = f.Append(b, m)
		}
		flags := nothing
		if len(b) > 0 {
			flags = b[4]
		}
		if flags != tt.flags {
			t.Errorf("%s: %d, want %d", tt.name, flags, tt.flags)
		}
		if tt.flags == nothing && len(f.Settle(nil)) == 0 {
			t.Errorf("%s: nothing when it is settled", tt.name)
		}
	}
}

// TestMaxFLVWaitingBytes: few bytes wait for the other track.
func TestMaxFLVWaitingBytes(t *testing.T) {
	var f FLV
	if b := f.Append(nil, video(0, "\x22"+strings.Repeat("x", MaxFLVWaitingBytes))); len(b) == 0 {
		t.Error("it still waits")
	}
}

// The messages that wait for the first picture are bounded.
func TestMaxFLVWaiting(t *testing.T) {
	var f FLV
	for range 2 * MaxFLVWaiting {
		f.Append(nil, message(0, tagAVC))
	}
	if got := strings.Count(tags(t, f.End(f.Append(nil, message(0, tagKey)))), "avc1"); got != MaxFLVWaiting {
		t.Errorf("kept %d", got)
	}
}

func TestFinishFLV(t *testing.T) {
	for _, meta := range []string{tagMeta, flv.OnMetaData, flv.OnMetaData + "\x03\x00\x00\x09", ""} {
		f := FLV{File: true}
		var b []byte
		if meta != "" {
			b = f.Append(b, message(0, meta))
		}
		b = f.End(f.Append(f.Append(f.Append(b, message(0, tagAVC)), message(100, tagKey)), message(1600, tagInter)))
		path := t.TempDir() + "/x.flv"
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if d, size, err := flvFinished(w); d != 0 || size != 0 || err != nil {
			t.Errorf("unfinished: %v, %d, %v", d, size, err)
		}
		if err := FinishFLV(w, f.Duration(), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		if d, size, err := flvFinished(w); d != 1500*time.Millisecond || size != int64(len(b)) || err != nil {
			t.Errorf("finished: %v, %d, %v", d, size, err)
		}
		w.Seek(0, io.SeekStart)
		r, err := NewFLVReader(w)
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		d := amf.NewDecoder(m.Payload)
		d.Next()
		v, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		want := amf.ECMAArray{{Name: "duration", Value: amf.Number(1.5)}, {Name: "filesize", Value: amf.Number(len(b))}}
		if meta == tagMeta {
			want = append(want, amf.Field{Name: "width", Value: amf.Number(320)})
		}
		if diff := cmp.Diff(amf.Value(want), v); diff != "" {
			t.Errorf("metadata: -want +got\n%s", diff)
		}
	}
}

// FuzzFLV: an FLV of whatever messages a file has in it is a file that is read
// to its end.
func FuzzFLV(f *testing.F) {
	b := flv.AppendFileHeader(nil, 5)
	for _, body := range []string{tagMeta, tagAVC, tagAAC, tagKey, tagInter, tagSound, "\x97\x02\x00\x00\x00\x03hvc1x", "\x96\x11av01\x01\x00\x00\x09y"} {
		b = appendMessage(b, message(1<<24, body))
		f.Add(bytes.Clone(b))
	}
	f.Add(b[:len(b)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewFLVReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		file := FLV{File: true}
		var out []byte
		for {
			m, err := r.Next()
			if err != nil {
				break
			}
			out = file.Append(out, m)
		}
		out = file.End(out)
		if len(out) > 0 {
			tags(t, out)
		}
	})
}

// BenchmarkFLV is one second of a stream of 2.6 Mbit/s.
func BenchmarkFLV(b *testing.B) {
	frame := func(like string) string {
		return like[:5] + "\x00\x00\x28\x02" + like[9:11] + strings.Repeat("x", 10240)
	}
	var f FLV
	buf := f.Append(f.Append(f.Append(nil, meta(metaBoth)), video(0, avcHeader)), audio(0, aacHeader))
	key, inter, sound := video(0, frame(avcKey)), video(0, frame(avcInter)), audio(0, aacFrame)
	b.ReportAllocs()
	for at := uint32(0); b.Loop(); at += 1000 {
		buf = buf[:0]
		for i := range uint32(30) {
			m := inter
			if i == 0 {
				m = key
			}
			m.Timestamp, sound.Timestamp = at+i*33, at+i*33
			buf = f.Append(f.Append(buf, m), sound)
		}
	}
}
