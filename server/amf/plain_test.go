package amf_test

import (
	"testing"

	"foyer/server/amf"
)

func TestPlain(t *testing.T) {
	raw3 := amf.Raw(amf.Append3([]byte{0x11}, amf.Object{{Name: "v", Value: amf.Bytes{1}}}))
	for _, c := range []struct {
		name      string
		from, got amf.Value
	}{
		{"bytes", amf.Bytes{1}, amf.Null{}},
		{"int vector", amf.IntVector{-1, 2}, amf.StrictArray{amf.Number(-1), amf.Number(2)}},
		{"uint vector", amf.UintVector{1 << 31}, amf.StrictArray{amf.Number(1 << 31)}},
		{"double vector", amf.DoubleVector{1.5}, amf.StrictArray{amf.Number(1.5)}},
		{"object vector", &amf.ObjectVector{Class: "T", Items: []amf.Value{amf.Bytes{}, amf.Bool(true)}},
			amf.StrictArray{amf.Null{}, amf.Bool(true)}},
		{"no object vector", (*amf.ObjectVector)(nil), amf.Null{}},
		{"dictionary of strings", amf.Dictionary{{Key: amf.String("k"), Value: amf.IntVector{}}},
			amf.Object{{Name: "k", Value: amf.StrictArray{}}}},
		{"dictionary of others", amf.Dictionary{{Key: amf.Number(1), Value: amf.Null{}}}, amf.Null{}},
		{"in an object", amf.Object{{Name: "a", Value: amf.Number(1)}, {Name: "b", Value: amf.Bytes{}}},
			amf.Object{{Name: "a", Value: amf.Number(1)}, {Name: "b", Value: amf.Null{}}}},
		{"in an ECMA array", amf.ECMAArray{{Name: "b", Value: amf.Bytes{}}}, amf.ECMAArray{{Name: "b", Value: amf.Null{}}}},
		{"in an array", amf.StrictArray{amf.Number(1), amf.Bytes{}}, amf.StrictArray{amf.Number(1), amf.Null{}}},
		{"in a typed object", &amf.TypedObject{Class: "T", Fields: []amf.Field{{Name: "b", Value: amf.Bytes{}}}},
			&amf.TypedObject{Class: "T", Fields: []amf.Field{{Name: "b", Value: amf.Null{}}}}},
		{"raw AMF3", raw3, amf.Object{{Name: "v", Value: amf.Null{}}}},
		{"raw AMF3 that AMF0 has", amf.Raw{0x11, 0x03}, amf.Bool(true)},
		{"raw with AMF3 inside", amf.Raw(amf.Append(nil, amf.StrictArray{raw3})),
			amf.StrictArray{amf.Object{{Name: "v", Value: amf.Null{}}}}},
		{"broken raw", amf.Raw{0x12}, amf.Null{}},
		{"name too long", amf.Object{{Name: long, Value: amf.Null{}}}, amf.Object{{Name: long[:65535], Value: amf.Null{}}}},
		{"class too long", &amf.TypedObject{Class: long}, &amf.TypedObject{Class: long[:65535]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := amf.Append(nil, c.from)
			if d := diff(c.got, amf.Plain(c.from)); d != "" {
				t.Errorf("(-want +got):\n%.500s", d)
			}
			if string(before) != string(amf.Append(nil, c.from)) {
				t.Error("the value itself was changed")
			}
		})
	}
}

// A value that a peer with only AMF0 can read comes back as it is, not as a
// copy.
func TestPlainKeeps(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { amf.Plain(reportValue) }); n != 0 {
		t.Errorf("allocates %v times", n)
	}
	for _, v := range []amf.Value{
		nil, amf.Null{}, report, amf.Raw(amf.Append(nil, report)), (*amf.TypedObject)(nil), amf.XML("x"), amf.Date{},
	} {
		if d := diff(v, amf.Plain(v)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

var reportValue amf.Value = report
