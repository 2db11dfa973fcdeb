package web

import (
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"foyer/server/amf"
)

// valueTable has JSON that stands for a value and is written back the same.
var valueTable = []struct {
	name, text string
	value      amf.Value
}{
	{"null", `null`, amf.Null{}},
	{"true", `true`, amf.Bool(true)},
	{"false", `false`, amf.Bool(false)},
	{"zero", `0`, amf.Number(0)},
	{"minus zero", `-0`, amf.Number(math.Copysign(0, -1))},
	{"integer", `-12`, amf.Number(-12)},
	{"fraction", `0.1`, amf.Number(0.1)},
	{"milliseconds", `1790000000123`, amf.Number(1790000000123)},
	{"large", `1e+300`, amf.Number(1e300)},
	{"small", `5e-324`, amf.Number(5e-324)},
	{"string", `"grüße, \"you\"\\\n\u0001"`, amf.String("grüße, \"you\"\\\n\x01")},
	{"empty array", `[]`, amf.StrictArray{}},
	{"array", `[1,"a",[null]]`, amf.StrictArray{amf.Number(1), amf.String("a"), amf.StrictArray{amf.Null{}}}},
	{"empty object", `{}`, amf.Object{}},
	{"object in order", `{"z":1,"a":{"y":2,"b":3}}`, amf.Object{
		{Name: "z", Value: amf.Number(1)},
		{Name: "a", Value: amf.Object{{Name: "y", Value: amf.Number(2)}, {Name: "b", Value: amf.Number(3)}}},
	}},
	{"date", `{"$date":1790000000123}`, amf.Date{Ms: 1790000000123}},
	{"no date", `{"$date":null}`, amf.Date{Ms: math.NaN()}},
	{"date beside others", `{"$date":1,"x":2}`, amf.Object{{Name: "$date", Value: amf.Number(1)}, {Name: "x", Value: amf.Number(2)}}},
	{"bytes", `{"$bytes":"AAH/"}`, amf.Bytes{0, 1, 255}},
	{"no bytes", `{"$bytes":"?"}`, amf.Object{{Name: "$bytes", Value: amf.String("?")}}},
	{"typed object", `{"$class":"com.Point","x":1}`, &amf.TypedObject{Class: "com.Point", Fields: []amf.Field{{Name: "x", Value: amf.Number(1)}}}},
	{"class of nothing", `{"$class":1}`, amf.Object{{Name: "$class", Value: amf.Number(1)}}},
}

func parseValue(text string) (amf.Value, error) {
	r := newValueReader(text)
	v, err := r.value(0)
	if err == nil {
		if _, more := r.dec.Token(); more != io.EOF {
			err = errShape
		}
	}
	return v, err
}

func TestValue(t *testing.T) {
	for _, tt := range valueTable {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseValue(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.value, got, cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			if text := string(appendValue(nil, tt.value)); text != tt.text {
				t.Errorf("got %s, want %s", text, tt.text)
			}
		})
	}
}

// TestValueToJSON: values that JSON does not have.
func TestValueToJSON(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value amf.Value
		want  string
	}{
		{"nil", nil, `null`},
		{"undefined", amf.Undefined{}, `null`},
		{"not a number", amf.Number(math.NaN()), `null`},
		{"infinite", amf.Number(math.Inf(-1)), `null`},
		{"ECMA array", amf.ECMAArray{{Name: "0", Value: amf.Number(1)}, {Name: "length", Value: amf.Number(1)}}, `{"0":1,"length":1}`},
		{"XML", amf.XML("<a/>"), `"<a/>"`},
		{"no UTF-8", amf.String("a\xffb\xc3"), `"a` + "\uFFFD" + `b` + "\uFFFD" + `"`},
		{"no UTF-8 in a name", amf.Object{{Name: "\xff", Value: amf.Null{}}}, `{"` + "\uFFFD" + `":null}`},
		{"ints", amf.IntVector{1, -2}, `[1,-2]`},
		{"uints", amf.UintVector{1, math.MaxUint32}, `[1,4294967295]`},
		{"doubles", amf.DoubleVector{0.5, math.NaN()}, `[0.5,null]`},
		{"objects", &amf.ObjectVector{Class: "x", Items: []amf.Value{amf.String("a")}}, `["a"]`},
		{"dictionary", amf.Dictionary{{Key: amf.String("k"), Value: amf.Number(1)}}, `{"k":1}`},
		{"dictionary of anything", amf.Dictionary{{Key: amf.Number(1), Value: amf.Bool(true)}}, `[[1,true]]`},
		{"raw", amf.Raw(amf.Append(nil, amf.Object{{Name: "a", Value: amf.Number(1)}})), `{"a":1}`},
		{"raw AMF3", amf.Raw(amf.Append(nil, amf.Bytes{1})), `{"$bytes":"AQ=="}`},
		{"broken raw", amf.Raw{0xff}, `null`},
		{"class with members", &amf.TypedObject{Class: "C"}, `{"$class":"C"}`},
		{"no typed object", (*amf.TypedObject)(nil), `null`},
	} {
		if got := string(appendValue(nil, tt.value)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestValueLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	array := func(n int) string { return "[" + strings.Repeat("0,", n-1) + "0]" }
	object := func(n int) string { return "{" + strings.Repeat(`"":0,`, n-1) + `"":0}` }
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"deepest", nested(amf.MaxDepth), nil},
		{"too deep", nested(amf.MaxDepth + 1), errDepth},
		{"bomb of brackets", strings.Repeat("[", MaxFrame), errDepth},
		{"bomb of braces", strings.Repeat(`{"":`, MaxFrame/4), errDepth},
		{"longest", array(amf.MaxElements), nil},
		{"too long", array(amf.MaxElements + 1), errElements},
		{"most members", object(amf.MaxElements), nil},
		{"too many members", object(amf.MaxElements + 1), errElements},
		{"counted together", "[" + array(amf.MaxElements/2) + "," + array(amf.MaxElements/2) + "]", errElements},
	} {
		if _, err := parseValue(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestValueMemory: the memory for a frame is in proportion to its size.
func TestValueMemory(t *testing.T) {
	bomb := "[" + strings.Repeat("{},", MaxFrame/3) + "{}]"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	parseValue(bomb)
	runtime.ReadMemStats(&after)
	got := after.TotalAlloc - before.TotalAlloc
	if limit := uint64(8 << 20); got > limit {
		t.Errorf("a frame of %d bytes takes %d bytes, want at most %d", len(bomb), got, limit)
	}
}

// FuzzJSONValue: a value that was read is written, and read again the same.
func FuzzJSONValue(f *testing.F) {
	for _, tt := range valueTable {
		f.Add(tt.text)
	}
	f.Add(`{"$class":"a","$class":"b"}`)
	f.Add(`[1e999,"\ud800",{"a":1,"a":2}]`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseValue(text)
		if err != nil {
			return
		}
		first := string(appendValue(nil, v))
		again, err := parseValue(first)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", text, first, err)
		}
		if second := string(appendValue(nil, again)); second != first {
			t.Errorf("got %s, then %s", first, second)
		}
	})
}
