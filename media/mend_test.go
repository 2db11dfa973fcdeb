package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// nal is NAL units behind their lengths.
func nal(units ...string) string {
	var b []byte
	for _, u := range units {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(u))), u...)
	}
	return string(b)
}

// legacy is a tag of H.264: a key frame, or another.
func legacy(key bool, body string) string {
	if key {
		return "\x17\x01\x00\x00\x00" + body
	}
	return "\x27\x01\x00\x00\x00" + body
}

// Units of H.264.
const (
	unitAUD   = "\x09\xf0"
	unitSEI   = "\x06\x01\x01\x11\x80"
	unitFill  = "\x0c\xff\xff\x80"
	unitIDR   = "\x65\x88\x84\x21"
	unitIDR2  = "\x65\x12\x84\x22"
	unitSlice = "\x41\x9a\x21\x23"
	unitMore  = "\x41\x1a\x21\x24"
	spsOther  = "\x67\x42\xc0\x29\xd9\x00\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc9\x20"
	ppsSmall  = "\x68\xcb\x8c\xb2"
)

// mendAll is what a mender makes of messages, one word each: the configuration,
// K or P with the time and the units of a picture, or the sound.
func mendAll(t *testing.T, list []rtmp.Message) string {
	t.Helper()
	var x mender
	var words []string
	add := func(out []mended) {
		for _, m := range out {
			again, ok := parse(m.message)
			if m.Kind != flv.Other && (!ok || !bytes.Equal(again.Body, m.Body) || again.Key != m.Key || again.Shift != m.Shift) {
				t.Errorf("the tag is not that of the message: %+v, %x", m.tag, m.message.Payload)
			}
			words = append(words, word(m))
		}
	}
	for _, m := range list {
		add(x.take(m))
	}
	add(x.end())
	return strings.Join(words, " ")
}

func word(m mended) string {
	switch {
	case m.Kind == flv.SequenceStart:
		return fmt.Sprintf("config(%x)", m.Body[max(0, len(m.Body)-4):])
	case m.Kind != flv.CodedFrames:
		return "other"
	case !m.picture():
		return fmt.Sprintf("a%d(%x)", m.message.Timestamp, m.Body)
	}
	word := map[bool]string{true: "K", false: "P"}[m.Key] + fmt.Sprint(m.message.Timestamp)
	var units []string
	f := flv.Framing(4)
	if m.Codec == flv.AV1 {
		f = flv.OBUs
	}
	r := flv.Units(m.Body, f)
	for r.Next() {
		units = append(units, fmt.Sprintf("%x", r.Unit[:1]))
	}
	if !r.Clean {
		units = append(units, "unclean")
	}
	return word + "(" + strings.Join(units, ",") + ")"
}

// TestMendPictures: whatever tags a picture comes in, it comes out as one.
func TestMendPictures(t *testing.T) {
	key, inter := nal(unitIDR), nal(unitSlice)
	annexB := func(units ...string) string { return "\x00\x00\x00\x01" + strings.Join(units, "\x00\x00\x01") }
	for _, tt := range []struct {
		name string
		in   []rtmp.Message
		want string
	}{
		{"whole", []rtmp.Message{video(0, legacy(true, key)), video(40, legacy(false, inter))}, "K0(65) P40(41)"},
		{"SEI alone", []rtmp.Message{video(0, legacy(false, nal(unitSEI))), video(0, legacy(true, key)), video(40, legacy(false, nal(unitSEI))), video(41, legacy(false, inter))},
			"K0(06,65) P41(06,41)"},
		{"SEI that browsers cannot read", []rtmp.Message{video(0, legacy(true, nal("\x06\x05\x04\x01\x02\x03\x04\x80"))), video(0, legacy(true, nal("\x06\x05\x04\x01\x02\x03\x04\x80", unitIDR)))}, "K0(65)"},
		{"AUD and parameters alone", []rtmp.Message{video(0, legacy(true, nal(unitAUD))), video(0, legacy(true, nal(spsSmall))), video(0, legacy(true, nal(ppsSmall))), video(0, legacy(true, key)), video(40, legacy(false, inter))},
			"K0(09,67,68,65) P40(41)"},
		{"other parameters", []rtmp.Message{video(0, legacy(true, key)), video(40, legacy(true, nal(spsOther, ppsSmall))), video(40, legacy(true, key))},
			"K0(65) config(68cb8cb2) K40(67,68,65)"},
		{"a slice a tag", []rtmp.Message{video(0, legacy(true, key)), video(0, legacy(true, nal(unitIDR2))), video(0, legacy(true, nal(unitIDR2))), video(40, legacy(false, inter)), video(40, legacy(false, nal(unitMore)))},
			"K0(65,65,65) P40(41,41)"},
		{"a slice a tag after many", slices.Concat(pictures(0)[:20], []rtmp.Message{video(700, legacy(false, inter)), video(700, legacy(false, nal(unitMore))), video(740, legacy(false, inter)), video(780, legacy(true, key)), video(780, legacy(true, nal(unitIDR2)))}),
			asTheyCame(pictures(0)[:20]) + " P700(41) other K780(65,65)"},
		{"slices with times of their own", []rtmp.Message{video(0, legacy(true, key)), video(0, legacy(true, nal(unitIDR2))), video(3, legacy(true, nal(unitIDR2))), video(40, legacy(false, inter)), video(60, legacy(false, nal(unitMore)))},
			"K0(65,65,65) P40(41,41)"},
		{"all at time 0", []rtmp.Message{video(0, legacy(true, key)), video(0, legacy(false, inter)), video(0, legacy(false, inter))}, "K0(65) P0(41) P0(41)"},
		{"units of no length", []rtmp.Message{video(0, legacy(true, nal("", unitIDR, ""))), video(40, legacy(false, nal(unitSlice, "", "")))}, "K0(65) P40(41)"},
		{"only a unit of no length", []rtmp.Message{video(0, legacy(true, key)), video(20, legacy(false, nal(""))), video(40, legacy(false, inter))}, "K0(65) P40(41)"},
		{"empty frames", []rtmp.Message{video(0, legacy(true, "")), video(0, legacy(true, key)), video(20, legacy(false, "")), video(40, legacy(false, inter))}, "K0(65) P40(41)"},
		{"zeros behind", []rtmp.Message{video(0, legacy(true, key+"\x00\x00\x00")), video(40, legacy(false, nal(unitSlice+"\x00\x00")))}, "K0(65) P40(41)"},
		{"filler", []rtmp.Message{video(0, legacy(true, nal(unitIDR, unitFill))), video(20, legacy(false, nal(unitFill))), video(40, legacy(false, inter))}, "K0(65) P40(41)"},
		{"the end of the sequence", []rtmp.Message{video(0, legacy(true, key)), video(0, legacy(false, nal("\x0a"))), video(40, legacy(true, key))}, "K0(65,0a) K40(65)"},
		{"start codes", []rtmp.Message{video(0, legacy(true, annexB(unitAUD, unitIDR))), video(40, legacy(false, annexB(unitSlice)+"\x00"))}, "K0(09,65) P40(41)"},
		{"lengths of two bytes", []rtmp.Message{video(0, legacy(true, "\x00\x04"+unitIDR)), video(40, legacy(false, "\x00\x04"+unitSlice))}, "K0(65) P40(41)"},
		{"the flag is wrong", []rtmp.Message{video(0, legacy(false, key)), video(40, legacy(true, inter)), video(80, legacy(true, nal("\x41\xb0\x21\x23")))}, "K0(65) P40(41) K80(41)"},
		{"something is missing", []rtmp.Message{video(0, legacy(true, key)), video(40, legacy(false, "\x00\x00\x00\x09\x41\x9a")), video(80, legacy(false, inter)), video(120, legacy(true, key))},
			"K0(65) other other K120(65)"},
		{"sound between", []rtmp.Message{video(0, legacy(true, key)), audio(0, aacFrame), video(0, legacy(true, nal(unitIDR2))), audio(20, aacFrame), video(40, legacy(false, inter))},
			"K0(65,65) a0(21004990) a20(21004990) P40(41)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := mendAll(t, append([]rtmp.Message{video(0, avcHeader)}, tt.in...)), "config(68cb8cb2) "+tt.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// asTheyCame is what whole pictures are in mendAll.
func asTheyCame(list []rtmp.Message) string {
	var all []string
	for _, m := range list {
		t, _ := parse(m)
		all = append(all, word(mended{t, m}))
	}
	return strings.Join(all, " ")
}

// TestMendConfigurations: what the pictures say counts, if no header says it.
func TestMendConfigurations(t *testing.T) {
	start := "\x00\x00\x00\x01"
	zero := strings.Replace(avcHeader, "\x42\xc0\x28\xff", "\x00\x00\x00\xff", 1)
	short := strings.Replace(avcHeader, "\x42\xc0\x28\xff", "\x42\xc0\x28\xfd", 1) // lengths of two bytes
	for _, tt := range []struct {
		name, header, key string
	}{
		{"right", avcHeader, legacy(true, nal(unitIDR))},
		{"profile of zeros", zero, legacy(true, nal(unitIDR))},
		{"lengths of two bytes", short, legacy(true, "\x00\x04"+unitIDR)},
		{"a length that is wrong", short, legacy(true, nal(unitIDR))},
		{"start codes", "\x17\x00\x00\x00\x00" + start + spsSmall + start + ppsSmall, legacy(true, start+unitIDR)},
		{"lengths in front of the sets", "\x17\x00\x00\x00\x00" + nal(spsSmall, ppsSmall), legacy(true, nal(unitIDR))},
		{"none", "", legacy(true, nal(spsSmall, ppsSmall, unitIDR))},
		{"none, and start codes", "", legacy(true, start+spsSmall+start+ppsSmall+start+unitIDR)},
		{"without an SPS", "\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe0\x00", legacy(true, nal(spsSmall, ppsSmall, unitIDR))},
		{"empty", "\x17\x00\x00\x00\x00", legacy(true, nal(spsSmall, ppsSmall, unitIDR))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var x mender
			var in []rtmp.Message
			if tt.header != "" {
				in = append(in, video(0, tt.header))
			}
			var last []byte
			for _, m := range append(in, video(0, tt.key)) {
				for _, o := range x.take(m) {
					if o.Kind == flv.SequenceStart {
						last = o.Body
					}
				}
			}
			for _, o := range x.end() {
				switch {
				case o.Kind == flv.SequenceStart:
					last = o.Body
				case string(last) != avcHeader[5:]:
					t.Errorf("the configuration is %x, want %x", last, avcHeader[5:])
				case !o.Key || !strings.HasSuffix(string(o.Body), nal(unitIDR)):
					t.Errorf("the key frame is %x", o.Body)
				}
			}
			if last == nil {
				t.Error("no configuration")
			}
		})
	}
}

// TestMendSound: what is no sound goes.
func TestMendSound(t *testing.T) {
	adts := func(frame string, crc string) string {
		n := 7 + len(crc) + len(frame)
		protection := byte(1)
		if crc != "" {
			protection = 0
		}
		return string([]byte{0xFF, 0xF0 | protection, 0x50, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1F, 0xFC}) + crc + frame
	}
	const frame = "\x21\x00\x49\x90"
	const opusHeader = "\x90OpusOpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00"
	for _, tt := range []struct {
		name string
		in   []string
		want string
	}{
		{"as it should be", []string{aacHeader, aacFrame}, "config(1210) a0(21004990)"},
		{"the configuration as a frame", []string{aacHeader, "\xaf\x01\x12\x10", aacFrame}, "config(1210) a0(21004990)"},
		{"a long one", []string{"\xaf\x00\x13\x90\x56\xe5\xa5\x48\x80", "\xaf\x01\x13\x90\x56\xe5\xa5\x48\x80", aacFrame}, "config(e5a54880) a0(21004990)"},
		{"only as a frame", []string{"\xaf\x01\x12\x10", aacFrame}, "config(1210) a0(21004990)"},
		{"empty frames", []string{"\xaf\x00", aacHeader, "\xaf\x00", "\xaf\x01", "\xaf", "", aacFrame}, "config(1210) a0(21004990)"},
		{"shorter than any frame", []string{aacHeader, "\xaf\x01\x21", "\xaf\x01\x21\x00\x49", aacFrame}, "config(1210) a0(21004990)"},
		{"short frames of low delay", []string{"\xaf\x00\xf8\xe8\x50\x00", "\xaf\x01\x21", "\xaf\x01\xff\xf1\x50"}, "config(f8e85000) a0(21) a0(fff150)"},
		{"ADTS", []string{aacHeader, "\xaf\x01" + adts(frame, ""), "\xaf\x01" + adts(frame, "\x12\x34")}, "config(1210) a0(21004990) a0(21004990)"},
		{"several in one", []string{aacHeader, "\xaf\x01" + adts(frame, "") + adts(frame, "") + adts(frame, "")}, "config(1210) a0(21004990) a23(21004990) a46(21004990)"},
		{"ADTS without a configuration", []string{"\xaf\x01" + adts(frame, "")}, "config(1210) a0(21004990)"},
		{"ADTS as the configuration", []string{"\xaf\x00" + adts(frame, "")[:7], aacFrame}, "config(1210) a0(21004990)"},
		{"ADTS cut short", []string{aacHeader, "\xaf\x01" + adts(frame, "")[:9], aacFrame}, "config(1210) a0(21004990)"},
		{"Opus", []string{opusHeader, "\x91Opus" + opusHeader[5:], "\x91OpusOpusTags", "\x91Opus", "\x91Opus\xfc\xff"}, "config(00000000) a0(fcff)"},
		{"MP3", []string{"\x2f", "\x2fID3\x03", "\x2f\xff\xfb\x90"}, "a0(fffb90)"},
		{"FLAC", []string{"\x90fLaCfLaC\x80", "\x91fLaCfLaC\x80", "\x91fLaC", "\x91fLaC\xff\xf8"}, "config(4c614380) a0(fff8)"},
		{"AC-3", []string{"\x91ac-3", "\x91ac-3\x0b\x77"}, "a0(0b77)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var in []rtmp.Message
			for _, body := range tt.in {
				in = append(in, audio(0, body))
			}
			if got := mendAll(t, in); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// bombs are streams of tags that never become a picture.
var bombs = map[string][]string{
	"SEI without end":            {legacy(false, nal("\x06\x01\x01"+strings.Repeat("\xaa", 100_000)))},
	"slices without end":         {legacy(false, nal("\x41\x9a"+strings.Repeat("\xaa", 50_000))), legacy(false, nal("\x41\x1a"+strings.Repeat("\xaa", 100_000)))},
	"slices without a beginning": {legacy(false, nal("\x41\x1a"+strings.Repeat("\xaa", 100_000)))},
	"parameters, others each":    {legacy(true, nal(spsSmall, ppsSmall, unitIDR)), legacy(true, nal(spsOther, ppsSmall, unitIDR))},
	"sound behind a picture":     {legacy(true, nal(unitIDR))},
	"hidden pictures":            {"\x91av01\x32\x02\x20\xaa"},
	"tile groups":                {"\x91av01\x1a\x01\x10", "\x91av01\x22\x82\x8d\x06" + strings.Repeat("\xaa", 99_970)},
}

// TestMaxPicture: what waits for a picture is bounded, in bytes and in messages.
func TestMaxPicture(t *testing.T) {
	const rounds = 400 // 40 MB
	for name, bodies := range bombs {
		var x mender
		x.take(video(0, avcHeader))
		for i := range rounds {
			body := bodies[min(i, len(bodies)-1)]
			if strings.HasPrefix(name, "parameters") {
				body = bodies[i%2]
			}
			x.take(video(0, body))
			x.take(audio(0, "\xaf\x01"+strings.Repeat("s", 5_000)))
			h := &x.video.held
			if n := len(h.Body) + cap(h.rewrite); n > 3*MaxPicture || x.bytes > MaxPicture+5_000 || len(x.behind) > maxBehind {
				t.Fatalf("%s: after %d, %d bytes are held, and %d messages with %d", name, i, n, len(x.behind), x.bytes)
			}
		}
		if n := len(x.video.config.sets.sets) + len(x.video.config.fresh.sets); n > 2*maxSets {
			t.Errorf("%s: %d parameter sets", name, n)
		}
	}
}

// TestMaxSets: a stream has so many parameter sets at most, whatever comes.
func TestMaxSets(t *testing.T) {
	var l, fresh setList
	for i := range 1000 {
		fresh.read(flv.AVC, []byte(nal(fmt.Sprintf("\x68%c%c", 0x80>>(i%8)|1, i%256))), 4)
		l.merge(&fresh)
	}
	fresh.read(flv.AVC, []byte(strings.Repeat(nal(ppsSmall), 1000)), 4)
	if len(l.sets) > maxSets || len(fresh.sets) != maxSets {
		t.Errorf("%d and %d sets", len(l.sets), len(fresh.sets))
	}
	fresh.read(flv.AVC, []byte(nal("\x67"+strings.Repeat("x", MaxRecord))), 4)
	if len(fresh.sets) != 0 {
		t.Error("a parameter set longer than a configuration is kept")
	}
}

// TestMendWaits: a picture waits for the next tag until whole ones are this
// publisher's habit, and no longer than half a second of sound.
func TestMendWaits(t *testing.T) {
	var x mender
	x.take(video(0, avcHeader))
	for i := range uint32(2 * habit) {
		out := x.take(video(i*40, legacy(i == 0, nal(map[bool]string{true: unitIDR, false: unitSlice}[i == 0]))))
		switch {
		case i == 0 && len(out) != 0, i > 0 && i < habit && (len(out) != 1 || out[0].message.Timestamp != (i-1)*40):
			t.Errorf("%d: %d at once", i, len(out))
		case i > habit && (len(out) != 1 || out[0].message.Timestamp != i*40):
			t.Errorf("%d: the picture waits", i)
		}
	}
	x = mender{}
	x.take(video(0, avcHeader))
	x.take(video(0, legacy(true, nal(unitIDR))))
	for at := uint32(0); at < maxPending; at += 20 {
		if out := x.take(audio(at, aacFrame)); len(out) != 0 {
			t.Errorf("%d ms of sound, and the picture is out", at)
		}
	}
	if out := x.take(audio(maxPending, aacFrame)); len(out) != 2+maxPending/20 || !out[0].picture() {
		t.Errorf("after half a second: %d", len(out))
	}
}

// TestMendTracks: where only the first track of a message is to be mended, the others
// are still there for players of FLV.
func TestMendTracks(t *testing.T) {
	track := func(n byte, body string) string { return string([]byte{n, 0, 0, byte(len(body))}) + body }
	pair := func(first, second string) rtmp.Message { // CodedFramesX of two tracks
		return video(0, "\x96\x13avc1"+track(0, first)+track(1, second))
	}
	other := nal(unitIDR, unitIDR2)
	list := []rtmp.Message{
		video(0, "\x96\x10avc1"+track(0, avcHeader[5:])+track(1, avcOther[5:])),
		pair(nal(unitSEI), other), pair(nal(unitIDR), other), pair(nal(unitIDR, ""), other), pair(nal(unitIDR), other),
	}
	if got, want := mendAll(t, list), "config(68cb8cb2) K0(06,65) other other K0(65) other K0(65)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var x mender
	seconds := 0
	count := func(out []mended) {
		for _, m := range out {
			var tag flv.Tag
			for ok := tag.Parse(flv.Video, m.message.Payload); ok; ok = tag.Next() {
				if tag.Track == 1 && string(tag.Body) == other {
					seconds++
				}
			}
		}
	}
	for _, m := range list {
		count(x.take(m))
	}
	if count(x.end()); seconds != 4 {
		t.Errorf("%d pictures of the second track, want 4", seconds)
	}
}

// TestMendSettle: a stall in the middle of a picture does not cut it, where parts are
// the habit.
func TestMendSettle(t *testing.T) {
	var x mender
	x.take(video(0, avcHeader))
	x.take(video(0, legacy(true, nal(unitIDR))))
	if out := x.settle(); len(out) != 1 || x.waits() {
		t.Errorf("%d settle", len(out))
	}
	x.take(video(40, legacy(false, nal(unitSlice))))
	x.take(video(40, legacy(false, nal(unitMore))))
	if out := x.settle(); len(out) != 0 || x.waits() {
		t.Errorf("%d settle in the middle of a picture", len(out))
	}
	x.take(video(40, legacy(false, nal(unitMore))))
	if out := x.take(video(80, legacy(false, nal(unitSlice)))); len(out) != 1 || len(out[0].Body) != len(nal(unitSlice, unitMore, unitMore)) {
		t.Errorf("got %v", out)
	}
}

// TestMendNextEncoder: another encoder, which has another configuration, may have
// another habit.
func TestMendNextEncoder(t *testing.T) {
	list := append([]rtmp.Message{video(0, avcHeader)}, pictures(0)...)
	list = append(list, video(1000, avcOther), video(1000, legacy(true, nal(unitIDR))), video(1000, legacy(true, nal(unitIDR2))), video(1040, legacy(false, nal(unitSlice))))
	if got := mendAll(t, list); !strings.HasSuffix(got, " config(68cb8cb3) K1000(65,65) P1040(41)") {
		t.Errorf("got %s", got)
	}
}

// FuzzMend: whatever comes, what comes out is what it says, in the order of each
// track, and little waits.
func FuzzMend(f *testing.F) {
	pack := func(bodies ...string) (b []byte) {
		for _, body := range bodies {
			m := message(0, body)
			b = append(append(b, byte(m.Type), byte(len(body)>>8), byte(len(body))), body...)
		}
		return b
	}
	f.Add(pack(avcHeader, legacy(true, nal(unitSEI)), legacy(true, nal(spsOther, ppsSmall)), legacy(true, nal(unitIDR)), legacy(true, nal(unitIDR2)), legacy(false, nal(unitSlice))))
	f.Add(pack("\x17\x01\x00\x00\x00\x00\x00\x00\x01"+spsSmall+"\x00\x00\x01"+ppsSmall+"\x00\x00\x01"+unitIDR, legacy(false, nal(unitSlice))))
	f.Add(pack("\x90av01\x81\x00\x0c\x00\x0a\x0b\x00\x00\x00\x04\x3c\xff\xbc\xff\xf8\x08\x40", "\x91av01\x12\x00", "\x91av01\x0a\x0b\x00\x00\x00\x04\x3c\xff\xbc\xff\xf8\x08\x40\x1a\x01\x10", "\x91av01\x22\x01\x00"))
	f.Add(pack("\x1c\x01\x00\x00\x00"+nal("\x46\x01\x50", "\x26\x01\xaf\x09"), "\xa1hvc1\x00\x00\x00"+nal("\x02\x01\xd0\x09")))
	f.Add(pack(aacHeader, "\xaf\x01\xff\xf1\x50\x80\x01\x7f\xfc\x21\x00\x49\x90", "\xaf\x01\x12\x10"))
	f.Add(pack("\x96\x10avc1\x01\x00\x00\x01x\x00\x00\x00\x02\x01\x02", "\x96\x13avc1\x01\x00\x00\x01x\x00\x00\x00\x06\x00\x00\x00\x02\x65\x88"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var x mender
		last := map[rtmp.MessageType]uint32{}
		check := func(out []mended) {
			for _, m := range out {
				if m.message.Timestamp+1 < last[m.message.Type] && m.lane == videoLane {
					t.Fatalf("goes back from %d to %d", last[m.message.Type], m.message.Timestamp)
				}
				last[m.message.Type] = m.message.Timestamp
				if m.Kind != flv.CodedFrames {
					continue
				}
				again, ok := parse(m.message)
				if !ok || !bytes.Equal(again.Body, m.Body) || again.Key != m.Key || again.Shift != m.Shift || len(m.Body) == 0 {
					t.Fatalf("%+v is not %x", m.tag, m.message.Payload)
				}
				if m.Codec.Unitary() && x.video.config.known {
					if v := m.Codec.View(m.Body, 4); m.Codec != flv.AV1 && (!v.Clean || v.Role != flv.Begin && v.Role != flv.More) {
						t.Fatalf("%x is no picture: %+v", m.Body, v)
					}
				}
			}
		}
		for at := uint32(0); len(b) >= 3; at += 7 {
			n := min(int(b[1])<<8|int(b[2]), len(b)-3)
			check(x.take(rtmp.Message{Type: rtmp.MessageType(b[0]), Timestamp: at, Payload: b[3 : 3+n]}))
			b = b[3+n:]
		}
		check(x.end())
	})
}

// BenchmarkMend is one second of a stream of 2.6 Mbit/s, as it should be, and as
// an encoder sends it that makes a tag of each slice.
func BenchmarkMend(b *testing.B) {
	fill := strings.Repeat("x", 2500)
	for name, parts := range map[string]int{"whole": 1, "a slice a tag": 4} {
		b.Run(name, func(b *testing.B) {
			var list []rtmp.Message
			for i := range uint32(30) {
				first, more := unitSlice, unitMore
				if i == 0 {
					first, more = unitIDR, unitIDR2
				}
				if parts == 1 {
					list = append(list, video(i*33, legacy(i == 0, nal(first+fill, more+fill, more+fill, more+fill))))
				} else {
					list = append(list, video(i*33, legacy(i == 0, nal(first+fill))))
					for range parts - 1 {
						list = append(list, video(i*33, legacy(i == 0, nal(more+fill))))
					}
				}
				list = append(list, audio(i*33, aacFrame))
			}
			var x mender
			x.take(video(0, avcHeader))
			x.take(audio(0, aacHeader))
			b.ReportAllocs()
			for at := uint32(0); b.Loop(); at += 1000 {
				for _, m := range list {
					m.Timestamp += at
					x.take(m)
				}
			}
		})
	}
}
