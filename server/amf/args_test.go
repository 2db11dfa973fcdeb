package amf_test

import (
	"fmt"
	"math"
	"testing"

	"foyer/server/amf"
)

func TestScan(t *testing.T) {
	var (
		s string
		f float64
		n int
		b bool
		o amf.Object
		v amf.Value
	)
	fields := amf.Object{{Name: "a", Value: amf.Null{}}}
	args := amf.Args{amf.String("x"), amf.Number(1.5), amf.Number(-7), amf.Bool(true), fields, amf.Undefined{}, amf.Null{}}
	if err := args.Scan(&s, &f, &n, &b, &o, &v); err != nil {
		t.Fatal(err)
	}
	if s != "x" || f != 1.5 || n != -7 || !b || diff(fields, o) != "" || v != (amf.Undefined{}) {
		t.Errorf("got %v %v %v %v %v %v", s, f, n, b, o, v)
	}
	for i, v := range []amf.Value{
		amf.ECMAArray(fields), &amf.TypedObject{Class: "T", Fields: fields}, amf.Raw(amf.Append(nil, fields)),
	} {
		o = nil
		if err := (amf.Args{v}).Scan(&o); err != nil || diff(fields, o) != "" {
			t.Errorf("%d: got %v, %v", i, o, err)
		}
	}
	raws := amf.Args{amf.Raw(amf.Append(nil, amf.String("x"))), amf.Raw(amf.Append(nil, amf.Number(3))), nil}
	if err := raws.Scan(&s, &n, &v); err != nil || s != "x" || n != 3 || v != (amf.Null{}) {
		t.Errorf("got %v %v %v, %v", s, n, v, err)
	}
}

func TestScanErrors(t *testing.T) {
	for _, c := range []struct {
		args amf.Args
		dst  []any
		want string
	}{
		{nil, []any{new(string)}, "argument 1: missing, want a string"},
		{amf.Args{amf.String("")}, []any{new(string), new(float64)}, "argument 2: missing, want a number"},
		{nil, []any{new(amf.Value)}, "argument 1: missing, want a value"},
		{amf.Args{amf.String(""), amf.Number(1)}, []any{new(string), new(string)}, "argument 2: want a string, got a number"},
		{amf.Args{amf.String("1")}, []any{new(float64)}, "argument 1: want a number, got a string"},
		{amf.Args{amf.Number(1)}, []any{new(bool)}, "argument 1: want a boolean, got a number"},
		{amf.Args{amf.Number(1.5)}, []any{new(int)}, "argument 1: want a whole number, got 1.5"},
		{amf.Args{amf.Number(math.NaN())}, []any{new(int)}, "argument 1: want a whole number, got NaN"},
		{amf.Args{amf.Number(math.Inf(-1))}, []any{new(int)}, "argument 1: want a whole number, got -Inf"},
		{amf.Args{amf.Number(1e300)}, []any{new(int)}, "argument 1: want a whole number, got 1e+300"},
		{amf.Args{amf.Bool(true)}, []any{new(int)}, "argument 1: want a whole number, got a boolean"},
		{amf.Args{amf.StrictArray{}}, []any{new(amf.Object)}, "argument 1: want an object, got an array"},
		{amf.Args{amf.Null{}}, []any{new(amf.Object)}, "argument 1: want an object, got null"},
		{amf.Args{nil}, []any{new(string)}, "argument 1: want a string, got null"},
		{amf.Args{amf.Undefined{}}, []any{new(string)}, "argument 1: want a string, got undefined"},
		{amf.Args{amf.Object{}}, []any{new(string)}, "argument 1: want a string, got an object"},
		{amf.Args{amf.Date{}}, []any{new(float64)}, "argument 1: want a number, got a date"},
		{amf.Args{amf.XML("")}, []any{new(string)}, "argument 1: want a string, got XML"},
		{amf.Args{&amf.TypedObject{}}, []any{new(string)}, "argument 1: want a string, got a typed object"},
		{amf.Args{amf.Bytes{}}, []any{new(string)}, "argument 1: want a string, got a byte array"},
		{amf.Args{amf.IntVector{}}, []any{new(string)}, "argument 1: want a string, got a vector"},
		{amf.Args{amf.Dictionary{}}, []any{new(amf.Object)}, "argument 1: want an object, got a dictionary"},
		{amf.Args{amf.Raw{0x12}}, []any{new(string)}, "argument 1: want a string, got undefined"},
	} {
		if err := c.args.Scan(c.dst...); fmt.Sprint(err) != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestScanPanics(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); got != "amf: Scan into a *uint8" {
			t.Errorf("panic: %s", got)
		}
	}()
	_ = (amf.Args{amf.Number(1)}).Scan(new(byte))
}

func TestAt(t *testing.T) {
	args := amf.Args{amf.Number(1), nil, amf.Raw{0x01, 0x01}}
	for i, want := range map[int]amf.Value{
		-1: amf.Undefined{}, 0: amf.Number(1), 1: amf.Null{}, 2: amf.Bool(true), 3: amf.Undefined{},
	} {
		if got := args.At(i); got != want {
			t.Errorf("At(%d) = %v, want %v", i, got, want)
		}
	}
}
