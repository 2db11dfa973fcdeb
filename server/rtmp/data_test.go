package rtmp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"foyer/server/amf"
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// Parts of metadata, as encoders put them together.
const (
	metaName = "\x02\x00\x0aonMetaData"
	setFrame = "\x02\x00\x0d@setDataFrame"
	width    = "\x00\x05width\x00\x40\x50\x00\x00\x00\x00\x00\x00"
	encoder  = "\x00\x07encoder\x02\x00\x03cam"
	end      = "\x00\x00\x09"
	whole    = metaName + "\x08\x00\x00\x00\x02" + width + encoder + end
	alone    = metaName + "\x08\x00\x00\x00\x01" + width + end
)

// oddData is what encoders send as data, and what players get of it: "" is
// nothing.
var oddData = []struct{ name, sent, want string }{
	{"whole", whole, whole},
	{"no data", metaName + "\x05", metaName + "\x05"},
	{"cue point", "\x02\x00\x03cue\x03\x00\x01x\x06" + end, "\x02\x00\x03cue\x03\x00\x01x\x06" + end},
	{"a name alone", "\x02\x00\x03cue", "\x02\x00\x03cue"},
	{"clear", "\x02\x00\x0f@clearDataFrame" + metaName, "\x02\x00\x0f@clearDataFrame" + metaName},

	{"@setDataFrame", setFrame + whole, whole},
	{"@setDataFrame twice", setFrame + setFrame + whole, whole},
	{"no end", metaName + "\x08\x00\x00\x00\x02" + width + encoder, whole},
	{"half an end", metaName + "\x08\x00\x00\x00\x02" + width + encoder + "\x00\x00", whole},
	{"count of 0", metaName + "\x08\x00\x00\x00\x00" + width + encoder + end, whole},
	{"count too high", metaName + "\x08\x00\x00\x00\x0d" + width + encoder + end, whole},
	{"count without sense", metaName + "\x08\xff\xff\xff\xff" + width + encoder + end, whole},
	{"object", metaName + "\x03" + width + encoder + end, whole},
	{"object without end", metaName + "\x03" + width + encoder, whole},
	{"typed object", metaName + "\x10\x00\x01C" + width + encoder + end, whole},
	{"text cut short", metaName + "\x08\x00\x00\x00\x02" + width + "\x00\x07encoder\x02\x00\x30cam", alone},
	{"name cut short", metaName + "\x08\x00\x00\x00\x02" + width + "\x00\x07enc", alone},
	{"number cut short", metaName + "\x08\x00\x00\x00\x02" + width + "\x00\x01n\x00\x40", alone},
	{"cut in the middle of a letter", metaName + "\x08\x00\x00\x00\x02" + width + "\x00\x07encoder\x02\x00\x04cam\xc3" + end, whole},
	{"something behind it", whole + "\x03" + width + end, whole},
	{"zeros behind it", whole + "\x00\x00\x00", whole},
	{"a value of no type", metaName + "\x08\x00\x00\x00\x02" + width + "\x00\x01x\xee" + end, alone},
	{"undefined", metaName + "\x08\x00\x00\x00\x01\x00\x01x\x06" + end, metaName + "\x08\x00\x00\x00\x01\x00\x01x\x05" + end},
	{"XML", metaName + "\x08\x00\x00\x00\x01\x00\x01x\x0f\x00\x00\x00\x01y" + end, metaName + "\x08\x00\x00\x00\x01\x00\x01x\x02\x00\x01y" + end},
	{"a track of data", metaName + "\x08\x00\x00\x00\x02" + width + "\x00\x0adatastream\x00\x00\x00\x00\x00\x00\x00\x00\x00" + end, alone},
	{"a member without a name", metaName + "\x08\x00\x00\x00\x02\x00\x00\x05" + width + end, alone},
	{"a name too long for ffmpeg", metaName + "\x08\x00\x00\x00\x02\x00\x80" + strings.Repeat("n", 128) + "\x05" + width + end, alone},
	{"an inner object without end", metaName + "\x08\x00\x00\x00\x01\x00\x01o\x03" + width, metaName + "\x08\x00\x00\x00\x01\x00\x01o\x03" + width + end + end},
	{"an array that is too long", metaName + "\x08\x00\x00\x00\x02" + width + "\x00\x01a\x0a\x00\x00\x00\x09\x05" + end, alone},
	{"the same object again", metaName + "\x08\x00\x00\x00\x02\x00\x01o\x03" + end + "\x00\x01p\x07\x00\x01" + end,
		metaName + "\x08\x00\x00\x00\x02\x00\x01o\x03" + end + "\x00\x01p\x03" + end + end},
	{"nested too deeply", metaName + "\x08\x00\x00\x00\x02" + width + strings.Repeat("\x00\x01o\x03", 100), metaName + "\x08\x00\x00\x00\x02" + width + "\x00\x01o" +
		strings.Repeat("\x03\x00\x01o", amf.MaxDepth-2) + "\x03" + strings.Repeat(end, amf.MaxDepth)},

	{"AMF3 in metadata", metaName + "\x11\x0a\x0b\x01\x0bwidth\x04\x40\x01", metaName + "\x08\x00\x00\x00\x01" + width + end},
	{"AMF3 in a cue point", "\x02\x00\x03cue\x11\x06\x03x", "\x02\x00\x03cue\x02\x00\x01x"},

	{"a name in AMF3", "\x11\x06\x15onMetaData\x11\x0a\x0b\x01\x0bwidth\x04\x40\x01", metaName + "\x08\x00\x00\x00\x01" + width + end},
	{"a long name", "\x0c\x00\x00\x00\x03cue\x05", "\x02\x00\x03cue\x05"},

	{"nothing", "", ""},
	{"a timecode", "\x00\x01\x02\x03", ""},
	{"a timecode like a number", "\x00\x00\x00\x00\x00\x00\x00\x00\x00", ""},
	{"text", "hello", ""},
	{"@setDataFrame alone", setFrame, ""},
	{"a name cut short", "\x02\x00\x0aonMeta", ""},
	{"no name", "\x02\x00\x00\x05", ""},
	{"a name too long for ffmpeg, too", "\x02\x00\x40" + strings.Repeat("n", 64), ""},
	{"metadata without members", metaName + "\x08\x00\x00\x00\x01\x00\x05wid", ""},
	{"metadata without a value", metaName, ""},
	{"metadata of no type", metaName + "\xee", ""},
	{"a value cut short", "\x02\x00\x03cue\x02\x00\x09x", ""},
	{"AMF3 cut short", "\x02\x00\x03cue\x11\x06\x33x", ""},
	{"what only servers say", "\x02\x00\x11|RtmpSampleAccess\x01\x00\x01\x00", ""},
	{"and this", "\x02\x00\x08onStatus\x03\x00\x04code\x02\x00\x14NetStream.Data.Start" + end, ""},
}

func TestOddData(t *testing.T) {
	for _, tt := range oddData {
		got, ok := rtmp.Readable([]byte(tt.sent))
		if ok != (tt.want != "") || ok && string(got) != tt.want {
			t.Errorf("%s: (-want +got)\n%s", tt.name, cmp.Diff([]byte(tt.want), got))
		}
	}
	unchanged := []byte(whole)
	if got, _ := rtmp.Readable(unchanged); &got[0] != &unchanged[0] {
		t.Error("metadata that needs no change was copied")
	}
}

// The messages of type 15 have a format byte, of which encoders have ideas of
// their own. None of it ends the connection.
func TestDataOfType15(t *testing.T) {
	var sent []rtmp.Message
	for _, b := range []string{"\x00" + whole, "\x00" + setFrame + whole, setFrame + whole, "", "\x03" + whole, "\x00", "\x06\x03x", "\x00\x00"} {
		sent = append(sent, rtmp.Message{Type: rtmp.TypeDataAMF3, Payload: []byte(b)})
	}
	got, dropped := throughServer(t, sent)
	if len(got) != 3 || dropped != 5 {
		t.Errorf("%d messages, %d dropped", len(got), dropped)
	}
	for _, m := range got {
		if m.Type != rtmp.TypeDataAMF0 || string(m.Payload) != whole {
			t.Errorf("got %v %q", m.Type, m.Payload)
		}
	}
}

// ffmpegReads reads a data message as ffmpeg's player does (handle_notify of
// libavformat/rtmpproto.c), which ends with this error.
func ffmpegReads(b []byte) error {
	if len(b) < 3 || b[0] != 2 {
		return errors.New("no name")
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if n > 63 || n > len(b)-3 {
		return errors.New("name too long")
	}
	name, b := string(b[3:3+n]), b[3+n:]
	if name != "onMetaData" || len(b) == 0 || b[0] != 8 {
		return nil
	}
	for b = b[min(5, len(b)):]; len(b) > 3; {
		n := int(binary.BigEndian.Uint16(b))
		if n > 127 || n > len(b)-2 {
			return errors.New("name of a member too long")
		}
		if b = b[2+n:]; len(b) == 0 {
			return errors.New("no value")
		}
		if n, err := ffmpegSkips(b); err != nil {
			return err
		} else {
			b = b[n:]
		}
	}
	if string(b) != end {
		return errors.New("no end")
	}
	return nil
}

// ffmpegSkips is amf_tag_skip of libavformat/rtmppkt.c.
func ffmpegSkips(b []byte) (n int, err error) {
	short := errors.New("value cut short")
	sizes := map[byte]int{0: 9, 1: 2, 5: 1, 11: 11, 9: 1}
	switch m := b[0]; m {
	case 0, 1, 5, 11, 9:
		n = sizes[m]
	case 2:
		if len(b) < 3 {
			return 0, short
		}
		n = 3 + int(binary.BigEndian.Uint16(b[1:]))
	case 12:
		if len(b) < 5 {
			return 0, short
		}
		n = 5 + int(binary.BigEndian.Uint32(b[1:]))
	case 3, 8, 10:
		items := -1
		if n = 1; m != 3 {
			n = 5
		}
		if len(b) < n {
			return 0, short
		}
		if m == 10 {
			items = int(binary.BigEndian.Uint32(b[1:]))
		}
		for ; items != 0; items-- {
			if m != 10 {
				if len(b)-n < 3 {
					return 0, short
				}
				name := int(binary.BigEndian.Uint16(b[n:]))
				if name == 0 {
					n += 3
					break
				}
				n += 2 + name
			}
			if n >= len(b) {
				return 0, short
			}
			size, err := ffmpegSkips(b[n:])
			if err != nil {
				return 0, err
			}
			n += size
		}
	default:
		return 0, errors.New("a type that it does not know")
	}
	if n > len(b) {
		return 0, short
	}
	return n, nil
}

// Whatever encoders send, players get what they can read: by this program, and
// by ffmpeg.
func FuzzData(f *testing.F) {
	for _, tt := range oddData {
		f.Add([]byte(tt.sent))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		got, ok := rtmp.Readable(sent)
		if !ok {
			return
		}
		args, err := amf.NewDecoder(got).Rest()
		if err != nil {
			t.Fatalf("%x does not decode: %v", got, err)
		}
		if _, err := amf.NewDecoder(got).Text(); err != nil {
			t.Fatalf("%x has no name: %v", got, args)
		}
		if err := ffmpegReads(got); err != nil {
			t.Fatalf("ffmpeg does not read %x: %v", got, err)
		}
		if again, ok := rtmp.Readable(got); !ok || !bytes.Equal(again, got) {
			t.Fatalf("%x became %x, and that %x", sent, got, again)
		}
	})
}

// ffprobe sees all pictures and sound of a broadcast with odd data, over RTMP
// and in a file.
func TestFFmpegPlaysOddData(t *testing.T) {
	pictures := film(t)[1:]
	want := probed(t, fileOf(t, pictures))
	for _, tt := range oddData {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			odd := rtmp.Message{Type: rtmp.TypeDataAMF0, Payload: []byte(tt.sent)}
			all := append([]rtmp.Message{odd}, pictures[:8]...)
			all = append(append(all, odd), pictures[8:]...)
			passed, _ := throughServer(t, all)
			if got := probed(t, fileOf(t, passed)); got != want {
				t.Errorf("a file: got %s, want %s", got, want)
			}
			if got := probed(t, serveTape(t, passed)); got != want {
				t.Errorf("RTMP: got %s, want %s", got, want)
			}
		})
	}
}

// throughServer returns what a server passes on of a publisher's messages, and
// how many it drops.
func throughServer(t *testing.T, ms []rtmp.Message) (passed []rtmp.Message, dropped uint64) {
	t.Helper()
	h := heard{done: make(chan struct{})}
	client, server := pair(t, nil, desk{publish: func(p *rtmp.Publish) { p.Accept(&h) }})
	st, err := client.CreateStream(t.Context())
	if err == nil {
		err = st.Publish(t.Context(), "x", "live")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		st.WriteMessage(m)
	}
	st.Close()
	<-h.done
	return h.messages, server.Stats().Dropped
}

// heard is a tape that says when it ends.
type heard struct {
	tape
	done chan struct{}
}

func (h *heard) Close(error) { close(h.done) }

func fileOf(t *testing.T, ms []rtmp.Message) string {
	t.Helper()
	b := flv.AppendFileHeader(nil, flv.HasAudio|flv.HasVideo)
	for _, m := range ms {
		b = flv.AppendTag(b, flv.Media(m.Type), m.Timestamp, m.Payload)
	}
	name := filepath.Join(t.TempDir(), "odd.flv")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// serveTape plays the messages to one player, at the address it returns.
func serveTape(t *testing.T, ms []rtmp.Message) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		if s := accept(t, nc, nil, jukebox{ms}); s != nil {
			s.Run(t.Context())
		}
	})
	return "rtmp://" + ln.Addr().String() + "/room/blue/live"
}

// probed is what ffprobe counts: a line for each of picture and sound.
func probed(t *testing.T, name string) string {
	t.Helper()
	out, err := program(t, "ffprobe", "-v", "fatal", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0", name).Output()
	if err != nil {
		t.Errorf("ffprobe: %v", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "h264") || strings.HasPrefix(line, "aac") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 2 && lines[0] > lines[1] {
		lines[0], lines[1] = lines[1], lines[0]
	}
	return strings.Join(lines, "")
}
