package amf

import "slices"

// Plain returns v with everything replaced that a peer with only AMF0 cannot
// read. Vectors become strict arrays, a Dictionary with string keys becomes an
// object, and any other AMF3-only value null. A value that is written as AMF3
// but need not be is decoded, and names are cut to the 65,535 bytes that AMF0
// allows. Plain returns v itself when nothing needs replacing.
func Plain(v Value) Value {
	v, _ = plain(v)
	return v
}

// plain is Plain, and reports whether it replaced anything.
func plain(v Value) (Value, bool) {
	switch x := v.(type) {
	case Object:
		if fields, replaced := plainFields(x); replaced {
			return Object(fields), true
		}
	case ECMAArray:
		if fields, replaced := plainFields(x); replaced {
			return ECMAArray(fields), true
		}
	case StrictArray:
		if items, replaced := plainItems(x); replaced {
			return StrictArray(items), true
		}
	case *TypedObject:
		if x == nil {
			break
		}
		fields, replaced := plainFields(x.Fields)
		if class := cut(x.Class); replaced || len(class) < len(x.Class) {
			return &TypedObject{Class: class, Fields: fields}, true
		}
	case Raw:
		return plainRaw(x)
	case Bytes:
		return Null{}, true
	case IntVector:
		return plainNumbers(x), true
	case UintVector:
		return plainNumbers(x), true
	case DoubleVector:
		return plainNumbers(x), true
	case *ObjectVector:
		if x == nil {
			return Null{}, true
		}
		items, _ := plainItems(x.Items)
		return StrictArray(items), true
	case Dictionary:
		return plainDictionary(x), true
	}
	return v, false
}

// plainRaw decodes r only when it holds AMF3.
func plainRaw(r Raw) (Value, bool) {
	d := NewDecoder(r)
	d.dry = true
	if _, err := d.Next(); err != nil {
		return Null{}, true
	}
	if !d.amf3 {
		return r, false
	}
	v, _ := plain(r.Value())
	return v, true
}

func plainFields(fields []Field) ([]Field, bool) {
	out := fields
	replaced := false
	for i, f := range fields {
		name := cut(f.Name)
		v, other := plain(f.Value)
		if !other && len(name) == len(f.Name) {
			continue
		}
		if !replaced {
			out, replaced = slices.Clone(fields), true
		}
		out[i] = Field{Name: name, Value: v}
	}
	return out, replaced
}

func plainItems(items []Value) ([]Value, bool) {
	out := items
	replaced := false
	for i, item := range items {
		v, other := plain(item)
		if !other {
			continue
		}
		if !replaced {
			out, replaced = slices.Clone(items), true
		}
		out[i] = v
	}
	return out, replaced
}

func plainNumbers[N int32 | uint32 | float64](numbers []N) Value {
	items := make(StrictArray, len(numbers))
	for i, n := range numbers {
		items[i] = boxNumber(float64(n))
	}
	return items
}

func plainDictionary(entries Dictionary) Value {
	object := make(Object, len(entries))
	for i, e := range entries {
		key, ok := e.Key.(String)
		if !ok {
			return Null{}
		}
		v, _ := plain(e.Value)
		object[i] = Field{Name: cut(string(key)), Value: v}
	}
	return object
}
