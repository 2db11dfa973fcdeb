package amf_test

import (
	"testing"

	"foyer/server/amf"
)

func TestLookup(t *testing.T) {
	fields := []amf.Field{
		{Name: "a", Value: amf.Number(1)},
		{Name: "b", Value: amf.Number(2)},
		{Name: "a", Value: amf.Number(3)},
		{Name: "raw", Value: amf.Raw(amf.Append(nil, amf.String("r")))},
		{Name: "nil", Value: nil},
	}
	for _, v := range []amf.Value{
		amf.Object(fields), amf.ECMAArray(fields), &amf.TypedObject{Class: "T", Fields: fields},
		amf.Raw(amf.Append(nil, amf.Object(fields))), amf.Raw(amf.Append3([]byte{0x11}, amf.Object(fields))),
	} {
		for name, want := range map[string]amf.Value{
			"a": amf.Number(3), "b": amf.Number(2), "raw": amf.String("r"), "nil": amf.Null{},
			"none": amf.Undefined{}, "": amf.Undefined{},
		} {
			if got := amf.Lookup(v, name); got != want {
				t.Errorf("Lookup(%T, %q) = %v, want %v", v, name, got, want)
			}
		}
	}
	for _, v := range []amf.Value{nil, amf.Null{}, amf.String("a"), amf.StrictArray{amf.Null{}}, (*amf.TypedObject)(nil), amf.Raw{}, amf.Raw{0x12}} {
		if got := amf.Lookup(v, "a"); got != (amf.Undefined{}) {
			t.Errorf("Lookup(%#v) = %v", v, got)
		}
	}
}

func TestAs(t *testing.T) {
	raw := func(v amf.Value) amf.Value { return amf.Raw(amf.Append(nil, v)) }
	for _, v := range []amf.Value{amf.String("x"), raw(amf.String("x"))} {
		if s, ok := amf.AsString(v); s != "x" || !ok {
			t.Errorf("AsString(%v) = %q, %v", v, s, ok)
		}
	}
	for _, v := range []amf.Value{amf.Number(2), raw(amf.Number(2))} {
		if n, ok := amf.AsNumber(v); n != 2 || !ok {
			t.Errorf("AsNumber(%v) = %v, %v", v, n, ok)
		}
	}
	for _, v := range []amf.Value{amf.Bool(true), raw(amf.Bool(true))} {
		if b, ok := amf.AsBool(v); !b || !ok {
			t.Errorf("AsBool(%v) = %v, %v", v, b, ok)
		}
	}
	for _, v := range []amf.Value{nil, amf.Null{}, amf.Undefined{}, amf.Object{}, amf.Raw{}, amf.XML("x"), amf.Date{Ms: 1}} {
		s, ok := amf.AsString(v)
		n, ok2 := amf.AsNumber(v)
		b, ok3 := amf.AsBool(v)
		if s != "" || n != 0 || b || ok || ok2 || ok3 {
			t.Errorf("%#v reads as %q %v, %v %v, %v %v", v, s, ok, n, ok2, b, ok3)
		}
	}
}
