package amf_test

import (
	"fmt"

	"foyer/server/amf"
)

func ExampleAppend() {
	b := amf.Append(nil, amf.String("onStatus"))
	b = amf.Append(b, amf.Number(0))
	b = amf.Append(b, amf.Null{})
	b = amf.Append(b, amf.Object{
		{Name: "level", Value: amf.String("status")},
		{Name: "code", Value: amf.String("NetStream.Play.Start")},
	})
	fmt.Printf("% x …", b[:20])
	// Output: 02 00 08 6f 6e 53 74 61 74 75 73 00 00 00 00 00 00 00 00 00 …
}

// Metadata of a stream is an ECMA array; the count is written, but nobody
// should rely on it.
func ExampleAppend_onMetaData() {
	b := amf.Append(nil, amf.ECMAArray{{Name: "width", Value: amf.Number(1280)}})
	fmt.Printf("% x", b)
	// Output: 08 00 00 00 01 00 05 77 69 64 74 68 00 40 94 00 00 00 00 00 00 00 00 09
}

func ExampleDecoder() {
	message := []byte("\x02\x00\x03say" + "\x00\x40\x00\x00\x00\x00\x00\x00\x00" + "\x05" + "\x02\x00\x02hi")
	d := amf.NewDecoder(message)
	for d.More() {
		v, err := d.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%T %v\n", v, v)
	}
	// Output:
	// amf.String say
	// amf.Number 2
	// amf.Null {}
	// amf.String hi
}

// A value that is only relayed need not be decoded.
func ExampleDecoder_NextRaw() {
	message := amf.Append(nil, amf.Object{{Name: "nick", Value: amf.String("ann")}})
	v, err := amf.NewDecoder(message).NextRaw()
	fmt.Printf("%T %v\n", v, err)
	fmt.Println(string(amf.Append(nil, v)) == string(message))
	fmt.Println(amf.Lookup(v, "nick"))
	// Output:
	// amf.Raw <nil>
	// true
	// ann
}

func ExampleArgs_Scan() {
	args := amf.Args{amf.String("ann"), amf.Number(60), amf.String("spam")}
	var nick, reason string
	var seconds int
	fmt.Println(args.Scan(&nick, &seconds, &reason), nick, seconds, reason)
	fmt.Println(args.Scan(&nick, &reason))
	fmt.Println(args[:1].Scan(&nick, &seconds))
	// Output:
	// <nil> ann 60 spam
	// argument 2: want a string, got a number
	// argument 2: missing, want a whole number
}

func ExampleParse3() {
	v, err := amf.Parse3([]byte{0x09, 0x05, 0x01, 0x06, 0x05, 'h', 'i', 0x06, 0x00})
	fmt.Println(v, err)
	_, err = amf.Parse3([]byte{0x0A, 0x07, 0x03, 'T'})
	fmt.Println(err)
	// Output:
	// [hi hi] <nil>
	// amf: byte 0: unknown or unsupported type: externalizable class "T"
}

func ExamplePlain() {
	v := amf.Object{
		{Name: "scores", Value: amf.IntVector{3, 1, 4}},
		{Name: "picture", Value: amf.Bytes{0xFF, 0xD8}},
	}
	fmt.Println(amf.Plain(v))
	// Output: [{scores [3 1 4]} {picture {}}]
}
