package media

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// The parts of an FLV file (Adobe Flash Video File Format 10.1, Annex E).
const (
	flvHeaderSize = 9  // §E.2
	flvTagSize    = 11 // §E.4.1, in front of the body
	flvBackSize   = 4  // PreviousTagSize, §E.3

	flvHasVideo, flvHasAudio = 1, 4
)

const (
	// MaxFLVTag is how long the body of a tag may be that is read: as long as
	// the message it was.
	MaxFLVTag = rtmp.MaxMessage
	// MaxFLVWaiting is how many sequence headers and data messages an FLV keeps
	// until the first picture or sound.
	MaxFLVWaiting = 64
)

// Why reading an FLV file ended. Test with errors.Is.
var (
	// ErrNotFLV: it does not begin as an FLV file does.
	ErrNotFLV = errors.New("media: not an FLV file")
	// ErrBadTag: a tag contradicts the format. What came before it is good.
	ErrBadTag = errors.New("media: bad FLV tag")
)

// appendFLVHeader appends what a file begins with.
func appendFLVHeader(b []byte, flags byte) []byte {
	return append(b, 'F', 'L', 'V', 1, flags, 0, 0, 0, flvHeaderSize, 0, 0, 0, 0)
}

// AppendFLVTag appends a message as a tag, and the size of the tag behind it.
// The upper eight bits of the time are the tag's TimestampExtended.
func AppendFLVTag(b []byte, m rtmp.Message) []byte {
	n, t := len(m.Payload), m.Timestamp
	b = append(b, byte(m.Type), byte(n>>16), byte(n>>8), byte(n), byte(t>>16), byte(t>>8), byte(t), byte(t>>24), 0, 0, 0)
	b = append(b, m.Payload...)
	return binary.BigEndian.AppendUint32(b, uint32(flvTagSize+n))
}

// An FLV makes an FLV file of the messages of a stream. It begins with the
// first picture or sound, at time 0, behind the metadata and the sequence
// headers that came before; time goes on without a jump when the publisher is
// another. The zero value is for a stream that has no end.
type FLV struct {
	// File makes the metadata that of a file: it has room for the duration and
	// the size, which FinishFLV writes.
	File bool

	begun   bool
	meta    []byte
	waiting []rtmp.Message
	time    timeline
}

// Append appends the bytes of m to b. Until the first picture or sound there
// are none.
func (f *FLV) Append(b []byte, m rtmp.Message) []byte {
	frame, ok := parseFLV(m)
	isData := m.Type == rtmp.TypeDataAMF0
	switch {
	case !ok && !isData || len(m.Payload) > MaxFLVTag:
		return b
	case f.begun:
	case isData && strings.HasPrefix(string(m.Payload), onMetaData):
		f.meta = m.Payload
		return b
	case isData || frame.kind != flvCoded:
		if len(f.waiting) < MaxFLVWaiting {
			f.waiting = append(f.waiting, m)
		}
		return b
	default:
		b = f.begin(b, frame.video)
	}
	if isData {
		m.Timestamp = uint32(f.time.now()) // whose own some encoders leave at 0
	} else {
		m.Timestamp = uint32(f.time.at(m.Timestamp))
	}
	return AppendFLVTag(b, m)
}

// begin appends everything up to the first frame.
func (f *FLV) begin(b []byte, video bool) []byte {
	f.begun = true
	flags := byte(flvHasAudio)
	if video {
		flags = flvHasVideo
	}
	for _, m := range f.waiting {
		switch m.Type {
		case rtmp.TypeAudio:
			flags |= flvHasAudio
		case rtmp.TypeVideo:
			flags |= flvHasVideo
		}
	}
	b = appendFLVHeader(b, flags)
	switch {
	case f.File:
		b = AppendFLVTag(b, rtmp.Message{Type: rtmp.TypeDataAMF0, Payload: fileMetadata(f.meta)})
	case f.meta != nil:
		b = AppendFLVTag(b, rtmp.Message{Type: rtmp.TypeDataAMF0, Payload: f.meta})
	}
	for _, m := range f.waiting {
		m.Timestamp = 0
		b = AppendFLVTag(b, m)
	}
	f.meta, f.waiting = nil, nil
	return b
}

// Restart says that another publisher follows: its time goes on where the last
// one's ended.
func (f *FLV) Restart() { f.time.restart = true }

// Duration is the time of the last picture or sound.
func (f *FLV) Duration() time.Duration { return time.Duration(f.time.now()) * time.Millisecond }

const onMetaData = "\x02\x00\x0aonMetaData"

// Where FinishFLV writes: duration and filesize are the first two members of
// the metadata of a file, so their places are fixed.
const (
	flvDurationAt = flvHeaderSize + flvBackSize + flvTagSize + len(onMetaData) + 1 + 4 + 2 + len("duration") + 1
	flvFileSizeAt = flvDurationAt + 8 + 2 + len("filesize") + 1
)

// fileMetadata is the metadata of a file: that of the publisher with room for
// duration and size in front.
func fileMetadata(published []byte) []byte {
	all := amf.ECMAArray{{Name: "duration", Value: amf.Number(0)}, {Name: "filesize", Value: amf.Number(0)}}
	d := amf.NewDecoder(published)
	if _, err := d.Next(); err == nil {
		if v, err := d.Next(); err == nil {
			all = append(all, membersOf(v)...)
		}
	}
	return amf.Append([]byte(onMetaData), all)
}

// membersOf are the members of the publisher's metadata that hold for a file.
func membersOf(v amf.Value) (kept []amf.Field) {
	switch v := v.(type) {
	case amf.ECMAArray:
		kept = v
	case amf.Object:
		kept = v
	}
	return slices.DeleteFunc(slices.Clone(kept), func(f amf.Field) bool {
		switch f.Name {
		case "duration", "filesize", "fileSize", "keyframes", "lasttimestamp":
			return true
		}
		return false
	})
}

// FinishFLV writes duration and size into the metadata of a file that was made
// with FLV.File.
func FinishFLV(w io.WriterAt, duration time.Duration, size int64) error {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], math.Float64bits(duration.Seconds()))
	if _, err := w.WriteAt(b[:], int64(flvDurationAt)); err != nil {
		return err
	}
	binary.BigEndian.PutUint64(b[:], math.Float64bits(float64(size)))
	_, err := w.WriteAt(b[:], int64(flvFileSizeAt))
	return err
}

// flvFinished reads what FinishFLV wrote. A file that was not made with
// FLV.File is ErrNotFLV.
func flvFinished(r io.ReaderAt) (duration time.Duration, size int64, err error) {
	b := make([]byte, flvFileSizeAt+8)
	if _, err := r.ReadAt(b, 0); err != nil {
		return 0, 0, ErrNotFLV
	}
	const names = flvHeaderSize + flvBackSize + flvTagSize
	if string(b[:3]) != "FLV" || !strings.HasPrefix(string(b[names:]), onMetaData) ||
		string(b[flvDurationAt-9:flvDurationAt-1]) != "duration" || string(b[flvFileSizeAt-9:flvFileSizeAt-1]) != "filesize" {
		return 0, 0, ErrNotFLV
	}
	seconds := math.Float64frombits(binary.BigEndian.Uint64(b[flvDurationAt:]))
	bytes := math.Float64frombits(binary.BigEndian.Uint64(b[flvFileSizeAt:]))
	if !(seconds >= 0 && seconds < math.MaxUint32) || !(bytes >= 0 && bytes < 1<<60) {
		return 0, 0, nil
	}
	return time.Duration(seconds * float64(time.Second)), int64(bytes), nil
}

// An FLVReader reads the tags of an FLV file.
type FLVReader struct {
	r      *bufio.Reader
	offset int64
}

// NewFLVReader reads the header of a file. Its error is ErrNotFLV, or the reader's.
func NewFLVReader(r io.Reader) (*FLVReader, error) {
	f := &FLVReader{r: bufio.NewReader(r)}
	var h [flvHeaderSize + flvBackSize]byte
	if _, err := io.ReadFull(f.r, h[:]); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, ErrNotFLV
	} else if err != nil {
		return nil, err
	}
	if string(h[:4]) != "FLV\x01" || h[4]&^(flvHasAudio|flvHasVideo) != 0 ||
		binary.BigEndian.Uint32(h[5:]) != flvHeaderSize || binary.BigEndian.Uint32(h[flvHeaderSize:]) != 0 {
		return nil, ErrNotFLV
	}
	f.offset = int64(len(h))
	return f, nil
}

// Next reads a tag as the message it was. At the end its error is io.EOF, and
// io.ErrUnexpectedEOF when the last tag is not whole, as behind a crash. A tag
// that contradicts the format is ErrBadTag.
func (f *FLVReader) Next() (rtmp.Message, error) {
	var h [flvTagSize]byte
	if _, err := io.ReadFull(f.r, h[:]); err != nil {
		return rtmp.Message{}, err
	}
	m := rtmp.Message{
		Type:      rtmp.MessageType(h[0]),
		Timestamp: uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6]) | uint32(h[7])<<24,
	}
	n := int(h[1])<<16 | int(h[2])<<8 | int(h[3])
	switch {
	case m.Type != rtmp.TypeAudio && m.Type != rtmp.TypeVideo && m.Type != rtmp.TypeDataAMF0:
		return m, fmt.Errorf("%w: %v at byte %d", ErrBadTag, m.Type, f.offset)
	case n > MaxFLVTag:
		return m, fmt.Errorf("%w: %d bytes at byte %d", ErrBadTag, n, f.offset)
	case h[8]|h[9]|h[10] != 0:
		return m, fmt.Errorf("%w: stream at byte %d", ErrBadTag, f.offset)
	}
	b := make([]byte, n+flvBackSize)
	if _, err := io.ReadFull(f.r, b); err == io.EOF || err == io.ErrUnexpectedEOF {
		return m, io.ErrUnexpectedEOF
	} else if err != nil {
		return m, err
	}
	if binary.BigEndian.Uint32(b[n:]) != uint32(flvTagSize+n) {
		return m, fmt.Errorf("%w: size behind the tag at byte %d", ErrBadTag, f.offset)
	}
	m.Payload = b[:n:n]
	f.offset += int64(flvTagSize + len(b))
	return m, nil
}

// Offset is where the last whole tag ends.
func (f *FLVReader) Offset() int64 { return f.offset }
