package amf

// A Value is an AMF value. The set of implementations is closed: Number, Bool,
// String, Object, Null, Undefined, ECMAArray, StrictArray, Date, XML,
// *TypedObject, the AMF3-only Bytes, IntVector, UintVector, DoubleVector,
// *ObjectVector, Dictionary, and Raw. A nil Value is taken for null.
//
// Values are trees: the Decoder returns no value that contains itself, and
// callers must not make one. Strings are kept as they came, valid UTF-8 or not,
// so that they can be relayed; callers that need valid text use
// strings.ToValidUTF8 (encoding/json does it by itself).
type Value interface{ isValue() }

type (
	// Number is an AMF0 number or an AMF3 double or integer (AMF0 §2.2, AMF3 §3.6, §3.7).
	Number float64
	// Bool is a boolean (AMF0 §2.3, AMF3 §3.4, §3.5).
	Bool bool
	// String is a string of any length (AMF0 §2.4, §2.14, AMF3 §3.8).
	String string
	// Null is null (AMF0 §2.7, AMF3 §3.3).
	Null struct{}
	// Undefined is undefined (AMF0 §2.8, AMF3 §3.2). An AMF0 "unsupported" (§2.15) decodes to it.
	Undefined struct{}
	// Object is an anonymous object, its members in the order of the wire (AMF0 §2.5, AMF3 §3.12).
	Object []Field
	// ECMAArray is an array with named members, in the order of the wire (AMF0 §2.10).
	// In AMF3 it is an array that has named members; the numbered ones follow, named "0", "1" and
	// so on (AMF3 §3.11).
	ECMAArray []Field
	// StrictArray is an array without names (AMF0 §2.12, AMF3 §3.11).
	StrictArray []Value
	// XML is an XML document as text (AMF0 §2.17, AMF3 §3.9, §3.13).
	XML string

	// Field is a named member of an object or ECMA array.
	Field struct {
		Name  string
		Value Value
	}
	// Date is milliseconds since 1970 UTC. Zone travels in AMF0 but means
	// nothing (AMF0 §2.13); AMF3 has none (AMF3 §3.10).
	Date struct {
		Ms   float64
		Zone int16
	}
	// TypedObject is an object of a named class (AMF0 §2.18, AMF3 §3.12).
	TypedObject struct {
		Class  string
		Fields []Field
	}

	// Bytes is an AMF3 ByteArray (AMF3 §3.14).
	Bytes []byte
	// IntVector is an AMF3 Vector.<int> (AMF3 §3.15).
	IntVector []int32
	// UintVector is an AMF3 Vector.<uint> (AMF3 §3.15).
	UintVector []uint32
	// DoubleVector is an AMF3 Vector.<Number> (AMF3 §3.15).
	DoubleVector []float64
	// ObjectVector is an AMF3 Vector of the named class (AMF3 §3.15).
	ObjectVector struct {
		Class string
		Fixed bool
		Items []Value
	}
	// Dictionary is an AMF3 Dictionary, in the order of the wire (AMF3 §3.16).
	Dictionary []Entry
	// Entry is a key of a Dictionary and its value.
	Entry struct{ Key, Value Value }

	// Raw is exactly one AMF0 value (which may be 0x11 and an AMF3 value) as it
	// came, not decoded. It has been checked against the limits, and holds no
	// AMF0 references, since their numbers depend on the whole message. Append
	// writes it back byte for byte.
	Raw []byte
)

func (Number) isValue()        {}
func (Bool) isValue()          {}
func (String) isValue()        {}
func (Null) isValue()          {}
func (Undefined) isValue()     {}
func (Object) isValue()        {}
func (ECMAArray) isValue()     {}
func (StrictArray) isValue()   {}
func (XML) isValue()           {}
func (Date) isValue()          {}
func (*TypedObject) isValue()  {}
func (Bytes) isValue()         {}
func (IntVector) isValue()     {}
func (UintVector) isValue()    {}
func (DoubleVector) isValue()  {}
func (*ObjectVector) isValue() {}
func (Dictionary) isValue()    {}
func (Raw) isValue()           {}

// Value decodes r. It returns Undefined when r did not come from a Decoder.
func (r Raw) Value() Value {
	v, err := Parse(r)
	if err != nil {
		return Undefined{}
	}
	return v
}

// decoded returns v, decoded when it is Raw; nil becomes Null.
func decoded(v Value) Value {
	switch v := v.(type) {
	case nil:
		return Null{}
	case Raw:
		return v.Value()
	}
	return v
}

// members returns the members of an object, ECMA array or typed object.
func members(v Value) ([]Field, bool) {
	switch v := decoded(v).(type) {
	case Object:
		return v, true
	case ECMAArray:
		return v, true
	case *TypedObject:
		if v != nil {
			return v.Fields, true
		}
	}
	return nil, false
}

// Lookup returns the member with that name of an object, ECMA array or typed
// object (decoding a Raw), or Undefined. Of several members with the same name
// the last one counts, as in Flash and JavaScript.
func Lookup(v Value, name string) Value {
	fields, _ := members(v)
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Name == name {
			return decoded(fields[i].Value)
		}
	}
	return Undefined{}
}

// AsString returns the text of a String, or false for anything else.
func AsString(v Value) (string, bool) {
	s, ok := decoded(v).(String)
	return string(s), ok
}

// AsNumber returns the value of a Number, or false for anything else. It may
// be infinite or not a number.
func AsNumber(v Value) (float64, bool) {
	n, ok := decoded(v).(Number)
	return float64(n), ok
}

// AsBool returns the value of a Bool, or false twice for anything else.
func AsBool(v Value) (value, ok bool) {
	b, ok := decoded(v).(Bool)
	return bool(b), ok
}
