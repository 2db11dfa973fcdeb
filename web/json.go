package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"foyer/server/amf"
)

// Members of a JSON object that stands for an AMF value which JSON does not have.
const (
	dateKey  = "$date"  // {"$date": ms}
	bytesKey = "$bytes" // {"$bytes": base64}
	classKey = "$class" // the class name of a typed object, beside its members
)

// appendValue appends v as JSON. A value that JSON cannot express becomes null, so the
// result is always valid.
func appendValue(b []byte, v amf.Value) []byte {
	switch v := v.(type) {
	case amf.Number:
		return appendNumber(b, float64(v))
	case amf.Bool:
		return strconv.AppendBool(b, bool(v))
	case amf.String:
		return appendString(b, string(v))
	case amf.XML:
		return appendString(b, string(v))
	case amf.Object:
		return appendObject(b, "", v)
	case amf.ECMAArray:
		return appendObject(b, "", v)
	case *amf.TypedObject:
		if v == nil {
			return append(b, "null"...)
		}
		return appendObject(b, v.Class, v.Fields)
	case amf.StrictArray:
		return appendArray(b, v, appendValue)
	case amf.Date:
		b = append(b, `{"`+dateKey+`":`...)
		return append(appendNumber(b, v.Ms), '}')
	case amf.Raw:
		return appendRaw(b, v)
	}
	return appendValue3(b, v)
}

// appendValue3 appends the values that only AMF3 has.
func appendValue3(b []byte, v amf.Value) []byte {
	switch v := v.(type) {
	case amf.Bytes:
		b = append(b, `{"`+bytesKey+`":"`...)
		b = base64.StdEncoding.AppendEncode(b, v)
		return append(b, `"}`...)
	case amf.IntVector:
		return appendArray(b, v, func(b []byte, n int32) []byte { return strconv.AppendInt(b, int64(n), 10) })
	case amf.UintVector:
		return appendArray(b, v, func(b []byte, n uint32) []byte { return strconv.AppendUint(b, uint64(n), 10) })
	case amf.DoubleVector:
		return appendArray(b, v, appendNumber)
	case *amf.ObjectVector:
		if v != nil {
			return appendArray(b, v.Items, appendValue)
		}
	case amf.Dictionary:
		return appendDictionary(b, v)
	}
	return append(b, "null"...) // Null, Undefined, nil
}

func appendArray[E any](b []byte, items []E, one func([]byte, E) []byte) []byte {
	b = append(b, '[')
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, item)
	}
	return append(b, ']')
}

func appendObject(b []byte, class string, fields []amf.Field) []byte {
	b = append(b, '{')
	if class != "" {
		b = appendString(append(b, `"`+classKey+`":`...), class)
	}
	for i, f := range fields {
		if i > 0 || class != "" {
			b = append(b, ',')
		}
		b = append(appendString(b, f.Name), ':')
		b = appendValue(b, f.Value)
	}
	return append(b, '}')
}

// appendDictionary writes a dictionary as an object if its keys are strings, and
// otherwise as an array of pairs.
func appendDictionary(b []byte, d amf.Dictionary) []byte {
	fields := make([]amf.Field, 0, len(d))
	for _, e := range d {
		name, ok := e.Key.(amf.String)
		if !ok {
			return appendArray(b, d, func(b []byte, e amf.Entry) []byte {
				return appendArray(b, []amf.Value{e.Key, e.Value}, appendValue)
			})
		}
		fields = append(fields, amf.Field{Name: string(name), Value: e.Value})
	}
	return appendObject(b, "", fields)
}

func appendRaw(b []byte, raw amf.Raw) []byte {
	v, err := amf.Parse(raw)
	if _, nested := v.(amf.Raw); err != nil || nested {
		return append(b, "null"...)
	}
	return appendValue(b, v)
}

// appendNumber writes f as JavaScript would. Not-a-number and the infinities become
// null.
func appendNumber(b []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f), math.IsInf(f, 0):
		return append(b, "null"...)
	case f == math.Trunc(f) && abs < 1<<53 && (f != 0 || !math.Signbit(f)):
		return strconv.AppendInt(b, int64(f), 10)
	case abs != 0 && (abs < 1e-6 || abs >= 1e21):
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendString quotes s. Bytes that are not UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	plain := 0 // s[plain:i] needs no escape
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[plain:i]...), "\uFFFD"...)
				plain = i + 1
			}
			i += n
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			b = appendEscape(append(b, s[plain:i]...), c)
			plain = i + 1
		}
		i++
	}
	return append(append(b, s[plain:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

var (
	errDepth    = fmt.Errorf("web: nesting exceeds %d levels", amf.MaxDepth)
	errElements = fmt.Errorf("web: more than %d elements", amf.MaxElements)
	errShape    = errors.New("web: unexpected JSON")
)

// A valueReader reads the JSON of one frame token by token. So it keeps the order of
// members, and takes no memory beyond the limits.
type valueReader struct {
	dec      *json.Decoder
	elements int // read so far, in the whole frame
}

func newValueReader(text string) *valueReader {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber() // ids are returned as they came
	return &valueReader{dec: dec}
}

// value reads the next value, which is depth levels below the top of an argument.
func (r *valueReader) value(depth int) (amf.Value, error) {
	tok, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case nil:
		return amf.Null{}, nil
	case bool:
		return amf.Bool(tok), nil
	case string:
		return amf.String(tok), nil
	case json.Number:
		return number(tok), nil
	case json.Delim:
		switch {
		case depth >= amf.MaxDepth:
			return nil, errDepth
		case tok == '[':
			return r.array(depth + 1)
		case tok == '{':
			return r.object(depth + 1)
		}
	}
	return nil, errShape
}

// number converts n as JavaScript does: a number that is too large is infinite.
func number(n json.Number) amf.Number {
	f, _ := strconv.ParseFloat(string(n), 64)
	return amf.Number(f)
}

// array reads the elements of an array after its opening bracket.
func (r *valueReader) array(depth int) (amf.StrictArray, error) {
	items := amf.StrictArray{}
	err := r.each(func() error {
		v, err := r.value(depth)
		items = append(items, v)
		return err
	})
	return items, err
}

// object reads the members of an object after its opening brace.
func (r *valueReader) object(depth int) (amf.Value, error) {
	fields := amf.Object{}
	err := r.members(func(name string) error {
		v, err := r.value(depth)
		fields = append(fields, amf.Field{Name: name, Value: v})
		return err
	})
	if err != nil {
		return nil, err
	}
	return interpret(fields), nil
}

// each runs f before every element, and reads the closing bracket.
func (r *valueReader) each(f func() error) error {
	for r.dec.More() {
		if r.elements++; r.elements > amf.MaxElements {
			return errElements
		}
		if err := f(); err != nil {
			return err
		}
	}
	_, err := r.dec.Token()
	return err
}

// members runs f with the name of every member of an object; f reads the value.
func (r *valueReader) members(f func(name string) error) error {
	return r.each(func() error {
		name, err := token[string](r)
		if err != nil {
			return err
		}
		return f(name)
	})
}

// open reads the bracket or brace with which the next value must begin.
func (r *valueReader) open(want json.Delim) error {
	tok, err := r.dec.Token()
	if err == nil && tok != want {
		err = errShape
	}
	return err
}

// interpret returns the value for which an object stands: a date, bytes, a typed object,
// or the object itself.
func interpret(fields amf.Object) amf.Value {
	if len(fields) == 1 {
		switch v := fields[0].Value.(type) {
		case amf.Number:
			if fields[0].Name == dateKey {
				return amf.Date{Ms: float64(v)}
			}
		case amf.Null:
			if fields[0].Name == dateKey {
				return amf.Date{Ms: math.NaN()}
			}
		case amf.String:
			if raw, err := base64.StdEncoding.DecodeString(string(v)); err == nil && fields[0].Name == bytesKey {
				return amf.Bytes(raw)
			}
		}
	}
	for i, f := range fields {
		if class, ok := f.Value.(amf.String); ok && f.Name == classKey && class != "" {
			rest := append(fields[:i:i], fields[i+1:]...)
			return &amf.TypedObject{Class: string(class), Fields: rest}
		}
	}
	return fields
}
