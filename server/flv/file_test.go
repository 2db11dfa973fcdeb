package flv

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// file is an FLV file of payloads, sound if they look like it, 256 ms apart.
func file(payloads ...string) []byte {
	b := AppendFileHeader(nil, HasAudio|HasVideo)
	for i, p := range payloads {
		media := Video
		if p != "" && p[0]>>4 == 10 {
			media = Audio
		}
		b = AppendTag(b, media, 0xFE000000+uint32(i)<<8, []byte(p))
	}
	return b
}

// change is b with another byte.
func change(b []byte, at int, to byte) []byte {
	b = bytes.Clone(b)
	b[at] = to
	return b
}

// A file is read as it was written, and up to its last whole tag if it is cut.
func TestReader(t *testing.T) {
	payloads := []string{"\x17\x00\x00\x00\x00head", "\xaf\x00\x12\x10", "", "\x17\x01\x00\x00\x00" + strings.Repeat("x", 70_000)}
	whole := file(payloads...)
	for _, open := range []func(io.Reader) (*Reader, error){NewReader, NewStrictReader} {
		f, err := open(iotest.HalfReader(bytes.NewReader(whole)))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range payloads {
			h, payload, err := f.Next()
			if err != nil || string(payload) != want || h.Time != 0xFE000000+uint32(i)<<8 || h.Size != len(want) || (h.Media == Audio) != (i == 1) {
				t.Errorf("tag %d: %+v, %d bytes, %v", i, h, len(payload), err)
			}
		}
		if _, _, err := f.Next(); err != io.EOF || f.Offset() != int64(len(whole)) {
			t.Errorf("the end is %v at %d", err, f.Offset())
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	good := file("\x17\x01\x00\x00\x00key")
	for _, c := range []struct {
		name          string
		b             []byte
		loose, strict error // nil: the tag is read
		text          string
	}{
		{"nothing", nil, ErrNotFLV, ErrNotFLV, "not an FLV file: it is empty"},
		{"text", []byte("hello, this is text"), ErrNotFLV, ErrNotFLV, "not an FLV file"},
		{"half a header", good[:7], ErrNotFLV, ErrNotFLV, "not an FLV file"},
		{"MP4", []byte("\x00\x00\x00\x18ftypisom\x00\x00"), ErrNotFLV, ErrNotFLV, "not an FLV file but MP4"},
		{"Matroska", []byte("\x1A\x45\xDF\xA3xxxxxxxxx"), ErrNotFLV, ErrNotFLV, "not an FLV file but Matroska or WebM"},
		{"a transport stream", []byte("\x47\x40\x11\x10xxxxxxxx"), ErrNotFLV, ErrNotFLV, "not an FLV file but an MPEG transport stream, it seems"},
		{"version 2", change(good, 3, 2), ErrNotFLV, ErrNotFLV, "not an FLV file of version 1: its version is 2"},
		{"a shorter header", change(good, 8, 8), ErrNotFLV, ErrNotFLV, "not an FLV file: its header has 8 bytes"},
		{"MaxFileHeader and more", change(good, 8, MaxFileHeader+1), ErrNotFLV, ErrNotFLV, "not an FLV file: its header has 65 bytes"},
		{"a longer header", append(append(change(good[:9], 8, 10), 0), good[9:]...), nil, ErrNotFLV, "not an FLV file of ours"},
		{"other flags", change(good, 4, 0xFF), nil, ErrNotFLV, "not an FLV file of ours"},
		{"a size behind no tag", change(good, 12, 1), nil, ErrNotFLV, "not an FLV file of ours"},
		{"a header alone", good[:13], io.EOF, io.EOF, ""},
		{"a header without a size behind it", good[:9], io.EOF, ErrNotFLV, ""},
		{"a tag cut short", good[:20], io.EOF, io.ErrUnexpectedEOF, ""},
		{"a payload cut short", good[:28], io.EOF, io.ErrUnexpectedEOF, ""},
		{"no size behind it", good[:len(good)-4], nil, io.ErrUnexpectedEOF, ""},
		{"half a size behind it", good[:len(good)-2], nil, io.ErrUnexpectedEOF, ""},
		{"another size behind it", change(good, len(good)-1, 1), nil, ErrBadTag, "bad FLV tag at byte 13: another size is behind it"},
		{"an unknown type", change(good, 13, 7), ErrBadTag, ErrBadTag, "bad FLV tag at byte 13: its type is 7"},
		{"reserved bits", change(good, 13, 0x49), ErrBadTag, ErrBadTag, "bad FLV tag at byte 13: its type is 73"},
		{"an encrypted tag", change(good, 13, 9|0x20), ErrBadTag, ErrBadTag, "bad FLV tag at byte 13: it is encrypted"},
		{"a stream", change(good, 13+10, 1), nil, ErrBadTag, "bad FLV tag at byte 13: its stream is 1"},
		{"more than MaxPayload", change(change(good, 13+1, MaxPayload>>16), 13+3, 1), ErrBadTag, ErrBadTag, "bad FLV tag at byte 13: it has 4194305 bytes, and servers take 4194304"},
		{"MaxPayload", change(change(good, 13+1, MaxPayload>>16), 13+3, 0), io.EOF, io.ErrUnexpectedEOF, ""},
	} {
		first := func(open func(io.Reader) (*Reader, error)) error {
			f, err := open(bytes.NewReader(c.b))
			if err == nil {
				_, _, err = f.Next()
			}
			return err
		}
		loose, strict := first(NewReader), first(NewStrictReader)
		if !errors.Is(loose, c.loose) || !errors.Is(strict, c.strict) || c.text != "" && strict.Error() != c.text {
			t.Errorf("%s: %v and %v", c.name, loose, strict)
		}
	}
	broken := errors.New("broken")
	for _, at := range []int{0, 5, 11, 20, 28, len(good) - 2} {
		f, err := NewReader(io.MultiReader(bytes.NewReader(good[:at]), iotest.ErrReader(broken)))
		if err == nil {
			_, _, err = f.Next()
		}
		if err != broken {
			t.Errorf("broken at %d: %v", at, err)
		}
	}
}

// TestClaim: a header that claims MaxPayload takes no memory for what does not come.
func TestClaim(t *testing.T) {
	b := file("\x17")[:13+HeaderSize]
	b[13+1], b[13+3] = MaxPayload>>16, 0
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		f, err := NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Next(); err != io.EOF {
			t.Fatal(err)
		}
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > MaxPayload {
		t.Errorf("100 empty promises took %d bytes", after.TotalAlloc-before.TotalAlloc)
	}
}

// FuzzFile: a file that a strict reader takes is written again as the same
// bytes, and a reader of any file takes no fewer tags of it.
func FuzzFile(f *testing.F) {
	whole := file("\x17\x00\x00\x00\x00head", "\xaf\x01sound", "", "\x96\x11av01\x01\x00\x00\x09y")
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(change(whole, len(whole)-1, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		loose, err := NewReader(bytes.NewReader(b))
		strict, strictErr := NewStrictReader(bytes.NewReader(b))
		if err != nil && strictErr == nil {
			t.Fatalf("only the strict reader takes %x: %v", b, err)
		}
		if strictErr != nil {
			return
		}
		again := AppendFileHeader(nil, b[4])
		for {
			h, payload, err := strict.Next()
			other, same, looseErr := loose.Next()
			if err == nil && (looseErr != nil || h != other || !bytes.Equal(payload, same)) {
				t.Errorf("%x: %+v, %+v, %v", b, h, other, looseErr)
			}
			if err != nil {
				break
			}
			again = AppendTag(again, h.Media, h.Time, payload)
		}
		if n := strict.Offset(); n > int64(len(b)) || !bytes.Equal(again, b[:n]) {
			t.Errorf("read %x\nwrote %x", b, again)
		}
	})
}
