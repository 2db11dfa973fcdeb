package amf_test

import (
	"testing"

	"foyer/server/amf"
)

// addSeeds adds the small rows of a table: big ones only slow the fuzzer down.
func addSeeds(f *testing.F, before string, table []row) {
	for _, r := range table {
		if b := append([]byte(before), r.data()...); len(b) < 1024 {
			f.Add(b)
		}
	}
}

func FuzzAMF0(f *testing.F) {
	addSeeds(f, "", table0)
	addSeeds(f, "\x11", table3)
	f.Add(amf.Append(nil, report))
	f.Add(laughs0(3))
	f.Add(laughs3(3))
	f.Fuzz(func(t *testing.T, b []byte) {
		args, err := amf.NewDecoder(b).Rest()
		raws := checkNextRaw(t, b, err)
		checkText(t, b)
		checkSalvage(t, b, args, err)
		checkCheck(t, b, err)
		if err != nil {
			return
		}
		var again, plain []byte
		for i, v := range args {
			again = amf.Append(again, v)
			plain = amf.Append(plain, amf.Plain(v))
			if d := diff(v, raws.At(i)); d != "" {
				t.Errorf("value %d taken raw (-decoded +raw):\n%s", i, d)
			}
			if _, err := amf.Parse3(amf.Append3(nil, v)); err != nil {
				t.Errorf("value %d in AMF3: %v", i, err)
			}
		}
		got, err := amf.NewDecoder(again).Rest()
		if err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if d := diff(args, got); d != "" {
			t.Errorf("after a round trip (-want +got):\n%s", d)
		}
		checkPlain(t, plain)
	})
}

// checkSalvage wants Salvage to return what Next does where that decodes, and
// something that decodes where it does not.
func checkSalvage(t *testing.T, b []byte, whole amf.Args, err error) {
	t.Helper()
	v, serr := amf.NewDecoder(b).Salvage()
	if err == nil && len(whole) > 0 {
		if d := diff(whole[0], v); d != "" || serr != nil {
			t.Fatalf("a whole value salvaged: %v, (-want +got)\n%s", serr, d)
		}
	}
	if serr != nil {
		return
	}
	if _, err := amf.Parse(amf.Append(nil, v)); err != nil {
		t.Fatalf("what was salvaged does not decode: %v", err)
	}
}

// checkCheck wants Check to accept exactly what Rest accepts.
func checkCheck(t *testing.T, b []byte, want error) {
	t.Helper()
	if _, err := amf.NewDecoder(b).Check(); (err == nil) != (want == nil) {
		t.Fatalf("Check: %v, Rest: %v", err, want)
	}
}

// checkText wants Text to return the strings that Next does, and an error for
// anything else.
func checkText(t *testing.T, b []byte) {
	t.Helper()
	next, text := amf.NewDecoder(b), amf.NewDecoder(b)
	for next.More() {
		v, want := next.Next()
		got, err := text.Text()
		name, ok := v.(amf.String)
		if got != string(name) || (err == nil) != ok {
			t.Fatalf("Text: %q, %v; Next: %#v, %v", got, err, v, want)
		}
		if !ok {
			return
		}
		if next.Offset() != text.Offset() {
			t.Fatalf("Text read up to byte %d, Next up to %d", text.Offset(), next.Offset())
		}
	}
}

// checkNextRaw wants NextRaw to accept exactly what Next accepts, and returns
// its values, decoded.
func checkNextRaw(t *testing.T, b []byte, want error) amf.Args {
	t.Helper()
	var args amf.Args
	var again []byte
	d := amf.NewDecoder(b)
	for d.More() {
		v, err := d.NextRaw()
		if err != nil {
			if want == nil || want.Error() != err.Error() {
				t.Errorf("NextRaw: %v, Next: %v", err, want)
			}
			return nil
		}
		again = amf.Append(again, v)
		if raw, ok := v.(amf.Raw); ok {
			v = raw.Value()
		}
		args = append(args, v)
	}
	if want != nil {
		t.Errorf("NextRaw accepts what Next refuses: %v", want)
	}
	got, err := amf.NewDecoder(again).Rest()
	if err != nil {
		t.Errorf("raw values do not decode elsewhere: %v", err)
	} else if d := diff(args, got); d != "" {
		t.Errorf("raw values elsewhere (-want +got):\n%s", d)
	}
	return args
}

// checkPlain wants b to decode, and to hold no AMF3.
func checkPlain(t *testing.T, b []byte) {
	t.Helper()
	d := amf.NewDecoder(b)
	for d.More() {
		v, err := d.NextRaw()
		if err != nil {
			t.Fatalf("plain: %v", err)
		}
		if _, ok := amf.Plain(v).(amf.Raw); !ok {
			t.Errorf("plain holds AMF3: %x", b)
		}
	}
}

func FuzzAMF3(f *testing.F) {
	addSeeds(f, "", table3)
	f.Add(amf.Append3(nil, report))
	f.Add(laughs3(3)[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := amf.Parse3(b)
		_, errRaw := amf.NewDecoder(append([]byte{0x11}, b...)).NextRaw()
		if err == nil && errRaw != nil {
			t.Errorf("NextRaw refuses what Parse3 accepts: %v", errRaw)
		}
		if err != nil {
			return
		}
		got, err := amf.Parse3(amf.Append3(nil, v))
		if err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if d := diff(v, got); d != "" {
			t.Errorf("after a round trip (-want +got):\n%s", d)
		}
		// AMF0 holds it as well.
		got, err = amf.Parse(amf.Append(nil, v))
		if err != nil {
			t.Fatalf("in AMF0: %v", err)
		}
		if d := diff(v, got); d != "" {
			t.Errorf("after AMF0 (-want +got):\n%s", d)
		}
		checkPlain(t, amf.Append(nil, amf.Plain(v)))
	})
}
