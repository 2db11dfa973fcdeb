package flv

import (
	"bytes"
	"testing"
)

var views = []struct {
	name  string
	codec Codec
	body  string
	usual Framing
	want  View
}{
	{"a key frame", AVC, "\x00\x00\x00\x02\x65\x88", 4, View{Begin, Sure, false, true, 4}},
	{"another", AVC, "\x00\x00\x00\x02\x41\x9a", 4, View{Begin, NoEntry, false, true, 4}},
	{"an I slice", AVC, "\x00\x00\x00\x03\x41\xb0\x21", 4, View{Begin, Perhaps, false, true, 4}},
	{"a recovery point", AVC, "\x00\x00\x00\x05\x06\x06\x01\xc4\x80\x00\x00\x00\x02\x41\x9a", 4, View{Begin, Perhaps, false, true, 4}},
	{"a further slice", AVC, "\x00\x00\x00\x02\x65\x48", 4, View{More, Sure, false, true, 4}},
	{"parameters", AVC, "\x00\x00\x00\x02\x67\x42\x00\x00\x00\x02\x68\xce", 4, View{Set, NoEntry, true, true, 4}},
	{"SEI", AVC, "\x00\x00\x00\x05\x06\x01\x01\x11\x80", 4, View{Before, NoEntry, false, true, 4}},
	{"user data", AVC, "\x00\x00\x00\x14\x06\x05\x10uuuuuuuuuuuuuuuu\x80", 4, View{Before, NoEntry, false, true, 4}},
	{"user data without a UUID", AVC, "\x00\x00\x00\x08\x06\x05\x04\x01\x02\x03\x04\x80", 4, View{Idle, NoEntry, false, false, 4}},
	{"SEI that lies", AVC, "\x00\x00\x00\x05\x06\x01\xff\xff\x80", 4, View{Idle, NoEntry, false, false, 4}},
	{"filler", AVC, "\x00\x00\x00\x02\x0c\xff", 4, View{Idle, NoEntry, false, false, 4}},
	{"the end of the stream", AVC, "\x00\x00\x00\x01\x0b", 4, View{After, NoEntry, false, true, 4}},
	{"nothing", AVC, "", 4, View{Idle, NoEntry, false, true, 4}},
	{"no length", AVC, "\x00\x00\x00\x00", 4, View{Idle, NoEntry, false, false, 4}},
	{"zeros behind", AVC, "\x00\x00\x00\x02\x65\x88\x00\x00", 4, View{Begin, Sure, false, false, 4}},
	{"cut short", AVC, "\x00\x00\x00\x09\x65\x88", 4, View{Frame: Broken}},
	{"start codes", AVC, "\x00\x00\x00\x01\x65\x88\x00\x00\x01\x65\x48", 4, View{Begin, Sure, false, false, AnnexB}},
	{"short start codes", HEVC, "\x00\x00\x01\x26\x01\xaf", 4, View{Begin, Sure, false, false, AnnexB}},
	{"a unit that looks like a start code", AVC, "\x00\x00\x00\x01\x0a\x00\x00\x00\x02\x65\x88", 4, View{Begin, Sure, false, true, 4}},
	{"lengths of two bytes", AVC, "\x00\x02\x65\x88", 4, View{Begin, Sure, false, false, 2}},
	{"as usual", AVC, "\x00\x02\x65\x88", 2, View{Begin, Sure, false, false, 2}},
	{"H.265", HEVC, "\x00\x00\x00\x03\x26\x01\xaf", 4, View{Begin, Sure, false, true, 4}},
	{"H.265, a further slice", HEVC, "\x00\x00\x00\x03\x02\x01\x40", 4, View{More, NoEntry, false, true, 4}},
	{"H.265, a recovery point", HEVC, "\x00\x00\x00\x06\x4e\x01\x06\x02\x50\x80\x00\x00\x00\x03\x02\x01\xd0", 4, View{Begin, Perhaps, false, true, 4}},
	{"H.265, SEI behind", HEVC, "\x00\x00\x00\x03\x50\x01\x84", 4, View{After, NoEntry, false, true, 4}},
	{"AV1", AV1, "\x0a\x01\x00\x32\x01\x10", OBUs, View{Begin, Sure, true, true, OBUs}},
	{"AV1 with a delimiter", AV1, "\x12\x00\x32\x01\x30", OBUs, View{Begin, NoEntry, false, false, OBUs}},
	{"AV1, a delimiter", AV1, "\x12\x00", OBUs, View{Divider, NoEntry, false, false, OBUs}},
	{"AV1 without a size", AV1, "\x30\x30\xff", OBUs, View{Begin, NoEntry, false, true, OBUs}},
	{"AV1, a tile group", AV1, "\x22\x01\xaa", OBUs, View{More, NoEntry, false, true, OBUs}},
	{"AV1, not shown", AV1, "\x1a\x01\x20\x22\x01\xaa", OBUs, View{Hidden, NoEntry, false, true, OBUs}},
	{"AV1, shown later", AV1, "\x1a\x01\x80", OBUs, View{Begin, Perhaps, false, true, OBUs}},
	{"AV1, an empty unit", AV1, "\x0a\x00\x32\x01\x30", OBUs, View{Begin, NoEntry, false, false, OBUs}},
	{"AV1, cut short", AV1, "\x32\x09\x10", OBUs, View{Frame: Broken}},
}

func TestView(t *testing.T) {
	for _, tt := range views {
		got := tt.codec.View([]byte(tt.body), tt.usual)
		if tt.want.Frame == Broken {
			got = View{Frame: got.Frame}
		}
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// FuzzView: of whatever units a body has, a clean one can be made that is the same
// to a picture.
func FuzzView(f *testing.F) {
	for _, tt := range views {
		f.Add(uint32(tt.codec), []byte(tt.body), int8(tt.usual))
	}
	f.Fuzz(func(t *testing.T, codec uint32, body []byte, usual int8) {
		c := Codec(codec)
		if !c.Unitary() || usual < 0 || usual > 4 || (c == AV1) != (usual == 0) {
			return
		}
		v := c.View(body, Framing(usual))
		if v.Frame == Broken {
			return
		}
		clean := []byte{}
		r := Units(body, v.Frame)
		for r.Next() {
			if role, _ := c.Role(r.Unit); role != Idle && role != Divider {
				clean = c.AppendUnit(clean, r.Unit)
			}
		}
		usual4 := Framing(4)
		if c == AV1 {
			usual4 = OBUs
		}
		again := c.View(clean, usual4)
		if !again.Clean || again.Entry != v.Entry || again.Sets != v.Sets || v.Role != Divider && v.Role != again.Role && !(v.Role.Leads() && again.Role.Leads()) {
			t.Errorf("%+v became %+v", v, again)
		}
		if v.Clean && c != AV1 && !bytes.Equal(clean, body) {
			t.Errorf("%x became %x", body, clean)
		}
	})
}

// TestViewLong: a body full of the smallest units is looked at once.
func TestViewLong(t *testing.T) {
	for _, unit := range []string{"\x00\x00\x00\x00", "\x00\x00\x01", "\x00\x00\x00\x01\x67", "\x00"} {
		body := bytes.Repeat([]byte(unit), MaxPayload/len(unit))
		for _, c := range []Codec{AVC, HEVC, AV1} {
			usual := Framing(4)
			if c == AV1 {
				usual = OBUs
			}
			if allocs := testing.AllocsPerRun(1, func() { c.View(body, usual) }); allocs > 1 {
				t.Errorf("%s, %x: %v allocations", c, unit, allocs)
			}
		}
	}
}
