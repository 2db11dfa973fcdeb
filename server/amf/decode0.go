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
func (d *Decoder) value0(depth int) (Value, error) {
	at := d.i
	if err := d.count(1); err != nil {
		return nil, err
	}
	m, err := d.byte()
	if err != nil {
		return nil, err
	}
	switch marker0(m) {
	case number0:
		return d.number()
	case boolean0:
		b, err := d.byte()
		return Bool(b != 0), err
	case string0:
		s, err := d.name()
		return boxString(s), err
	case longString0:
		s, err := d.longText()
		return boxString(s), err
	case null0:
		return Null{}, nil
	case undefined0, unsupported0:
		return Undefined{}, nil
	case object0, ecmaArray0, strictArray0, typedObject0:
		return d.complex0(marker0(m), at, depth)
	case reference0:
		return d.reference0(at, depth)
	case date0:
		return d.date0()
	case xml0:
		s, err := d.longText()
		if d.dry || err != nil {
			return nil, err
		}
		return XML(s), nil
	case avmPlus0:
		d.amf3 = true
		d.elements--    // it counts as one value
		d.three.reset() // AMF3 tables belong to one value
		return d.value3(depth)
	case objectEnd0:
		return nil, d.fail(at, ErrMarker, "object end outside an object")
	}
	return nil, d.fail(at, ErrMarker, "AMF0 marker %#02x", m)
}

// complex0 decodes a value of a type that has a place in the reference table.
func (d *Decoder) complex0(m marker0, at, depth int) (v Value, err error) {
	if err := d.enter(at, depth); err != nil {
		return nil, err
	}
	number := open(&d.objects, at, d.replay)
	var class string
	switch m {
	case strictArray0:
		v, err = d.strictArray0(depth + 1)
		d.shut(d.objects, number)
		return v, err
	case ecmaArray0:
		_, err = d.uint32() // the count is a hint, and often wrong (AMF0 §2.10)
	case typedObject0:
		class, err = d.name()
	}
	if err != nil {
		return nil, err
	}
	fields, err := d.members0(depth + 1)
	if err != nil {
		return nil, err
	}
	d.shut(d.objects, number)
	switch {
	case d.dry:
		return nil, nil
	case m == ecmaArray0:
		return ECMAArray(fields), nil
	case m == typedObject0:
		return &TypedObject{Class: class, Fields: fields}, nil
	}
	return Object(fields), nil
}

// members0 reads members up to the object end: an empty name and the marker
// (AMF0 §2.11). An empty name before any other marker is a name.
func (d *Decoder) members0(depth int) ([]Field, error) {
	base := len(d.fields)
	for {
		start := d.i
		name, err := d.name()
		if err != nil {
			return nil, err
		}
		if d.i == start+2 && d.More() && marker0(d.b[d.i]) == objectEnd0 {
			d.i++
			break
		}
		v, err := d.value0(depth)
		if err != nil {
			return nil, err
		}
		if !d.dry {
			d.fields = append(d.fields, Field{Name: name, Value: v})
		}
	}
	if d.dry {
		return nil, nil
	}
	return d.popFields(base), nil
}

func (d *Decoder) strictArray0(depth int) (Value, error) {
	n, err := d.uint32()
	if err != nil {
		return nil, err
	}
	if err := d.expect(n, 1); err != nil {
		return nil, err
	}
	base := len(d.values)
	for range n {
		v, err := d.value0(depth)
		if err != nil {
			return nil, err
		}
		if !d.dry {
			d.values = append(d.values, v)
		}
	}
	if d.dry {
		return nil, nil
	}
	return StrictArray(d.popValues(base)), nil
}

// reference0 decodes the object of a reference once more (AMF0 §2.9).
func (d *Decoder) reference0(at, depth int) (Value, error) {
	d.reference = true
	n, err := d.uint16()
	if err != nil {
		return nil, err
	}
	s, err := d.find(at, d.objects, n)
	if err != nil {
		return nil, err
	}
	back := d.i
	d.i = s.start
	d.replay++
	v, err := d.value0(depth)
	d.replay--
	d.i = back
	return v, err
}

func (d *Decoder) number() (Value, error) {
	f, err := d.double()
	if d.dry || err != nil {
		return nil, err
	}
	return boxNumber(f), nil
}

func (d *Decoder) date0() (Value, error) {
	ms, err := d.double()
	if err != nil {
		return nil, err
	}
	zone, err := d.uint16()
	if d.dry || err != nil {
		return nil, err
	}
	return Date{Ms: ms, Zone: int16(zone)}, nil
}

// name reads a string with a 16-bit length (AMF0 §1.3.1, UTF-8).
func (d *Decoder) name() (string, error) {
	n, err := d.uint16()
	if err != nil {
		return "", err
	}
	return d.text(n)
}

// longText reads a string with a 32-bit length (AMF0 §1.3.1, UTF-8-long).
func (d *Decoder) longText() (string, error) {
	n, err := d.uint32()
	if err != nil {
		return "", err
	}
	return d.text(n)
}

var emptyString Value = String("")

// boxString is Value(String(s)), without an allocation for the empty string.
func boxString(s string) Value {
	if s == "" {
		return emptyString
	}
	return String(s)
}
