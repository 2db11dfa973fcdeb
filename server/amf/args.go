package amf

import (
	"fmt"
	"math"
)

// Args are positional arguments.
type Args []Value

// At returns argument i, counted from 0. A missing one is Undefined.
func (a Args) At(i int) Value {
	if i < 0 || i >= len(a) {
		return Undefined{}
	}
	return decoded(a[i])
}

// Scan stores the arguments into dst (*string, *float64, *int, *bool, *Object,
// *Value), in order. When there are fewer arguments than destinations, or one
// does not fit, the error says which ("argument 2: want a string, got a
// number"). An Object destination also takes the fields of an ECMA array or a
// typed object; an int takes a whole number that fits. More arguments than
// destinations are fine. The destination of an argument that does not fit
// becomes zero, and later destinations stay as they are. A destination of any
// other type is the caller's mistake and panics.
func (a Args) Scan(dst ...any) error {
	for i, p := range dst {
		if err := scan(a, i, p); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return nil
}

const wholeNumber = "a whole number"

func scan(a Args, i int, dst any) error {
	want, fits := "", false
	v := a.At(i)
	switch p := dst.(type) {
	case *Value:
		want, fits = "a value", true
		*p = v
	case *string:
		want = "a string"
		*p, fits = AsString(v)
	case *float64:
		want = "a number"
		*p, fits = AsNumber(v)
	case *bool:
		want = "a boolean"
		*p, fits = AsBool(v)
	case *int:
		want = wholeNumber
		*p, fits = asInt(v)
	case *Object:
		want = "an object"
		var fields []Field
		fields, fits = members(v)
		*p = fields
	default:
		panic(fmt.Sprintf("amf: Scan into a %T", dst))
	}
	switch {
	case i >= len(a):
		return fmt.Errorf("missing, want %s", want)
	case !fits:
		return fmt.Errorf("want %s, got %s", want, got(v, want))
	}
	return nil
}

// asInt accepts whole numbers that a float64 holds exactly.
func asInt(v Value) (int, bool) {
	f, ok := AsNumber(v)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 || float64(int(f)) != f {
		return 0, false
	}
	return int(f), true
}

// got describes v for an error message, with the number itself if it is one.
func got(v Value, want string) string {
	if n, ok := v.(Number); ok && want == wholeNumber {
		return fmt.Sprint(float64(n))
	}
	return kind(v)
}

// kind names the type of v for an error message.
func kind(v Value) string {
	switch v.(type) {
	case Number:
		return "a number"
	case Bool:
		return "a boolean"
	case String:
		return "a string"
	case Undefined:
		return "undefined"
	case Object:
		return "an object"
	case ECMAArray, StrictArray:
		return "an array"
	case Date:
		return "a date"
	case XML:
		return "XML"
	case *TypedObject:
		return "a typed object"
	case Bytes:
		return "a byte array"
	case IntVector, UintVector, DoubleVector, *ObjectVector:
		return "a vector"
	case Dictionary:
		return "a dictionary"
	}
	return "null"
}
