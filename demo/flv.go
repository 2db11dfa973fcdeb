package demo

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxTag bounds a tag's data: servers take no greater messages.
const maxTag = 4 << 20

// maxFLVHeader bounds the header: nobody has put anything in it since 2003.
const maxFLVHeader = 64

// Types of FLV tags, which are RTMP's types of messages too.
const (
	tagAudio  = 8
	tagVideo  = 9
	tagScript = 18
)

// A tag is one of an FLV file (Video File Format Specification 10.1 §E.4.1).
type tag struct {
	kind byte
	raw  uint32 // its timestamp in the file, in ms
	time int64  // where it is on the timeline of a loop, in ms
	data []byte // never empty
}

// A formatError says what is wrong with a file.
type formatError struct{ reason string }

func (e *formatError) Error() string { return e.reason }

func formatErrorf(format string, args ...any) error {
	return &formatError{fmt.Sprintf(format, args...)}
}

// A flvReader reads the tags of an FLV file.
type flvReader struct {
	r      *bufio.Reader
	offset int64 // of the next byte
}

// newFLVReader reads the header. What is no FLV is a *formatError.
func newFLVReader(r io.Reader) (*flvReader, error) {
	f := &flvReader{r: bufio.NewReader(r)}
	var h [9]byte
	n, err := io.ReadFull(f.r, h[:])
	switch {
	case errors.Is(err, io.EOF) && n == 0:
		return nil, formatErrorf("the file is empty")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case err != nil || string(h[:3]) != "FLV":
		return nil, formatErrorf("not an FLV file%s: make one with 'ffmpeg -i IN -c copy OUT.flv'", looksLike(h[:n]))
	case h[3] != 1:
		return nil, formatErrorf("FLV version %d is unknown", h[3])
	}
	size := binary.BigEndian.Uint32(h[5:])
	if size < 9 || size > maxFLVHeader {
		return nil, formatErrorf("an FLV header of %d bytes", size)
	}
	skip, err := f.r.Discard(int(size) - 9 + 4) // and PreviousTagSize0
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	f.offset = int64(9 + skip)
	return f, nil
}

// looksLike says what a file that is no FLV may be.
func looksLike(head []byte) string {
	switch {
	case len(head) >= 8 && string(head[4:8]) == "ftyp":
		return " but MP4"
	case bytes.HasPrefix(head, []byte{0x1A, 0x45, 0xDF, 0xA3}):
		return " but Matroska or WebM"
	case bytes.HasPrefix(head, []byte{0x47}):
		return " but an MPEG transport stream, it seems"
	}
	return ""
}

// next returns the next tag that has data. A tag that the end of the file cuts
// off is not returned: a recording that was interrupted ends before it. The
// error is io.EOF at the end, a *formatError for what is no tag.
func (f *flvReader) next() (tag, error) {
	for {
		t, err := f.read()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if err != nil || len(t.data) > 0 {
			return t, err
		}
	}
}

// read returns the next tag, with data or without.
func (f *flvReader) read() (tag, error) {
	var h [11]byte
	if _, err := io.ReadFull(f.r, h[:]); err != nil {
		return tag{}, err
	}
	size := int(h[1])<<16 | int(h[2])<<8 | int(h[3])
	t := tag{kind: h[0] & 0x1F, raw: uint32(h[7])<<24 | uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6])}
	switch {
	case h[0]&0x20 != 0:
		return tag{}, formatErrorf("the tag at byte %d is encrypted", f.offset)
	case h[0]&0xC0 != 0 || t.kind != tagAudio && t.kind != tagVideo && t.kind != tagScript:
		return tag{}, formatErrorf("no FLV tag at byte %d: type %d", f.offset, h[0])
	case size > maxTag:
		return tag{}, formatErrorf("the tag at byte %d has %d bytes, more than the %d that servers take", f.offset, size, maxTag)
	}
	// What the length claims is taken as it comes, not at once.
	var b bytes.Buffer
	if _, err := io.CopyN(&b, f.r, int64(size)); err != nil {
		return tag{}, unexpected(err)
	}
	t.data = b.Bytes()
	// PreviousTagSize is wrong in many files, and missing at the end of some.
	n, err := f.r.Discard(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return tag{}, err
	}
	f.offset += int64(len(h) + size + n)
	return t, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// role is what a tag is for.
type role uint8

const (
	frame    role = iota
	keyFrame      // a picture that needs no other, or sound
	header        // metadata, or what a decoder must know first
	ending        // says that nothing follows, which is not so in a loop
	aside         // data of another kind, such as a cue point
)

// roleOf says what a tag is for (§E.4.2.1, §E.4.3.1, and Enhanced RTMP, whose
// packet types are 0 for the sequence header, 2 for the end).
func roleOf(t tag) role {
	b0, b1 := t.data[0], byte(1)
	if len(t.data) > 1 {
		b1 = t.data[1]
	}
	packet := byte(1)
	switch {
	case t.kind == tagScript && isMetadata(t.data):
		return header
	case t.kind == tagScript:
		return aside
	case t.kind == tagAudio && b0>>4 == 10: // AAC
		packet = b1
	case t.kind == tagAudio && b0>>4 == 9, t.kind == tagVideo && b0&0x80 != 0: // Enhanced RTMP
		packet = b0 & 0x0F
	case t.kind == tagVideo && (b0&0x0F == 7 || b0&0x0F == 12): // H.264, H.265
		packet = b1
	}
	switch {
	case packet == 0:
		return header
	case packet == 2 && t.kind == tagVideo:
		return ending
	case t.kind == tagAudio || b0>>4&7 == 1:
		return keyFrame
	}
	return frame
}

// isMetadata reports whether a script tag is onMetaData, as most files have it
// or as RTMP publishers send it (§E.5).
func isMetadata(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\x02\x00\x0AonMetaData")) || bytes.HasPrefix(data, []byte("\x02\x00\x0D@setDataFrame"))
}

// codecOf names the codec of a tag with sound or pictures. unplayable is set
// for those that no browser plays.
func codecOf(t tag) (name string, unplayable bool) {
	b0 := t.data[0]
	fourCC := func() string {
		if len(t.data) < 5 {
			return "unknown"
		}
		return fmt.Sprintf("%q", t.data[1:5])
	}
	names, id := videoCodecs, b0&0x0F
	switch {
	case t.kind == tagVideo && b0&0x80 != 0, t.kind == tagAudio && b0>>4 == 9:
		return fourCC(), false
	case t.kind == tagAudio:
		names, id = audioCodecs, b0>>4
	}
	name = names[id]
	if name == "" {
		name = fmt.Sprintf("codec %d", id)
	}
	return name, !playable[name]
}

var (
	videoCodecs = map[byte]string{2: "Sorenson H.263", 3: "Screen Video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen Video 2", 7: "H.264", 12: "H.265"}
	audioCodecs = map[byte]string{0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser", 7: "G.711 A-law", 8: "G.711 mu-law", 10: "AAC", 11: "Speex", 14: "MP3"}
	playable    = map[string]bool{"H.264": true, "H.265": true, "AAC": true, "MP3": true}
)
