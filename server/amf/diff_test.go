package amf_test

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"foyer/server/amf"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	amf0 "github.com/yutopp/go-amf0"
)

// toGoAMF0 returns v as go-amf0 represents it.
func toGoAMF0(v amf.Value) any {
	switch v := v.(type) {
	case amf.Number:
		return float64(v)
	case amf.Bool:
		return bool(v)
	case amf.String:
		return string(v)
	case amf.Object:
		m := make(map[string]any, len(v))
		for _, f := range v {
			m[f.Name] = toGoAMF0(f.Value)
		}
		return m
	case amf.ECMAArray:
		m := make(amf0.ECMAArray, len(v))
		for _, f := range v {
			m[f.Name] = toGoAMF0(f.Value)
		}
		return m
	case amf.StrictArray:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = toGoAMF0(item)
		}
		return items
	case amf.Date:
		return time.UnixMilli(int64(v.Ms)).UTC()
	}
	return nil
}

// known reports whether go-amf0 v0.1.1 can say v: it has no undefined, long
// string, XML or typed object, cuts the length of longer names, refuses names and strings that are not UTF-8,
// takes an empty name for the end, and loses one of two members of a name.
// Its dates are right to the second only. In an ECMA array it decodes every
// member into the same variable, so that only simple ones survive.
func known(v amf.Value) bool {
	switch v := v.(type) {
	case amf.Number, amf.Bool, amf.Null:
		return true
	case amf.String:
		return len(v) <= 65535 && utf8.ValidString(string(v))
	case amf.Date:
		return v.Zone == 0 && v.Ms == math.Trunc(v.Ms/1000)*1000 && math.Abs(v.Ms) < 1e12
	case amf.StrictArray:
		return !slices.ContainsFunc(v, func(item amf.Value) bool { return !known(item) })
	case amf.Object:
		return knownFields(v)
	case amf.ECMAArray:
		for _, f := range v {
			switch f.Value.(type) {
			case amf.Object, amf.ECMAArray, amf.StrictArray:
				return false
			}
		}
		return knownFields(v)
	}
	return false
}

func knownFields(fields []amf.Field) bool {
	seen := make(map[string]bool)
	for _, f := range fields {
		if f.Name == "" || len(f.Name) > 65535 || seen[f.Name] || !utf8.ValidString(f.Name) || !known(f.Value) {
			return false
		}
		seen[f.Name] = true
	}
	return true
}

// checkGoAMF0 lets each side read what the other wrote. go-amf0 only reads our
// own encoding of an accepted value, since a peer's bytes could overflow its
// stack.
func checkGoAMF0(t *testing.T, v amf.Value) {
	t.Helper()
	if !known(v) {
		return
	}
	want := toGoAMF0(v)
	var theirs any
	if err := amf0.NewDecoder(bytes.NewReader(amf.Append(nil, v))).Decode(&theirs); err != nil {
		t.Errorf("go-amf0 does not read what we wrote: %v: %#v", err, v)
	}
	if d := cmp.Diff(want, theirs, cmpopts.EquateNaNs()); d != "" {
		t.Errorf("go-amf0 reads what we wrote (-want +got):\n%s", d)
	}
	var buf bytes.Buffer
	if err := amf0.NewEncoder(&buf).Encode(want); err != nil {
		t.Fatal(err)
	}
	ours, err := amf.Parse(buf.Bytes())
	if err != nil {
		t.Fatalf("we do not read what go-amf0 wrote: %v: %#v", err, v)
	}
	if d := cmp.Diff(want, toGoAMF0(ours), cmpopts.EquateNaNs()); d != "" {
		t.Errorf("we read what go-amf0 wrote (-want +got):\n%s", d)
	}
}

func TestGoAMF0(t *testing.T) {
	checked := 0
	for _, r := range append([]row{{name: "report", value: report}}, table0...) {
		if known(r.value) {
			checked++
			t.Run(r.name, func(t *testing.T) { checkGoAMF0(t, r.value) })
		}
	}
	if checked < 15 {
		t.Errorf("only %d values were compared", checked)
	}
}

func FuzzGoAMF0(f *testing.F) {
	addSeeds(f, "", table0)
	f.Add(amf.Append(nil, report))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := amf.NewDecoder(b)
		for d.More() {
			v, err := d.Next()
			if err != nil {
				return
			}
			checkGoAMF0(t, v)
		}
	})
}
