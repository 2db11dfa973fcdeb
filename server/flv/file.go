package flv

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The parts of a file (FLV 10.1, Annex E).
const (
	FileHeaderSize = 9  // §E.2
	HeaderSize     = 11 // §E.4.1, in front of the payload
	BackSize       = 4  // PreviousTagSize behind it, and one behind the file's header: §E.3

	HasVideo, HasAudio = 1, 4 // flags of the file's header
)

const (
	// MaxPayload is the longest payload that is read: RTMP messages are no longer.
	MaxPayload = 4 << 20
	// MaxFileHeader is the longest header of a file. Nobody has put anything in
	// it since 2003.
	MaxFileHeader = 64
)

// Why a file is not FLV. Test with errors.Is.
var (
	// ErrNotFLV says that the file does not begin as an FLV file does.
	ErrNotFLV = errors.New("not an FLV file")
	// ErrBadTag says that a tag contradicts the format. The tags before it are good.
	ErrBadTag = errors.New("bad FLV tag")
)

// AppendFileHeader appends the beginning of a file.
func AppendFileHeader(b []byte, flags byte) []byte {
	return append(b, 'F', 'L', 'V', 1, flags, 0, 0, 0, FileHeaderSize, 0, 0, 0, 0)
}

// AppendTag appends a tag, and its size behind it. The upper eight bits of the
// time are its TimestampExtended.
func AppendTag(b []byte, media Media, time uint32, payload []byte) []byte {
	n := len(payload)
	b = append(b, byte(media), byte(n>>16), byte(n>>8), byte(n), byte(time>>16), byte(time>>8), byte(time), byte(time>>24), 0, 0, 0)
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, uint32(HeaderSize+n))
}

// A Header is in front of the payload of a tag in a file.
type Header struct {
	Media  Media // with the bit of encryption, 0x20, and reserved ones
	Size   int   // of the payload
	Time   uint32
	Stream uint32 // 0
}

// ParseHeader reads the first HeaderSize bytes of b.
func ParseHeader(b []byte) Header {
	return Header{Media(b[0]), int(uint24(b[1:])), uint24(b[4:]) | uint32(b[7])<<24, uint24(b[8:])}
}

// A Reader reads the tags of a file.
type Reader struct {
	r      *bufio.Reader
	strict bool
	offset int64
}

// NewReader reads the header of a file from anywhere, which may have been written
// carelessly, and whose last tag may be cut short: it ends before that one. The
// error is ErrNotFLV with a reason, or that of r.
func NewReader(r io.Reader) (*Reader, error) { return newReader(r, false) }

// NewStrictReader reads the header of a file that AppendFileHeader and AppendTag
// have written. Any byte that they would not have written is an error, and so is
// a last tag that is cut short, as by a crash: io.ErrUnexpectedEOF.
func NewStrictReader(r io.Reader) (*Reader, error) { return newReader(r, true) }

func newReader(r io.Reader, strict bool) (*Reader, error) {
	f := &Reader{r: bufio.NewReader(r), strict: strict}
	var h [FileHeaderSize]byte
	n, err := io.ReadFull(f.r, h[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(h[5:]))
	switch {
	case n == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrNotFLV)
	case n < len(h) || string(h[:3]) != "FLV":
		return nil, fmt.Errorf("%w%s", ErrNotFLV, looksLike(h[:n]))
	case h[3] != 1:
		return nil, fmt.Errorf("%w of version 1: its version is %d", ErrNotFLV, h[3])
	case size < FileHeaderSize || size > MaxFileHeader:
		return nil, fmt.Errorf("%w: its header has %d bytes", ErrNotFLV, size)
	}
	rest := make([]byte, size-FileHeaderSize+BackSize)
	n, err = io.ReadFull(f.r, rest)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if strict && (!bytes.Equal(rest[:n], make([]byte, BackSize)) || h[4]&^(HasAudio|HasVideo) != 0) {
		return nil, fmt.Errorf("%w of ours", ErrNotFLV)
	}
	f.offset = int64(FileHeaderSize + n)
	return f, nil
}

// looksLike says what a file may be that is no FLV.
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

// Next reads a tag. The error is io.EOF at the end, ErrBadTag with a reason, or
// that of the file's reader.
func (f *Reader) Next() (Header, []byte, error) {
	h, payload, n, err := f.read()
	if err == nil {
		f.offset += int64(n)
	}
	if !f.strict && err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return h, payload, err
}

// read reads a tag of n bytes.
func (f *Reader) read() (h Header, payload []byte, n int, err error) {
	var head [HeaderSize]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return h, nil, 0, err
	}
	h = ParseHeader(head[:])
	if err := f.check(h); err != nil {
		return h, nil, 0, err
	}
	// As many bytes as the header claims are taken as they come, not at once.
	var b bytes.Buffer
	if _, err := io.CopyN(&b, f.r, int64(h.Size)); err != nil {
		return h, nil, 0, unexpected(err)
	}
	// PreviousTagSize is wrong in many files, and missing at the end of some.
	var back [BackSize]byte
	n, err = io.ReadFull(f.r, back[:])
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		if f.strict {
			return h, nil, 0, io.ErrUnexpectedEOF
		}
	case err != nil:
		return h, nil, 0, err
	case f.strict && binary.BigEndian.Uint32(back[:]) != uint32(HeaderSize+h.Size):
		return h, nil, 0, fmt.Errorf("%w at byte %d: another size is behind it", ErrBadTag, f.offset)
	}
	return h, b.Bytes(), HeaderSize + h.Size + n, nil
}

// check reports why a tag cannot be read.
func (f *Reader) check(h Header) error {
	const encrypted = 0x20
	switch {
	case h.Media&encrypted != 0:
		return fmt.Errorf("%w at byte %d: it is encrypted", ErrBadTag, f.offset)
	case h.Media != Audio && h.Media != Video && h.Media != Script:
		return fmt.Errorf("%w at byte %d: its type is %d", ErrBadTag, f.offset, h.Media)
	case h.Size > MaxPayload:
		return fmt.Errorf("%w at byte %d: it has %d bytes, and servers take %d", ErrBadTag, f.offset, h.Size, MaxPayload)
	case f.strict && h.Stream != 0:
		return fmt.Errorf("%w at byte %d: its stream is %d", ErrBadTag, f.offset, h.Stream)
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Offset is where the last whole tag ends.
func (f *Reader) Offset() int64 { return f.offset }
