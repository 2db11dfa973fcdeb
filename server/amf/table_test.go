package amf_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"foyer/server/amf"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A row is one value and its bytes, as the specification gives them. It drives
// decoding, encoding and the fuzz seeds.
type row struct {
	name  string
	bytes string // hex, spaces do not count
	value amf.Value
	only  bool // decodes only: we write it differently
}

func (r row) data() []byte { return unhex(r.bytes) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// hexOf is s in hex.
func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

var long = strings.Repeat("x", 70000)

var table0 = []row{
	{name: "number", bytes: "00 3FF8000000000000", value: amf.Number(1.5)},
	{name: "zero", bytes: "00 0000000000000000", value: amf.Number(0)},
	{name: "largest ready-made number", bytes: "00 408FF80000000000", value: amf.Number(1023)},
	{name: "first number that is not", bytes: "00 4090000000000000", value: amf.Number(1024)},
	{name: "negative zero", bytes: "00 8000000000000000", value: amf.Number(math.Copysign(0, -1))},
	{name: "not a number", bytes: "00 7FF8000000000001", value: amf.Number(math.NaN())},
	{name: "infinity", bytes: "00 7FF0000000000000", value: amf.Number(math.Inf(1))},
	{name: "true", bytes: "01 01", value: amf.Bool(true)},
	{name: "false", bytes: "01 00", value: amf.Bool(false)},
	{name: "any other boolean", bytes: "01 02", value: amf.Bool(true), only: true},
	{name: "string", bytes: "02 0002 6869", value: amf.String("hi")},
	{name: "empty string", bytes: "02 0000", value: amf.String("")},
	{name: "string that is not UTF-8", bytes: "02 0003 61FF62", value: amf.String("a\xFFb")},
	{name: "longest short string", bytes: "02 FFFF" + hexOf(long[:65535]), value: amf.String(long[:65535])},
	{name: "shortest long string", bytes: "0C 00010000" + hexOf(long[:65536]), value: amf.String(long[:65536])},
	{name: "long string that is short", bytes: "0C 00000002 6869", value: amf.String("hi"), only: true},
	{name: "object", bytes: "03 0001 62 0101 0001 61 05 000009",
		value: amf.Object{{Name: "b", Value: amf.Bool(true)}, {Name: "a", Value: amf.Null{}}}},
	{name: "empty object", bytes: "03 000009", value: amf.Object{}},
	{name: "member without name", bytes: "03 0000 05 0000 0A00000000 000009",
		value: amf.Object{{Value: amf.Null{}}, {Value: amf.StrictArray{}}}},
	{name: "member twice", bytes: "03 0001 61 05 0001 61 06 000009",
		value: amf.Object{{Name: "a", Value: amf.Null{}}, {Name: "a", Value: amf.Undefined{}}}},
	{name: "null", bytes: "05", value: amf.Null{}},
	{name: "undefined", bytes: "06", value: amf.Undefined{}},
	{name: "unsupported", bytes: "0D", value: amf.Undefined{}, only: true},
	{name: "ECMA array", bytes: "08 00000001 0001 61 05 000009", value: amf.ECMAArray{{Name: "a", Value: amf.Null{}}}},
	{name: "ECMA array that counts too few", bytes: "08 00000000 0001 61 05 000009",
		value: amf.ECMAArray{{Name: "a", Value: amf.Null{}}}, only: true},
	{name: "ECMA array that counts too many", bytes: "08 FFFFFFFF 000009", value: amf.ECMAArray{}, only: true},
	{name: "strict array", bytes: "0A 00000002 0101 02 0001 61", value: amf.StrictArray{amf.Bool(true), amf.String("a")}},
	{name: "empty strict array", bytes: "0A 00000000", value: amf.StrictArray{}},
	{name: "date", bytes: "0B 4059000000000000 FFC4", value: amf.Date{Ms: 100, Zone: -60}},
	{name: "XML", bytes: "0F 00000004 3C612F3E", value: amf.XML("<a/>")},
	{name: "typed object", bytes: "10 0001 54 0001 61 05 000009",
		value: &amf.TypedObject{Class: "T", Fields: []amf.Field{{Name: "a", Value: amf.Null{}}}}},
	{name: "typed object without class or members", bytes: "10 0000 000009", value: &amf.TypedObject{Fields: []amf.Field{}}},
	{name: "reference", bytes: "0A 00000003 03 000009 07 0001 0A00000000",
		value: amf.StrictArray{amf.Object{}, amf.Object{}, amf.StrictArray{}}, only: true},
	{name: "reference to what holds references", bytes: "0A 00000003" + "08 00000000 000009" +
		"03 0001 61 07 0001 000009" + "07 0002",
		value: amf.StrictArray{amf.ECMAArray{}, amf.Object{{Name: "a", Value: amf.ECMAArray{}}},
			amf.Object{{Name: "a", Value: amf.ECMAArray{}}}}, only: true},
	{name: "reference does not shift numbers", bytes: "0A 00000005" + "0A 00000001 03 000009" + "07 0001" +
		"10 0001 54 000009" + "07 0003" + "07 0002",
		value: amf.StrictArray{
			amf.StrictArray{amf.Object{}}, amf.StrictArray{amf.Object{}},
			&amf.TypedObject{Class: "T", Fields: []amf.Field{}}, &amf.TypedObject{Class: "T", Fields: []amf.Field{}},
			amf.Object{},
		}, only: true},
	{name: "AMF3 is one value long", bytes: "0A 00000002" + "11 0C 03 FF" + "01 01",
		value: amf.StrictArray{amf.Bytes{0xFF}, amf.Bool(true)}},
	{name: "AMF3 tables are the value's", bytes: "0A 00000002" + "11 09 05 01 06 03 61 06 00" + "11 0C 03 FF",
		value: amf.StrictArray{amf.StrictArray{amf.String("a"), amf.String("a")}, amf.Bytes{0xFF}}, only: true},
	{name: "reference to what holds AMF3 references", bytes: "0A 00000002" +
		"0A 00000001 11 09 05 01 0A 01 0A 02" + "07 0001",
		value: nil, only: true}, // AMF3 object 1 is being read
	{name: "reference to AMF3 with references", bytes: "0A 00000002" +
		"0A 00000001 11 09 05 01 0A 0B 01 01 0A 02" + "07 0001",
		value: amf.StrictArray{
			amf.StrictArray{amf.StrictArray{amf.Object{}, amf.Object{}}},
			amf.StrictArray{amf.StrictArray{amf.Object{}, amf.Object{}}},
		}, only: true},
	{name: "name too long for AMF0", bytes: "11 0A 0B 01 88A661" + hexOf(long[:68016]) + "01 01",
		value: amf.Object{{Name: long[:68016], Value: amf.Null{}}}},
	{name: "class too long for AMF0", bytes: "11 0A 03 88A661" + hexOf(long[:68016]),
		value: &amf.TypedObject{Class: long[:68016], Fields: []amf.Field{}}},
}

var table3 = []row{
	{name: "undefined", bytes: "00", value: amf.Undefined{}},
	{name: "null", bytes: "01", value: amf.Null{}},
	{name: "false", bytes: "02", value: amf.Bool(false)},
	{name: "true", bytes: "03", value: amf.Bool(true)},
	{name: "integer of 1 byte", bytes: "04 7F", value: amf.Number(127)},
	{name: "integer of 2 bytes", bytes: "04 8100", value: amf.Number(128)},
	{name: "largest integer of 2 bytes", bytes: "04 FF7F", value: amf.Number(16383)},
	{name: "integer of 3 bytes", bytes: "04 818000", value: amf.Number(16384)},
	{name: "largest integer of 3 bytes", bytes: "04 FFFF7F", value: amf.Number(2097151)},
	{name: "integer of 4 bytes", bytes: "04 80C08000", value: amf.Number(2097152)},
	{name: "largest integer", bytes: "04 BFFFFFFF", value: amf.Number(1<<28 - 1)},
	{name: "smallest integer", bytes: "04 C0808000", value: amf.Number(-1 << 28)},
	{name: "minus one", bytes: "04 FFFFFFFF", value: amf.Number(-1)},
	{name: "first double above", bytes: "05 41B0000000000000", value: amf.Number(1 << 28)},
	{name: "first double below", bytes: "05 C1B0000001000000", value: amf.Number(-1<<28 - 1)},
	{name: "double", bytes: "05 3FF8000000000000", value: amf.Number(1.5)},
	{name: "negative zero", bytes: "05 8000000000000000", value: amf.Number(math.Copysign(0, -1))},
	{name: "not a number", bytes: "05 7FF8000000000001", value: amf.Number(math.NaN())},
	{name: "minus infinity", bytes: "05 FFF0000000000000", value: amf.Number(math.Inf(-1))},
	{name: "string", bytes: "06 05 6869", value: amf.String("hi")},
	{name: "empty string", bytes: "06 01", value: amf.String("")},
	{name: "string that is not UTF-8", bytes: "06 03 FF", value: amf.String("\xFF")},
	{name: "long string", bytes: "06 80AC65" + hexOf(long[:2866]), value: amf.String(long[:2866]), only: true}, // 2 bytes suffice
	{name: "XML document", bytes: "07 09 3C612F3E", value: amf.XML("<a/>")},
	{name: "XML", bytes: "0B 09 3C612F3E", value: amf.XML("<a/>"), only: true},
	{name: "date", bytes: "08 01 4059000000000000", value: amf.Date{Ms: 100}},
	{name: "dense array", bytes: "09 05 01 03 06 03 61", value: amf.StrictArray{amf.Bool(true), amf.String("a")}},
	{name: "empty array", bytes: "09 01 01", value: amf.StrictArray{}},
	{name: "associative array", bytes: "09 01 03 61 01 03 62 03 01",
		value: amf.ECMAArray{{Name: "a", Value: amf.Null{}}, {Name: "b", Value: amf.Bool(true)}}},
	{name: "mixed array", bytes: "09 05 03 61 01 01 02 03",
		value: amf.ECMAArray{{Name: "a", Value: amf.Null{}}, {Name: "0", Value: amf.Bool(false)}, {Name: "1", Value: amf.Bool(true)}}},
	{name: "array with a number for a name", bytes: "09 01 03 30 01 01", value: amf.ECMAArray{{Name: "0", Value: amf.Null{}}}},
	{name: "array with gaps", bytes: "09 01 03 61 01 03 30 01 03 32 01 01",
		value: amf.ECMAArray{{Name: "a", Value: amf.Null{}}, {Name: "0", Value: amf.Null{}}, {Name: "2", Value: amf.Null{}}}},
	{name: "dynamic object", bytes: "0A 0B 01 03 62 03 03 61 01 01",
		value: amf.Object{{Name: "b", Value: amf.Bool(true)}, {Name: "a", Value: amf.Null{}}}},
	{name: "empty object", bytes: "0A 0B 01 01", value: amf.Object{}},
	{name: "sealed anonymous object", bytes: "0A 13 01 03 61 01", value: amf.Object{{Name: "a", Value: amf.Null{}}}, only: true},
	{name: "member without name", bytes: "0A 13 01 01 01", value: amf.Object{{Value: amf.Null{}}}},
	{name: "typed object", bytes: "0A 23 03 54 03 61 03 62 01 03",
		value: &amf.TypedObject{Class: "T", Fields: []amf.Field{{Name: "a", Value: amf.Null{}}, {Name: "b", Value: amf.Bool(true)}}}},
	{name: "typed object with dynamic members", bytes: "0A 1B 03 54 03 61 01 03 62 03 01",
		value: &amf.TypedObject{Class: "T", Fields: []amf.Field{{Name: "a", Value: amf.Null{}}, {Name: "b", Value: amf.Bool(true)}}}, only: true},
	{name: "bytes", bytes: "0C 05 00FF", value: amf.Bytes{0, 0xFF}},
	{name: "no bytes", bytes: "0C 01", value: amf.Bytes{}},
	{name: "int vector", bytes: "0D 05 00 FFFFFFFF 00000001", value: amf.IntVector{-1, 1}},
	{name: "fixed int vector", bytes: "0D 03 01 00000001", value: amf.IntVector{1}, only: true},
	{name: "uint vector", bytes: "0E 03 00 FFFFFFFF", value: amf.UintVector{1<<32 - 1}},
	{name: "double vector", bytes: "0F 03 00 3FF8000000000000", value: amf.DoubleVector{1.5}},
	{name: "object vector", bytes: "10 05 01 03 54 01 03",
		value: &amf.ObjectVector{Class: "T", Fixed: true, Items: []amf.Value{amf.Null{}, amf.Bool(true)}}},
	{name: "dictionary", bytes: "11 05 00 06 03 61 01 04 02 09 01 01", value: amf.Dictionary{
		{Key: amf.String("a"), Value: amf.Null{}}, {Key: amf.Number(2), Value: amf.StrictArray{}}}},
	{name: "weak dictionary", bytes: "11 01 01", value: amf.Dictionary{}, only: true},
	{name: "string reference", bytes: "09 09 01 06 01 06 03 61 06 03 62 06 02",
		value: amf.StrictArray{amf.String(""), amf.String("a"), amf.String("b"), amf.String("b")}, only: true},
	{name: "names and values share the string table", bytes: "0A 0B 01 03 61 06 00 01",
		value: amf.Object{{Name: "a", Value: amf.String("a")}}, only: true},
	{name: "traits reference", bytes: "09 05 01 0A 13 03 54 03 61 01 0A 01 03",
		value: amf.StrictArray{
			&amf.TypedObject{Class: "T", Fields: []amf.Field{{Name: "a", Value: amf.Null{}}}},
			&amf.TypedObject{Class: "T", Fields: []amf.Field{{Name: "a", Value: amf.Bool(true)}}},
		}, only: true},
	{name: "object references", bytes: "09 0B 01" + "08 01 4059000000000000" + "08 02" + "0C 03 FF" + "0C 04" + "09 01 01",
		value: amf.StrictArray{amf.Date{Ms: 100}, amf.Date{Ms: 100}, amf.Bytes{0xFF}, amf.Bytes{0xFF}, amf.StrictArray{}}, only: true},
	{name: "references do not shift numbers", bytes: "09 0D 01" + "0A 13 03 54 03 61 06 03 62" + "0A 02" +
		"0A 13 03 55 03 63 06 03 64" + "0A 05 06 08" + "06 06" + "0A 04",
		value: amf.StrictArray{typed("b"), typed("b"),
			&amf.TypedObject{Class: "U", Fields: []amf.Field{{Name: "c", Value: amf.String("d")}}},
			&amf.TypedObject{Class: "U", Fields: []amf.Field{{Name: "c", Value: amf.String("c")}}},
			amf.String("U"),
			&amf.TypedObject{Class: "U", Fields: []amf.Field{{Name: "c", Value: amf.String("d")}}},
		}, only: true},
	{name: "reference to an object with traits and strings",
		bytes: "09 09 01" + "0A 13 03 54 03 61 06 03 62" + "0A 02" + "0A 01 06 04" + "0A 04",
		value: amf.StrictArray{typed("b"), typed("b"), typed("b"), typed("b")}, only: true},
}

func typed(s string) amf.Value {
	return &amf.TypedObject{Class: "T", Fields: []amf.Field{{Name: "a", Value: amf.String(s)}}}
}

// diff compares values. A NaN equals any other; -0 is not 0.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmp.Comparer(sameNumber), cmpopts.EquateNaNs())
}

func sameNumber(a, b amf.Number) bool {
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b)) || a != a && b != b
}

func TestTable0(t *testing.T) {
	for _, r := range table0 {
		t.Run(r.name, func(t *testing.T) {
			data := r.data()
			got, err := amf.Parse(data)
			if r.value == nil {
				if err == nil {
					t.Fatalf("Parse = %v, want an error", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(r.value, got); d != "" {
				t.Errorf("decoded (-want +got):\n%s", d)
			}
			if b := amf.Append(nil, r.value); !r.only && !bytes.Equal(b, data) {
				t.Errorf("encoded %.100x, want %.100x", b, data)
			}
			checkRaw(t, data, r.value)
		})
	}
}

// checkRaw checks that data comes back as it is, or decoded when it holds a
// reference.
func checkRaw(t *testing.T, data []byte, want amf.Value) {
	t.Helper()
	got, err := amf.NewDecoder(data).NextRaw()
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := got.(amf.Raw)
	if !ok {
		if d := diff(want, got); d != "" {
			t.Errorf("NextRaw decoded (-want +got):\n%s", d)
		}
		return
	}
	if !bytes.Equal(amf.Append(nil, raw), data) {
		t.Errorf("raw %.100x, want %.100x", []byte(raw), data)
	}
	if d := diff(want, raw.Value()); d != "" {
		t.Errorf("raw value (-want +got):\n%s", d)
	}
}

func TestTable3(t *testing.T) {
	for _, r := range table3 {
		t.Run(r.name, func(t *testing.T) {
			data := r.data()
			got, err := amf.Parse3(data)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(r.value, got); d != "" {
				t.Errorf("decoded (-want +got):\n%s", d)
			}
			if b := amf.Append3(nil, r.value); !r.only && !bytes.Equal(b, data) {
				t.Errorf("encoded %.100x, want %.100x", b, data)
			}
			// The same behind 0x11, whole and as Raw, which Append3 unwraps.
			behind := append([]byte{0x11}, data...)
			checkRaw(t, behind, r.value)
			if b := amf.Append3(nil, amf.Raw(behind)); !bytes.Equal(b, data) {
				t.Errorf("Raw encoded %.100x, want %.100x", b, data)
			}
			inside, err := amf.Parse3(amf.Append3(nil, amf.StrictArray{amf.Null{}, amf.Raw(behind)}))
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(amf.StrictArray{amf.Null{}, r.value}, inside); d != "" {
				t.Errorf("Raw in an array (-want +got):\n%s", d)
			}
		})
	}
}

// Every value of one table can be written in the other format.
func TestAcross(t *testing.T) {
	for _, r := range table0 {
		if r.value == nil {
			continue
		}
		if _, err := amf.Parse3(amf.Append3(nil, r.value)); err != nil {
			t.Errorf("%s in AMF3: %v", r.name, err)
		}
	}
	for _, r := range table3 {
		got, err := amf.Parse(amf.Append(nil, r.value))
		if err != nil {
			t.Errorf("%s in AMF0: %v", r.name, err)
		}
		if d := diff(r.value, got); d != "" {
			t.Errorf("%s in AMF0 (-want +got):\n%s", r.name, d)
		}
	}
}

// A member of an array with an empty name would end the array in AMF3.
func TestAppend3EmptyName(t *testing.T) {
	v := amf.ECMAArray{{Name: "a", Value: amf.Null{}}, {Name: "", Value: amf.Null{}}, {Name: "b", Value: amf.Null{}}}
	got, err := amf.Parse3(amf.Append3(nil, v))
	if d := diff(amf.ECMAArray{v[0], v[2]}, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// Anything that is not a value of this package is written as null, never as
// broken bytes.
func TestAppendNothing(t *testing.T) {
	for _, v := range []amf.Value{nil, (*amf.TypedObject)(nil), amf.Raw(nil)} {
		if got := amf.Append(nil, v); !bytes.Equal(got, []byte{0x05}) {
			t.Errorf("Append(%#v) = %x", v, got)
		}
	}
	for _, v := range []amf.Value{nil, (*amf.TypedObject)(nil), (*amf.ObjectVector)(nil)} {
		if got := amf.Append3(nil, v); !bytes.Equal(got, []byte{0x01}) {
			t.Errorf("Append3(%#v) = %x", v, got)
		}
	}
	if got := amf.Append3(nil, amf.Raw{0x03}); !bytes.Equal(got, []byte{0x00}) {
		t.Errorf("broken Raw in AMF3 = %x", got)
	}
}

func TestMessage(t *testing.T) {
	var b []byte
	values := amf.Args{amf.String("report"), amf.Number(0), amf.Null{}, report}
	for _, v := range values {
		b = amf.Append(b, v)
	}
	b = amf.AppendName(b, "slot")
	end := len(b)

	d := amf.NewDecoder(b)
	for i, want := range values {
		if !d.More() {
			t.Fatalf("ends before value %d", i)
		}
		got, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if df := diff(want, got); df != "" {
			t.Errorf("value %d (-want +got):\n%s", i, df)
		}
	}
	if name, err := d.Name(); name != "slot" || err != nil {
		t.Errorf("Name = %q, %v", name, err)
	}
	if d.More() || d.Offset() != end {
		t.Errorf("More = %v at %d of %d", d.More(), d.Offset(), end)
	}
	rest, err := amf.NewDecoder(b[:end-6]).Rest()
	if df := diff(values, rest); df != "" || err != nil {
		t.Errorf("Rest: %v (-want +got):\n%s", err, df)
	}
}

// References count over the whole message, including values that were taken
// raw.
func TestReferencesInMessage(t *testing.T) {
	b := unhex("03 0001 61 0A 00000001 0101 000009" + // object 0, with array 1
		"07 0001" + "07 0000" + "03 000009" + "07 0002")
	inner := amf.StrictArray{amf.Bool(true)}
	outer := amf.Object{{Name: "a", Value: inner}}
	want := amf.Args{outer, inner, outer, amf.Object{}, amf.Object{}}
	got, err := amf.NewDecoder(b).Rest()
	if d := diff(want, got); d != "" || err != nil {
		t.Errorf("Rest: %v (-want +got):\n%s", err, d)
	}
	d := amf.NewDecoder(b)
	for i, isRaw := range []bool{true, false, false, true, false} {
		v, err := d.NextRaw()
		if err != nil {
			t.Fatal(err)
		}
		raw, ok := v.(amf.Raw)
		if ok != isRaw {
			t.Errorf("value %d: raw is %v, want %v", i, ok, isRaw)
		}
		if ok {
			v = raw.Value()
		}
		if d := diff(want[i], v); d != "" {
			t.Errorf("value %d (-want +got):\n%s", i, d)
		}
	}
}

// Decoded values stay the same when the message's bytes are used again.
func TestNoAlias(t *testing.T) {
	for _, v := range []amf.Value{report, amf.Bytes("abc"), amf.String(long), amf.StrictArray{amf.String(long), amf.String("x")}} {
		data := amf.Append(nil, v)
		got, err := amf.Parse(data)
		raw, err2 := amf.NewDecoder(data).NextRaw()
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		clear(data)
		if d := diff(v, got); d != "" {
			t.Errorf("(-want +got):\n%.500s", d)
		}
		if d := diff(v, raw.(amf.Raw).Value()); d != "" {
			t.Errorf("raw (-want +got):\n%.500s", d)
		}
	}
}
