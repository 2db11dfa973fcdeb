package amf

import (
	"encoding/binary"
	"math"
	"strconv"
)

// marker3 is the type marker of an AMF3 value (AMF3 §3.1).
type marker3 byte

const (
	undefined3    marker3 = 0x00
	null3         marker3 = 0x01
	false3        marker3 = 0x02
	true3         marker3 = 0x03
	integer3      marker3 = 0x04
	double3       marker3 = 0x05
	string3       marker3 = 0x06
	xmlDocument3  marker3 = 0x07
	date3         marker3 = 0x08
	array3        marker3 = 0x09
	object3       marker3 = 0x0A
	xml3          marker3 = 0x0B
	byteArray3    marker3 = 0x0C
	intVector3    marker3 = 0x0D
	uintVector3   marker3 = 0x0E
	doubleVector3 marker3 = 0x0F
	objectVector3 marker3 = 0x10
	dictionary3   marker3 = 0x11
)

// tables are the reference tables of one AMF3 value (AMF3 §2.2).
type tables struct {
	strings []text
	objects []span
	traits  []traits
	names   []text // of all traits, one after another
}

// text is a string in a table. In a dry run only its length is known.
type text struct {
	s string
	n int
}

// traits are a class and the names of its sealed members (AMF3 §3.12).
type traits struct {
	class   text
	first   int // in tables.names
	count   int
	dynamic bool
	bytes   int // of class and names: the bytes that a reference to it stands for
}

func (t *tables) size() int {
	return max(cap(t.strings), cap(t.objects), cap(t.traits), cap(t.names))
}

func (t *tables) reset() {
	clear(t.strings)
	clear(t.traits)
	clear(t.names)
	t.strings, t.objects, t.traits, t.names = t.strings[:0], t.objects[:0], t.traits[:0], t.names[:0]
}

// value3 decodes one AMF3 value that is nested in depth others. While d.dry is
// set it only checks, and the value it returns means nothing.
func (d *Decoder) value3(depth int) Value {
	at := d.i
	d.count(1)
	m := marker3(d.byte())
	switch m {
	case undefined3:
		return Undefined{}
	case null3:
		return Null{}
	case false3, true3:
		return Bool(m == true3)
	case integer3:
		n := d.u29()
		if n >= 1<<28 { // two's complement in 29 bits (AMF3 §3.6)
			n -= 1 << 29
		}
		if d.dry {
			return nil
		}
		return boxNumber(float64(n))
	case double3:
		return d.number()
	case string3:
		return boxString(d.string3().s)
	}
	if m > dictionary3 {
		d.fail(at, ErrMarker, "AMF3 marker %#02x", byte(m))
		return nil
	}
	return d.complex3(m, at, depth)
}

// complex3 decodes a value of a type that has a place in the object table. It
// begins with a number whose lowest bit tells a value from a reference (AMF3
// §3.9 and later).
func (d *Decoder) complex3(m marker3, at, depth int) (v Value) {
	head := d.u29()
	if head&1 == 0 {
		return d.reference3(at, depth, head>>1)
	}
	switch m {
	case array3, object3, objectVector3, dictionary3:
		d.enter(at, depth)
	}
	number, n := open(&d.three.objects, at, d.replay3), head>>1
	switch m {
	case xml3, xmlDocument3:
		v = XML(d.text(n))
	case date3:
		v = Date{Ms: d.double()}
	case byteArray3:
		v = d.bytes3(n)
	case array3:
		v = d.array3(n, depth+1)
	case object3:
		v = d.object3(at, n, depth+1)
	case objectVector3:
		v = d.objectVector3(n, depth+1)
	case dictionary3:
		v = d.dictionary3(n, depth+1)
	default:
		v = d.vector3(m, n)
	}
	d.shut(d.three.objects, number)
	return v
}

// reference3 decodes object n of the table once more.
func (d *Decoder) reference3(at, depth, n int) Value {
	s := d.find(at, d.three.objects, n)
	back := d.i
	d.i = s.start
	d.replay3++
	v := d.value3(depth)
	d.replay3--
	d.i = back
	return v
}

// u29 reads an integer of 29 bits: seven in each of the first three bytes,
// whose top bit says that more follows, and eight in the fourth (AMF3 §1.3.1).
func (d *Decoder) u29() (n int) {
	for range 3 {
		b := d.byte()
		n = n<<7 | int(b&0x7F)
		if b < 0x80 {
			return n
		}
	}
	return n<<8 | int(d.byte())
}

// string3 reads a string or a reference to one (AMF3 §1.3.2). The empty string
// is never in the table.
func (d *Decoder) string3() text {
	at := d.i
	head := d.u29()
	n := head >> 1
	if head&1 == 0 {
		if n >= len(d.three.strings) {
			d.fail(at, ErrReference, "string %d of %d", n, len(d.three.strings))
			return text{}
		}
		t := d.three.strings[n]
		d.expand(at, t.n)
		return t
	}
	t := text{s: d.text(n), n: n}
	if n > 0 && d.replay3 == 0 {
		d.three.strings = append(d.three.strings, t)
	}
	return t
}

func (d *Decoder) bytes3(n int) Value {
	b := d.take(n)
	if d.dry {
		return nil
	}
	return Bytes(append([]byte{}, b...))
}

// array3 reads the named members of an array, up to an empty name, and its n
// numbered ones (AMF3 §3.11).
func (d *Decoder) array3(n, depth int) Value {
	fields := d.dynamic3(len(d.fields), depth)
	items := d.items(n, depth, d.value3)
	switch {
	case d.dry:
		return nil
	case len(fields) == 0:
		return StrictArray(items)
	}
	for i, v := range items {
		fields = append(fields, Field{Name: strconv.Itoa(i), Value: v})
	}
	return ECMAArray(fields)
}

// dynamic3 reads pairs of name and value up to an empty name. It returns them
// after the fields that were already on the pile above base.
func (d *Decoder) dynamic3(base, depth int) []Field {
	for name := d.string3(); name.n > 0 && d.err == nil; name = d.string3() {
		v := d.value3(depth)
		if !d.dry {
			d.fields = append(d.fields, Field{Name: name.s, Value: v})
		}
	}
	return pop(&d.fields, base)
}

// object3 reads an object whose head, without the lowest bit, is n (AMF3 §3.12).
func (d *Decoder) object3(at, n, depth int) Value {
	t := d.traits3(at, n)
	base := len(d.fields)
	for i := 0; i < t.count && d.err == nil; i++ {
		v := d.value3(depth)
		if !d.dry {
			d.fields = append(d.fields, Field{Name: d.three.names[t.first+i].s, Value: v})
		}
	}
	var fields []Field
	if t.dynamic {
		fields = d.dynamic3(base, depth)
	} else {
		fields = pop(&d.fields, base)
	}
	switch {
	case d.dry:
		return nil
	case t.class.n > 0:
		return &TypedObject{Class: t.class.s, Fields: fields}
	}
	return Object(fields)
}

// traits3 reads traits, or a reference to traits.
func (d *Decoder) traits3(at, n int) traits {
	if n&1 == 0 { // U29O-traits-ref
		n >>= 1
		if n >= len(d.three.traits) {
			d.fail(at, ErrReference, "traits %d of %d", n, len(d.three.traits))
			return traits{}
		}
		t := d.three.traits[n]
		d.expand(at, t.bytes)
		return t
	}
	class := d.string3()
	if n&2 != 0 { // U29O-traits-ext
		d.fail(at, ErrMarker, "externalizable class %.60q", class.s)
	}
	t := traits{class: class, first: len(d.three.names), count: n >> 3, dynamic: n&4 != 0, bytes: class.n}
	d.expect(t.count, 2) // each has a name and a value
	for i := 0; i < t.count && d.err == nil; i++ {
		name := d.string3()
		t.bytes += name.n
		d.three.names = append(d.three.names, name)
	}
	if d.replay3 == 0 {
		d.three.traits = append(d.three.traits, t)
	}
	return t
}

// vector3 reads n numbers (AMF3 §3.15). Each counts as an element.
func (d *Decoder) vector3(m marker3, n int) Value {
	size := 4
	if m == doubleVector3 {
		size = 8
	}
	d.byte() // whether the length is fixed
	d.expect(n, size)
	d.count(n)
	b := d.take(n * size)
	if d.dry || d.err != nil {
		return nil
	}
	switch m {
	case intVector3:
		v := make(IntVector, n)
		for i := range v {
			v[i] = int32(binary.BigEndian.Uint32(b[i*4:]))
		}
		return v
	case uintVector3:
		v := make(UintVector, n)
		for i := range v {
			v[i] = binary.BigEndian.Uint32(b[i*4:])
		}
		return v
	}
	v := make(DoubleVector, n)
	for i := range v {
		v[i] = math.Float64frombits(binary.BigEndian.Uint64(b[i*8:]))
	}
	return v
}

// objectVector3 reads a vector of n values of any type (AMF3 §3.15).
func (d *Decoder) objectVector3(n, depth int) Value {
	fixed := d.byte() != 0
	class := d.string3()
	items := d.items(n, depth, d.value3)
	if d.dry {
		return nil
	}
	return &ObjectVector{Class: class.s, Fixed: fixed, Items: items}
}

// dictionary3 reads n pairs of key and value (AMF3 §3.16).
func (d *Decoder) dictionary3(n, depth int) Value {
	d.byte() // whether keys are weak
	items := d.items(2*n, depth, d.value3)
	if d.dry || d.err != nil {
		return nil
	}
	v := make(Dictionary, n)
	for i := range v {
		v[i] = Entry{Key: items[2*i], Value: items[2*i+1]}
	}
	return v
}
