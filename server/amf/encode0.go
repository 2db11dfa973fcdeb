package amf

import (
	"encoding/binary"
	"math"
	"strings"
)

// maxName is the longest string with a 16-bit length (AMF0 §1.3.1).
const maxName = 65535

// Append appends the AMF0 encoding of v to b. A nil Value is written as null.
// Values that AMF0 does not have (Bytes, vectors, Dictionary, a name or class
// of more than 65,535 bytes) are written as AMF3 behind the 0x11 marker.
func Append(b []byte, v Value) []byte {
	switch x := v.(type) {
	case Number:
		return appendDouble(append(b, byte(number0)), float64(x))
	case Bool:
		return append(b, byte(boolean0), bit(bool(x)))
	case String:
		if len(x) > maxName {
			return appendLong(append(b, byte(longString0)), string(x))
		}
		return appendShort(append(b, byte(string0)), string(x))
	case Object:
		return appendMembers0(append(b, byte(object0)), x, len(b), v)
	case ECMAArray:
		start := len(b)
		b = binary.BigEndian.AppendUint32(append(b, byte(ecmaArray0)), uint32(len(x)))
		return appendMembers0(b, x, start, v)
	case StrictArray:
		b = binary.BigEndian.AppendUint32(append(b, byte(strictArray0)), uint32(len(x)))
		for _, item := range x {
			b = Append(b, item)
		}
		return b
	case *TypedObject:
		return appendTyped0(b, x)
	case Undefined:
		return append(b, byte(undefined0))
	case Date:
		b = appendDouble(append(b, byte(date0)), x.Ms)
		return binary.BigEndian.AppendUint16(b, uint16(x.Zone))
	case XML:
		return appendLong(append(b, byte(xml0)), string(x))
	case Raw:
		if len(x) > 0 {
			return append(b, x...)
		}
	case Bytes, IntVector, UintVector, DoubleVector, *ObjectVector, Dictionary:
		return append3(append(b, byte(avmPlus0)), v)
	}
	return append(b, byte(null0)) // Null, nil, an empty Raw
}

// AppendName appends s as a bare string with a 16-bit length and no marker, as
// Decoder.Name reads it. A string that is too long is cut, between runes.
func AppendName(b []byte, s string) []byte { return appendShort(b, cut(s)) }

// cut cuts a name that is too long, between runes.
func cut(name string) string {
	if len(name) > maxName {
		return strings.ToValidUTF8(name[:maxName], "")
	}
	return name
}

// appendMembers0 appends members and the object end. When a name is too long
// for AMF0 it takes back what was written from start on and writes the whole
// value as AMF3.
func appendMembers0(b []byte, fields []Field, start int, whole Value) []byte {
	for i := range fields {
		if len(fields[i].Name) > maxName {
			return append3(append(b[:start], byte(avmPlus0)), whole)
		}
		b = appendShort(b, fields[i].Name)
		b = Append(b, fields[i].Value)
	}
	return append(b, 0, 0, byte(objectEnd0))
}

func appendTyped0(b []byte, v *TypedObject) []byte {
	switch {
	case v == nil:
		return append(b, byte(null0))
	case len(v.Class) > maxName:
		return append3(append(b, byte(avmPlus0)), v)
	}
	start := len(b)
	b = appendShort(append(b, byte(typedObject0)), v.Class)
	return appendMembers0(b, v.Fields, start, v)
}

func appendShort(b []byte, s string) []byte {
	return append(append(b, byte(len(s)>>8), byte(len(s))), s...)
}

func appendLong(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func appendDouble(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}
