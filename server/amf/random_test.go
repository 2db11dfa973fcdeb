package amf_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"foyer/server/amf"
)

// TestRandomValues writes and reads values with every type in every place,
// which random bytes hardly ever have.
func TestRandomValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		want := random(r, 4)
		got, err := amf.Parse(amf.Append(nil, want))
		if d := diff(want, got); d != "" || err != nil {
			t.Fatalf("AMF0: %v (-want +got):\n%s", err, d)
		}
		got, err = amf.Parse3(amf.Append3(nil, want))
		if d := diff(want, got); d != "" || err != nil {
			t.Fatalf("AMF3: %v (-want +got):\n%s", err, d)
		}
		checkRaw(t, amf.Append(nil, want), want)
		checkPlain(t, amf.Append(nil, amf.Plain(want)))
	}
}

// random makes a value of at most depth levels.
func random(r *rand.Rand, depth int) amf.Value {
	if depth == 0 || r.IntN(3) == 0 {
		return randomLeaf(r)
	}
	items := make([]amf.Value, 2*r.IntN(3))
	for i := range items {
		items[i] = random(r, depth-1)
	}
	fields := make([]amf.Field, len(items))
	for i := range fields {
		fields[i] = amf.Field{Name: "m" + strconv.Itoa(r.IntN(5)), Value: items[i]}
	}
	switch r.IntN(6) {
	case 0:
		return amf.Object(fields)
	case 1: // an empty one has no AMF3 form of its own
		return amf.ECMAArray(append(fields, amf.Field{Name: "last", Value: randomLeaf(r)}))
	case 2:
		return &amf.TypedObject{Class: "T" + strconv.Itoa(r.IntN(3)), Fields: fields}
	case 3:
		return &amf.ObjectVector{Class: "T", Fixed: r.IntN(2) == 0, Items: items}
	case 4:
		d := make(amf.Dictionary, len(items)/2)
		for i := range d {
			d[i] = amf.Entry{Key: items[2*i], Value: items[2*i+1]}
		}
		return d
	}
	return amf.StrictArray(items)
}

func randomLeaf(r *rand.Rand) amf.Value {
	return []amf.Value{
		amf.Number(r.IntN(1<<30) - 1<<29),
		amf.Number(r.NormFloat64()),
		amf.Bool(r.IntN(2) == 0),
		amf.String(long[:r.IntN(400)]),
		amf.Null{},
		amf.Undefined{},
		amf.Date{Ms: r.Float64()},
		amf.XML(long[:r.IntN(5)]),
		amf.Bytes(long[:r.IntN(300)]),
		amf.IntVector{r.Int32(), -r.Int32()},
		amf.UintVector{r.Uint32()},
		amf.DoubleVector{r.Float64()},
	}[r.IntN(12)]
}
