package amf

import (
	"encoding/binary"
	"math"
	"strconv"
)

// max29 is the largest length of AMF3: 29 bits, one of them the flag that
// tells a value from a reference. No message comes near it.
const max29 = 1<<28 - 1

// Append3 appends the AMF3 encoding of v, without the 0x11 marker. It writes no
// references, so the bytes can be put anywhere. A Date loses its zone. A member
// of an ECMAArray with an empty name is left out, since AMF3 has no such
// member.
func Append3(b []byte, v Value) []byte {
	if raw, ok := v.(Raw); ok && len(raw) > 1 && marker0(raw[0]) == avmPlus0 {
		return append(b, raw[1:]...) // its references refer into itself
	}
	return append3(b, v)
}

func append3(b []byte, v Value) []byte {
	switch x := v.(type) {
	case Undefined:
		return append(b, byte(undefined3))
	case Bool:
		return append(b, byte(false3)+bit(bool(x)))
	case Number:
		return appendNumber3(b, float64(x))
	case String:
		return appendString3(append(b, byte(string3)), string(x))
	case XML:
		return appendString3(append(b, byte(xmlDocument3)), string(x)) // the type AMF0 has
	case Date:
		return appendDouble(append(b, byte(date3), 1), x.Ms)
	case StrictArray:
		b = appendHead3(append(b, byte(array3)), len(x))
		return appendItems3(append(b, 1), x) // no named members
	case ECMAArray:
		return appendECMAArray3(b, x)
	case Object:
		return appendObject3(b, "", x)
	case *TypedObject:
		if x != nil {
			return appendObject3(b, x.Class, x.Fields)
		}
	case Bytes:
		x = x[:min(len(x), max29)]
		return append(appendHead3(append(b, byte(byteArray3)), len(x)), x...)
	case *ObjectVector:
		if x != nil {
			b = append(appendHead3(append(b, byte(objectVector3)), len(x.Items)), bit(x.Fixed))
			return appendItems3(appendString3(b, x.Class), x.Items)
		}
	case Dictionary:
		b = append(appendHead3(append(b, byte(dictionary3)), len(x)), 0)
		for i := range x {
			b = append3(append3(b, x[i].Key), x[i].Value)
		}
		return b
	case IntVector, UintVector, DoubleVector:
		return appendVector3(b, x)
	case Raw:
		return append3(b, x.Value())
	}
	return append(b, byte(null3)) // Null, nil
}

// appendNumber3 writes a whole number of 29 bits as an integer (AMF3 §3.6).
func appendNumber3(b []byte, f float64) []byte {
	if f >= -1<<28 && f < 1<<28 {
		if n := int(f); math.Float64bits(float64(n)) == math.Float64bits(f) { // -0 is a double
			return appendU29(append(b, byte(integer3)), uint32(n)&(1<<29-1))
		}
	}
	return appendDouble(append(b, byte(double3)), f)
}

// appendECMAArray3 writes the members "0", "1" and so on at the end of v as
// numbered ones. An array with no other members stays named, so that it decodes
// to the same type.
func appendECMAArray3(b []byte, v ECMAArray) []byte {
	dense := denseFrom(v)
	b = appendHead3(append(b, byte(array3)), len(v)-dense)
	for i := range v[:dense] {
		if v[i].Name != "" {
			b = append3(appendString3(b, v[i].Name), v[i].Value)
		}
	}
	b = append(b, 1)
	for i := range v[dense:] {
		b = append3(b, v[dense+i].Value)
	}
	return b
}

// denseFrom returns the index at which the members "0" to "n" at the end of v
// begin.
func denseFrom(v ECMAArray) int {
	first := len(v) - 1
	for first > 0 && v[first].Name != "0" {
		first--
	}
	if first <= 0 {
		return len(v)
	}
	for i := range v[first:] {
		if v[first+i].Name != strconv.Itoa(i) {
			return len(v)
		}
	}
	return first
}

// appendObject3 writes the members of an anonymous object as dynamic ones and
// those of a class as sealed ones, as Flash does. Only sealed members may have
// an empty name.
func appendObject3(b []byte, class string, fields []Field) []byte {
	b = append(b, byte(object3))
	sealed := class != ""
	for i := range fields {
		sealed = sealed || fields[i].Name == ""
	}
	if sealed {
		b = appendString3(appendU29(b, uint32(len(fields))<<4|0x3), class)
		for i := range fields {
			b = appendString3(b, fields[i].Name)
		}
		for i := range fields {
			b = append3(b, fields[i].Value)
		}
		return b
	}
	b = append(b, 0x0B, 1)
	for i := range fields {
		b = append3(appendString3(b, fields[i].Name), fields[i].Value)
	}
	return append(b, 1)
}

func appendVector3(b []byte, v Value) []byte {
	switch v := v.(type) {
	case IntVector:
		b = append(appendHead3(append(b, byte(intVector3)), len(v)), 0)
		for _, n := range v {
			b = binary.BigEndian.AppendUint32(b, uint32(n))
		}
	case UintVector:
		b = append(appendHead3(append(b, byte(uintVector3)), len(v)), 0)
		for _, n := range v {
			b = binary.BigEndian.AppendUint32(b, n)
		}
	case DoubleVector:
		b = append(appendHead3(append(b, byte(doubleVector3)), len(v)), 0)
		for _, f := range v {
			b = appendDouble(b, f)
		}
	}
	return b
}

func appendItems3(b []byte, items []Value) []byte {
	for _, item := range items {
		b = append3(b, item)
	}
	return b
}

func appendString3(b []byte, s string) []byte {
	s = s[:min(len(s), max29)]
	return append(appendHead3(b, len(s)), s...)
}

// appendHead3 writes a length or count with the flag for "not a reference".
func appendHead3(b []byte, n int) []byte { return appendU29(b, uint32(n)<<1|1) }

// appendU29 appends an integer of 29 bits (AMF3 §1.3.1).
func appendU29(b []byte, n uint32) []byte {
	switch {
	case n < 1<<7:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, byte(n>>7)|0x80, byte(n)&0x7F)
	case n < 1<<21:
		return append(b, byte(n>>14)|0x80, byte(n>>7)|0x80, byte(n)&0x7F)
	}
	return append(b, byte(n>>22)|0x80, byte(n>>15)|0x80, byte(n>>8)|0x80, byte(n))
}
