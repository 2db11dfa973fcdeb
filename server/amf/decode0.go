package amf

// marker0 is the type marker of an AMF0 value (AMF0 §2.1).
type marker0 byte

const (
	number0      marker0 = 0x00
	boolean0     marker0 = 0x01
	string0      marker0 = 0x02
	object0      marker0 = 0x03
	movieClip0   marker0 = 0x04 // reserved, has no format
	null0        marker0 = 0x05
	undefined0   marker0 = 0x06
	reference0   marker0 = 0x07
	ecmaArray0   marker0 = 0x08
	objectEnd0   marker0 = 0x09
	strictArray0 marker0 = 0x0A
	date0        marker0 = 0x0B
	longString0  marker0 = 0x0C
	unsupported0 marker0 = 0x0D
	recordSet0   marker0 = 0x0E // reserved, has no format
	xml0         marker0 = 0x0F
	typedObject0 marker0 = 0x10
	avmPlus0     marker0 = 0x11 // an AMF3 value follows (AMF0 §3.1)
)

// value0 decodes one AMF0 value that is nested in depth others. While d.dry is
// set it only checks, and the value it returns means nothing.
func (d *Decoder) value0(depth int) Value {
	at := d.i
	d.count(1)
	m := marker0(d.byte())
	switch m {
	case number0:
		return d.number()
	case boolean0:
		return Bool(d.byte() != 0)
	case string0:
		return boxString(d.name())
	case longString0:
		return boxString(d.longText())
	case null0:
		return Null{}
	case undefined0, unsupported0:
		return Undefined{}
	case object0, ecmaArray0, strictArray0, typedObject0:
		return d.complex0(m, at, depth)
	case reference0:
		return d.reference0(at, depth)
	case date0:
		date := Date{Ms: d.double(), Zone: int16(d.uint16())}
		if d.dry {
			return nil
		}
		return date
	case xml0:
		s := d.longText()
		if d.dry {
			return nil
		}
		return XML(s)
	case avmPlus0:
		d.amf3 = true
		d.elements--    // it counts as one value
		d.three.reset() // AMF3 tables belong to one value
		return d.value3(depth)
	case objectEnd0:
		d.fail(at, ErrMarker, "object end outside an object")
	default:
		d.fail(at, ErrMarker, "AMF0 marker %#02x", byte(m))
	}
	return nil
}

// complex0 decodes a value of a type that has a place in the reference table.
func (d *Decoder) complex0(m marker0, at, depth int) Value {
	d.enter(at, depth)
	number := open(&d.objects, at, d.replay)
	var class string
	var fields []Field
	var items []Value
	switch m {
	case strictArray0:
		items = d.items(d.uint32(), depth+1, d.value0)
	case ecmaArray0:
		d.uint32() // the count is a hint, and often wrong (AMF0 §2.10)
		fields = d.members0(depth + 1)
	case typedObject0:
		class = d.name()
		fields = d.members0(depth + 1)
	default:
		fields = d.members0(depth + 1)
	}
	d.shut(d.objects, number)
	switch {
	case d.dry:
		return nil
	case m == strictArray0:
		return StrictArray(items)
	case m == ecmaArray0:
		return ECMAArray(fields)
	case m == typedObject0:
		return &TypedObject{Class: class, Fields: fields}
	}
	return Object(fields)
}

// members0 reads members up to the object end: an empty name and the marker
// (AMF0 §2.11). An empty name before any other marker is a name.
func (d *Decoder) members0(depth int) []Field {
	base := len(d.fields)
	for d.err == nil && (d.More() || !d.salvage) {
		start := d.i
		name := d.name()
		if d.i == start+2 && d.More() && marker0(d.b[d.i]) == objectEnd0 {
			d.i++
			break
		}
		v := d.value0(depth)
		if d.err != nil && d.salvage {
			d.err, d.i = nil, len(d.b)
			break
		}
		if !d.dry {
			d.fields = append(d.fields, Field{Name: name, Value: v})
		}
	}
	if d.dry {
		return nil
	}
	return pop(&d.fields, base)
}

// reference0 decodes the object of a reference once more (AMF0 §2.9).
func (d *Decoder) reference0(at, depth int) Value {
	d.reference = true
	s := d.find(at, d.objects, d.uint16())
	back := d.i
	d.i = s.start
	d.replay++
	v := d.value0(depth)
	d.replay--
	d.i = back
	return v
}

func (d *Decoder) number() Value {
	f := d.double()
	if d.dry {
		return nil
	}
	return boxNumber(f)
}

// name reads a string with a 16-bit length (AMF0 §1.3.1, UTF-8).
func (d *Decoder) name() string { return d.text(d.uint16()) }

// longText reads a string with a 32-bit length (AMF0 §1.3.1, UTF-8-long).
func (d *Decoder) longText() string { return d.text(d.uint32()) }

var emptyString Value = String("")

// boxString is Value(String(s)), without an allocation for the empty string.
func boxString(s string) Value {
	if s == "" {
		return emptyString
	}
	return String(s)
}
