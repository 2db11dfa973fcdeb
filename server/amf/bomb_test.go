package amf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"foyer/server/amf"
)

// decodeAll decodes a message in both ways, checks that they agree, and returns
// the error.
func decodeAll(t *testing.T, b []byte) error {
	t.Helper()
	_, err := amf.NewDecoder(b).Rest()
	d := amf.NewDecoder(b)
	var errRaw error
	for d.More() && errRaw == nil {
		_, errRaw = d.NextRaw()
	}
	if (err == nil) != (errRaw == nil) || err != nil && err.Error() != errRaw.Error() {
		t.Errorf("Next: %v, NextRaw: %v", err, errRaw)
	}
	return err
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if de, ok := errors.AsType[*amf.DecodeError](got); want != nil && (!ok || !strings.HasPrefix(got.Error(), "amf: byte ")) {
		t.Errorf("%#v is no DecodeError with an offset: %v", got, de)
	}
}

// openers has the bytes of every type that holds others: those before its
// contents, and those after.
var openers = []struct{ name, before, open, close string }{
	{"object", "", "03 0001 61", "000009"},
	{"ECMA array", "", "08 00000001 0001 61", "000009"},
	{"strict array", "", "0A 00000001", ""},
	{"typed object", "", "10 0001 54 0001 61", "000009"},
	{"AMF3 array", "11", "09 03 01", ""},
	{"AMF3 named array", "11", "09 01 03 61", "01"},
	{"AMF3 object", "11", "0A 0B 01 03 61", "01"},
	{"AMF3 sealed object", "11", "0A 13 03 54 03 61", ""},
	{"AMF3 object vector", "11", "10 03 00 01", ""},
	{"AMF3 dictionary value", "11", "11 03 00 01", ""},
	{"AMF3 dictionary key", "11", "11 03 00", "01"},
}

func nested(before, open, close string, depth int) []byte {
	b := append(unhex(before), bytes.Repeat(unhex(open), depth)...)
	b = append(b, unhex("05")...) // null; in AMF3 the marker of a double
	if before != "" {
		b[len(b)-1] = 0x01
	}
	return append(b, bytes.Repeat(unhex(close), depth)...)
}

// A message that is nothing but open brackets must cost neither stack nor time.
func TestNestingBomb(t *testing.T) {
	for _, o := range openers {
		t.Run(o.name, func(t *testing.T) {
			wantErr(t, decodeAll(t, nested(o.before, o.open, o.close, amf.MaxDepth)), nil)
			wantErr(t, decodeAll(t, nested(o.before, o.open, o.close, amf.MaxDepth+1)), amf.ErrDepth)
			endless := bytes.Repeat(unhex(o.open), 4<<20/len(unhex(o.open)))
			wantErr(t, decodeAll(t, append(unhex(o.before), endless...)), amf.ErrDepth)
		})
	}
}

// The levels of AMF0 and of the AMF3 inside it count together.
func TestNestingBombMixed(t *testing.T) {
	const half = amf.MaxDepth / 2
	inner := nested("11", "09 03 01", "", half)
	for _, extra := range []int{0, 1} {
		b := append(bytes.Repeat(unhex("0A 00000001"), half+extra), inner...)
		want := error(nil)
		if extra > 0 {
			want = amf.ErrDepth
		}
		wantErr(t, decodeAll(t, b), want)
	}
}

// A lying length or count must not be believed.
func TestLyingLengths(t *testing.T) {
	for _, l := range []struct{ name, bytes, want string }{
		{"string", "02 FFFF 61", "bytes announced"},
		{"long string", "0C FFFFFFFF 61", "bytes announced"},
		{"long string of 2 GiB", "0C 7FFFFFFF 61", "bytes announced"},
		{"XML", "0F FFFFFFFF 61", "bytes announced"},
		{"member name", "03 FFFF 61", "bytes announced"},
		{"class", "10 FFFF 61", "bytes announced"},
		{"strict array", "0A FFFFFFFF 05", "items"},
		{"strict array within the element limit", "0A 00003FFE 05", "items"},
		{"ECMA array", "08 FFFFFFFF 0001 61 05", ""},
		{"AMF3 string", "11 06 FFFFFFFF 61", "bytes announced"},
		{"AMF3 XML document", "11 07 FFFFFFFF 61", "bytes announced"},
		{"AMF3 XML", "11 0B FFFFFFFF 61", "bytes announced"},
		{"AMF3 byte array", "11 0C FFFFFFFF 61", "bytes announced"},
		{"AMF3 array", "11 09 FFFFFFFF 01 01", "items"},
		{"AMF3 array member name", "11 09 01 FFFFFFFF 01", "bytes announced"},
		{"AMF3 class", "11 0A 0B FFFFFFFF 01", "bytes announced"},
		{"AMF3 traits count", "11 0A FFFFFFF3 01 01", "items"},
		{"AMF3 sealed name", "11 0A 13 01 FFFFFFFF 01", "bytes announced"},
		{"AMF3 dynamic name", "11 0A 0B 01 FFFFFFFF 01", "bytes announced"},
		{"AMF3 int vector", "11 0D FFFFFFFF 00 00000000", "items"},
		{"AMF3 uint vector", "11 0E FFFFFFFF 00 00000000", "items"},
		{"AMF3 double vector", "11 0F FFFFFFFF 00 0000000000000000", "items"},
		{"AMF3 object vector", "11 10 FFFFFFFF 00 01 01", "items"},
		{"AMF3 object vector class", "11 10 03 00 FFFFFFFF 01", "bytes announced"},
		{"AMF3 dictionary", "11 11 FFFFFFFF 00 01 01", "items"},
	} {
		t.Run(l.name, func(t *testing.T) {
			b := unhex(l.bytes)
			var err error
			if n := allocated(func() { err = decodeAll(t, b) }); n > 64<<10 {
				t.Errorf("%d bytes of message took %d bytes of memory", len(b), n)
			}
			wantErr(t, err, amf.ErrShort)
			if !strings.Contains(err.Error(), l.want) {
				t.Errorf("%v does not speak of %s", err, l.want)
			}
		})
	}
}

// allocated returns how many bytes f allocates, whether freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Every value cut short at every byte is refused.
func TestCutShort(t *testing.T) {
	cut := func(name string, b []byte) {
		for i := range min(len(b), 100) {
			if err := decodeAll(t, b[:i]); i > 0 && err == nil {
				t.Errorf("%s cut at %d of %d is accepted", name, i, len(b))
			}
		}
		if _, err := amf.Parse(b[:0]); !errors.Is(err, amf.ErrShort) {
			t.Errorf("nothing at all: %v", err)
		}
		if v, err := amf.Parse(append(b, 0x05)); v != nil || !errors.Is(err, amf.ErrTrailing) {
			t.Errorf("%s and a byte more: %v, %v", name, v, err)
		}
	}
	for _, r := range table0 {
		if r.value != nil {
			cut(r.name, r.data())
		}
	}
	for _, r := range table3 {
		cut("AMF3 "+r.name, append([]byte{0x11}, r.data()...))
	}
}

func TestRefused(t *testing.T) {
	for _, r := range []struct {
		name, bytes string
		want        error
	}{
		{"movie clip", "04", amf.ErrMarker},
		{"record set", "0E", amf.ErrMarker},
		{"object end", "09", amf.ErrMarker},
		{"marker 0x12", "12", amf.ErrMarker},
		{"reference to a missing object", "07 0000", amf.ErrReference},
		{"reference ahead", "0A 00000002 07 0001 03 000009", amf.ErrReference},
		{"reference to itself", "03 0001 61 07 0000 000009", amf.ErrCycle},
		{"reference to what is around", "0A 00000001 03 0001 61 07 0000 000009", amf.ErrCycle},
		{"AMF3 marker 0x12", "11 12", amf.ErrMarker},
		{"AMF3 externalizable", "11 0A 07 03 54 01", amf.ErrMarker},
		{"AMF3 object reference to nothing", "11 0A 00", amf.ErrReference},
		{"AMF3 string reference to nothing", "11 06 00", amf.ErrReference},
		{"AMF3 traits reference to nothing", "11 0A 01", amf.ErrReference},
		{"AMF3 empty string is not in the table", "11 09 05 01 06 01 06 00", amf.ErrReference},
		{"AMF3 array in itself", "11 09 03 01 09 00", amf.ErrCycle},
		{"AMF3 object in itself", "11 0A 0B 01 03 61 0A 00 01", amf.ErrCycle},
		{"AMF3 vector in itself", "11 10 03 00 01 10 00", amf.ErrCycle},
		{"AMF3 dictionary in itself", "11 11 03 00 11 00 01", amf.ErrCycle},
		{"AMF3 tables end with the value", "0A 00000002 11 09 03 01 06 03 61 11 06 00", amf.ErrReference},
	} {
		t.Run(r.name, func(t *testing.T) { wantErr(t, decodeAll(t, unhex(r.bytes)), r.want) })
	}
	_, err := amf.Parse(unhex("11 0A 07 03 54 01"))
	if got, want := err.Error(), `amf: byte 1: unknown or unsupported type: externalizable class "T"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// An error stays: the rest of the message has no meaning.
func TestErrorStays(t *testing.T) {
	d := amf.NewDecoder([]byte{0x12, 0x05})
	_, first := d.Next()
	_, second := d.NextRaw()
	_, third := d.Name()
	_, fourth := d.Rest()
	if first == nil || second != first || third != first || fourth != first {
		t.Errorf("got %v, %v, %v, %v", first, second, third, fourth)
	}
}

// laughs0 is an array of ten, of ten, of ten … by AMF0 references.
func laughs0(levels int) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x0A}, uint32(levels))
	for level := range levels {
		b = append(b, unhex("0A 0000000A")...)
		for range 10 {
			if level == 0 {
				b = append(b, 0x05)
			} else {
				b = append(b, 0x07, 0, byte(level))
			}
		}
	}
	return b
}

// laughs3 is the same by AMF3 references.
func laughs3(levels int) []byte {
	b := []byte{0x11, 0x09, byte(levels<<1 | 1), 0x01}
	for level := range levels {
		b = append(b, unhex("09 15 01")...)
		for range 10 {
			if level == 0 {
				b = append(b, 0x01)
			} else {
				b = append(b, 0x09, byte(level<<1))
			}
		}
	}
	return b
}

func TestBillionLaughs(t *testing.T) {
	for name, laughs := range map[string]func(int) []byte{"AMF0": laughs0, "AMF3": laughs3} {
		t.Run(name, func(t *testing.T) {
			wantErr(t, decodeAll(t, laughs(3)), nil)
			var err error
			if n := allocated(func() { err = decodeAll(t, laughs(9)) }); n > 4<<20 {
				t.Errorf("took %d bytes of memory", n)
			}
			wantErr(t, err, amf.ErrElements)
		})
	}
}

// repeat returns a message of head and n times tail.
func repeat(head string, n int, tail string) []byte {
	return append(unhex(head), bytes.Repeat(unhex(tail), n)...)
}

// One big value and many references to it are few elements, but many bytes once
// they are written out.
func TestReferencesToBigThings(t *testing.T) {
	big := hexOf(long[:65535])
	for _, r := range []struct {
		name string
		make func(n int) []byte // n references to 65,535 bytes or a little more
	}{
		{"AMF0 object", func(n int) []byte { return repeat("03 0001 61 02 FFFF"+big+"000009", n, "07 0000") }},
		{"AMF0 names", func(n int) []byte { return repeat("03 FFFF"+big+"05 000009", n, "07 0000") }},
		{"AMF3 string", func(n int) []byte { return sized3("06 87FF7F"+big, n, "06 00") }},
		{"AMF3 bytes", func(n int) []byte { return sized3("0C 87FF7F"+big, n, "0C 02") }},
		{"AMF3 XML", func(n int) []byte { return sized3("07 87FF7F"+big, n, "07 02") }},
		{"AMF3 strings in objects", func(n int) []byte { return sized3("09 03 01 06 87FF7F"+big, n, "09 03 01 06 00") }},
		{"AMF3 traits", func(n int) []byte { return sized3("0A 13 01 87FF7F"+big+"01", n, "0A 01 01") }},
		{"AMF3 class", func(n int) []byte { return sized3("0A 03 87FF7F"+big, n, "0A 01") }},
	} {
		t.Run(r.name, func(t *testing.T) {
			fit := amf.MaxExpansion / 65600
			wantErr(t, decodeAll(t, r.make(fit)), nil)
			wantErr(t, decodeAll(t, r.make(fit+2)), amf.ErrExpansion)
			wantErr(t, decodeAll(t, r.make(8000)), amf.ErrExpansion)
		})
	}
}

// sized3 is an AMF3 array of head and n times tail.
func sized3(head string, n int, tail string) []byte {
	count := uint32(n+1)<<1 | 1
	b := []byte{0x11, 0x09, byte(count>>14) | 0x80, byte(count>>7) | 0x80, byte(count & 0x7F), 0x01}
	return append(b, repeat(head, n, tail)...)
}

// Many references to small values are cheap, however far apart the values are.
func TestReferencesBackAndForth(t *testing.T) {
	gap := "02 0800" + hexOf(long[:2048])
	far := func(name string) string { return "03 0001 61 02 0002" + hexOf(name) + "000009" + gap }
	b := unhex("0A 00001392" + far("xx") + far("yy")) // and 5,006 references
	for i := range 5006 {
		b = append(b, 0x07, 0, byte(1+i%2))
	}
	var v amf.Value
	var err error
	n := allocated(func() { v, err = amf.Parse(b) })
	if err != nil || len(v.(amf.StrictArray)) != 5010 {
		t.Fatal(err)
	}
	if n > 3<<20 {
		t.Errorf("%d bytes of message took %d bytes of memory", len(b), n)
	}
}

// Names of sealed members come before the members, which count as elements.
func TestSealedNamesBomb(t *testing.T) {
	const names = 100_000
	b := append(unhex("11 0A"), byte(names<<4>>14|0x80), byte(names<<4>>7&0x7F|0x80), names<<4&0x7F|0x03, 0x01)
	b = append(b, bytes.Repeat(unhex("03 61"), names)...)
	var err error
	if n := allocated(func() { err = decodeAll(t, b) }); n > 64<<10 {
		t.Errorf("took %d bytes of memory", n)
	}
	wantErr(t, err, amf.ErrElements)
}

// Values that each refer to the one before are flat in the message, and deep
// when they are written out.
func TestReferenceChain(t *testing.T) {
	chain := func(n int) []byte {
		b := unhex("0A 00000000")
		for i := range n - 1 {
			b = append(b, 0x0A, 0, 0, 0, 1, 0x07, byte(i>>8), byte(i))
		}
		return b
	}
	wantErr(t, decodeAll(t, chain(amf.MaxDepth)), nil)
	wantErr(t, decodeAll(t, chain(amf.MaxDepth+1)), amf.ErrDepth)

	chain3 := func(n int) []byte {
		b := []byte{0x11, 0x09, byte(n<<1 | 1), 0x01, 0x09, 0x01, 0x01}
		for i := range n - 1 {
			b = append(b, 0x09, 0x03, 0x01, 0x09, byte((i+1)<<1))
		}
		return b
	}
	wantErr(t, decodeAll(t, chain3(amf.MaxDepth-1)), nil)
	wantErr(t, decodeAll(t, chain3(amf.MaxDepth)), amf.ErrDepth)
}

// The limit of elements holds for the whole message, however it is divided into
// values.
func TestMaxElements(t *testing.T) {
	const most = amf.MaxElements
	ints := func(n int) []byte { // two vectors of n items, an element each and two
		v := amf.Append(nil, make(amf.IntVector, n))
		return append(v, v...)
	}
	for _, m := range []struct {
		name         string
		fits, bursts []byte
	}{
		{"values", bytes.Repeat([]byte{5}, most), bytes.Repeat([]byte{5}, most+1)},
		{"one array", amf.Append(nil, make(amf.StrictArray, most-1)), amf.Append(nil, make(amf.StrictArray, most))},
		{"members", amf.Append(nil, make(amf.Object, most-1)), amf.Append(nil, make(amf.Object, most))},
		{"AMF3 array", behind(make(amf.StrictArray, most-1)), behind(make(amf.StrictArray, most))},
		{"AMF3 sealed members", behind(make(amf.Object, most-1)), behind(make(amf.Object, most))},
		{"vectors", ints(most/2 - 1), ints(most / 2)},
		{"dictionary", behind(make(amf.Dictionary, (most-1)/2)), behind(make(amf.Dictionary, most/2))},
		{"object vector", behind(&amf.ObjectVector{Items: make([]amf.Value, most-1)}),
			behind(&amf.ObjectVector{Items: make([]amf.Value, most)})},
	} {
		t.Run(m.name, func(t *testing.T) {
			wantErr(t, decodeAll(t, m.fits), nil)
			wantErr(t, decodeAll(t, m.bursts), amf.ErrElements)
		})
	}
}

// behind returns v in AMF3 after 0x11.
func behind(v amf.Value) []byte { return amf.Append3([]byte{0x11}, v) }

// A small string that is kept must not keep a big message alive.
func TestKeptStringPinsLittle(t *testing.T) {
	big := amf.Append(nil, amf.Object{
		{Name: "padding", Value: amf.String(strings.Repeat("p", 200<<10))},
		{Name: "nick", Value: amf.String("ann")},
	})
	const messages = 100
	kept := make([]string, messages)
	before := heap()
	for i := range kept {
		v, err := amf.Parse(bytes.Clone(big))
		if err != nil {
			t.Fatal(err)
		}
		kept[i], _ = amf.AsString(amf.Lookup(v, "nick"))
	}
	if grown := heap() - before; grown > messages*4096 {
		t.Errorf("%d strings keep %d bytes alive", messages, grown)
	}
	if kept[messages-1] != "ann" {
		t.Errorf("kept %q", kept[messages-1])
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // sync.Pool forgets in two steps
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
