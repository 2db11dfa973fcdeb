package media

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"time"

	"foyer/server/amf"
	"foyer/server/flv"
	"foyer/server/rtmp"
)

// MaxFLVWaiting is how many sequence headers and data messages an FLV keeps
// until the first picture or sound.
const MaxFLVWaiting = 64

// An FLV makes an FLV file of the messages of a stream. It begins with the
// metadata and the sequence headers, and the first picture or sound is at time 0.
// Time continues without a jump when another publisher follows. The zero value is
// for a stream that has no end.
type FLV struct {
	// File leaves room in the metadata for the duration and the size of a file,
	// which FinishFLV writes.
	File bool

	begun   bool
	meta    []byte
	waiting []rtmp.Message
	clock   flv.Clock
}

// Append appends the bytes of m to b. Until the first picture or sound there
// are none.
func (f *FLV) Append(b []byte, m rtmp.Message) []byte {
	frame, ok := parse(m)
	isData := m.Type == rtmp.TypeDataAMF0
	switch {
	case !ok && !isData || len(m.Payload) > flv.MaxPayload:
		return b
	case f.begun:
	case isData && bytes.HasPrefix(m.Payload, []byte(flv.OnMetaData)):
		f.meta = m.Payload
		return b
	case isData || frame.Kind != flv.CodedFrames:
		if len(f.waiting) < MaxFLVWaiting {
			f.waiting = append(f.waiting, m)
		}
		return b
	default:
		b = f.begin(b, frame.picture())
	}
	at := f.clock.Now() // also of data, for some encoders leave its time at 0
	if !isData {
		at = max(0, f.clock.At(flv.Media(m.Type), m.Timestamp))
	}
	m.Timestamp = uint32(at)
	return appendMessage(b, m)
}

// begin appends everything up to the first frame.
func (f *FLV) begin(b []byte, video bool) []byte {
	f.begun = true
	flags := byte(flv.HasAudio)
	if video {
		flags = flv.HasVideo
	}
	for _, m := range f.waiting {
		switch m.Type {
		case rtmp.TypeAudio:
			flags |= flv.HasAudio
		case rtmp.TypeVideo:
			flags |= flv.HasVideo
		}
	}
	b = flv.AppendFileHeader(b, flags)
	switch {
	case f.File:
		b = flv.AppendTag(b, flv.Script, 0, fileMetadata(f.meta))
	case f.meta != nil:
		b = flv.AppendTag(b, flv.Script, 0, f.meta)
	}
	for _, m := range f.waiting {
		m.Timestamp = 0
		b = appendMessage(b, m)
	}
	f.meta, f.waiting = nil, nil
	return b
}

func appendMessage(b []byte, m rtmp.Message) []byte {
	return flv.AppendTag(b, flv.Media(m.Type), m.Timestamp, m.Payload)
}

// Restart says that another publisher follows: its time continues where the last
// one's ended.
func (f *FLV) Restart() { f.clock.Begin() }

// Duration is the time of the last picture or sound.
func (f *FLV) Duration() time.Duration { return time.Duration(f.clock.Now()) * time.Millisecond }

// Where FinishFLV writes: duration and filesize are the first two members of
// the metadata of a file, so their places are fixed.
const (
	flvMetaAt     = flv.FileHeaderSize + flv.BackSize + flv.HeaderSize
	flvDurationAt = flvMetaAt + len(flv.OnMetaData) + 1 + 4 + 2 + len("duration") + 1
	flvFileSizeAt = flvDurationAt + 8 + 2 + len("filesize") + 1
)

// fileMetadata is the publisher's metadata, with room for duration and size in
// front.
func fileMetadata(published []byte) []byte {
	all := amf.ECMAArray{{Name: "duration", Value: amf.Number(0)}, {Name: "filesize", Value: amf.Number(0)}}
	d := amf.NewDecoder(published)
	if _, err := d.Next(); err == nil {
		if v, err := d.Next(); err == nil {
			all = append(all, membersOf(v)...)
		}
	}
	return amf.Append([]byte(flv.OnMetaData), all)
}

// membersOf are the members of the publisher's metadata that are true of a file.
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
// FLV.File is flv.ErrNotFLV.
func flvFinished(r io.ReaderAt) (duration time.Duration, size int64, err error) {
	b := make([]byte, flvFileSizeAt+8)
	if _, err := r.ReadAt(b, 0); err != nil {
		return 0, 0, flv.ErrNotFLV
	}
	if string(b[:3]) != "FLV" || !bytes.HasPrefix(b[flvMetaAt:], []byte(flv.OnMetaData)) ||
		string(b[flvDurationAt-9:flvDurationAt-1]) != "duration" || string(b[flvFileSizeAt-9:flvFileSizeAt-1]) != "filesize" {
		return 0, 0, flv.ErrNotFLV
	}
	seconds := math.Float64frombits(binary.BigEndian.Uint64(b[flvDurationAt:]))
	length := math.Float64frombits(binary.BigEndian.Uint64(b[flvFileSizeAt:]))
	if !(seconds >= 0 && seconds < math.MaxUint32) || !(length >= 0 && length < 1<<60) {
		return 0, 0, nil
	}
	return time.Duration(seconds * float64(time.Second)), int64(length), nil
}

// An FLVReader reads the messages of a file that FLV has written.
type FLVReader struct{ tags *flv.Reader }

// NewFLVReader reads the header of a file. Its error is flv.ErrNotFLV, or the
// reader's.
func NewFLVReader(r io.Reader) (*FLVReader, error) {
	tags, err := flv.NewStrictReader(r)
	return &FLVReader{tags}, err
}

// Next reads a tag as the message that it was. At the end its error is io.EOF, or
// io.ErrUnexpectedEOF if a crash has cut off the last tag. A tag that contradicts
// the format is flv.ErrBadTag.
func (f *FLVReader) Next() (rtmp.Message, error) {
	h, payload, err := f.tags.Next()
	return rtmp.Message{Type: rtmp.MessageType(h.Media), Timestamp: h.Time, Payload: payload}, err
}

// Offset is where the last whole tag ends.
func (f *FLVReader) Offset() int64 { return f.tags.Offset() }
