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

const (
	// MaxFLVWaiting is how many messages an FLV keeps until it begins.
	MaxFLVWaiting = 64
	// MaxFLVWaitingBytes is how many bytes of pictures and sound it keeps then,
	// but for the last one.
	MaxFLVWaitingBytes = 1 << 20
	// flvGather is how many milliseconds of one track are kept until the other
	// one comes, since the file says in front which tracks it has.
	flvGather = 500
	// Settle is how long no message has to come until an FLV is to be settled.
	Settle = 500 * time.Millisecond
)

// An FLV makes an FLV file of the messages of a stream. It begins with the
// metadata and the sequence headers, and the first picture or sound is at time 0.
// Time continues without a jump when another publisher follows. The zero value is
// for a stream that has no end.
type FLV struct {
	// File leaves room in the metadata for the duration and the size of a file,
	// which FinishFLV writes.
	File bool

	mender  mender
	begun   bool
	meta    []byte
	absent  [lanes]bool // says the metadata, if named
	named   bool
	flags   byte // which tracks have come
	waiting []mended
	bytes   int    // of the pictures and sound that wait
	frames  int    // how many
	since   uint32 // the timestamp of the first one
	clock   flv.Clock
}

// Append appends the bytes of m to b. Until it is known which tracks there are,
// and while a picture may not be whole, they wait: see Settle and End.
func (f *FLV) Append(b []byte, m rtmp.Message) []byte { return f.appendAll(b, f.mender.take(m)) }

// Settle appends what waits, because nothing has come for a while.
func (f *FLV) Settle(b []byte) []byte { return f.begin(f.appendAll(b, f.mender.settle())) }

// End appends what waits, because the publisher has gone.
func (f *FLV) End(b []byte) []byte { return f.begin(f.appendAll(b, f.mender.end())) }

// Waits reports whether something waits that Settle would append.
func (f *FLV) Waits() bool { return f.frames > 0 || f.mender.waits() }

// Gap says that messages are missing in front of the next one.
func (f *FLV) Gap() { f.mender.gap() }

func (f *FLV) appendAll(b []byte, list []mended) []byte {
	for _, m := range list {
		switch {
		case len(m.message.Payload) > flv.MaxPayload || m.message.Type == rtmp.TypeDataAMF3:
		case f.begun:
			b = f.write(b, m)
		default:
			b = f.wait(b, m)
		}
	}
	return b
}

// write appends a tag.
func (f *FLV) write(b []byte, m mended) []byte {
	at := f.clock.Now() // of data, for some encoders leave its time at 0
	switch {
	case m.message.Type != rtmp.TypeDataAMF0:
		at = max(0, f.clock.At(flv.Media(m.message.Type), m.message.Timestamp))
	case isMetadata(m.message):
		at = 0 // ffmpeg takes metadata of any other time for a subtitle
	}
	m.message.Timestamp = uint32(at)
	return appendMessage(b, m.message)
}

func isMetadata(m rtmp.Message) bool {
	return m.Type == rtmp.TypeDataAMF0 && bytes.HasPrefix(m.Payload, []byte(flv.OnMetaData))
}

// wait keeps a message until the file begins, which may be now.
func (f *FLV) wait(b []byte, m mended) []byte {
	frame := m.Kind == flv.CodedFrames
	switch {
	case isMetadata(m.message):
		f.meta = m.message.Payload
		f.absent, f.named = absentFrom(f.meta)
		return b
	case !frame && len(f.waiting) >= MaxFLVWaiting:
		return b
	case m.message.Type == rtmp.TypeVideo:
		f.flags |= flv.HasVideo
	case m.message.Type == rtmp.TypeAudio:
		f.flags |= flv.HasAudio
	}
	f.waiting = append(f.waiting, m)
	if frame {
		if f.frames == 0 {
			f.since = m.message.Timestamp
		}
		f.frames++
		f.bytes += len(m.message.Payload)
	}
	if f.ready(m.message.Timestamp) {
		return f.begin(b)
	}
	return b
}

// ready reports whether nothing is to be waited for, at a time of the stream.
func (f *FLV) ready(at uint32) bool {
	video := f.flags&flv.HasVideo != 0 || f.named && f.absent[videoLane]
	audio := f.flags&flv.HasAudio != 0 || f.named && f.absent[audioLane]
	return f.frames > 0 && video && audio || len(f.waiting) >= MaxFLVWaiting || f.bytes > MaxFLVWaitingBytes ||
		f.frames > 0 && int32(at-f.since) >= flvGather
}

// begin appends everything up to now, if there is a picture or sound.
func (f *FLV) begin(b []byte) []byte {
	if f.begun || f.frames == 0 {
		return b
	}
	f.begun = true
	b = flv.AppendFileHeader(b, f.flags)
	switch {
	case f.File:
		b = flv.AppendTag(b, flv.Script, 0, fileMetadata(f.meta))
	case f.meta != nil:
		b = flv.AppendTag(b, flv.Script, 0, f.meta)
	}
	inFront := true
	for _, m := range f.waiting {
		if inFront = inFront && m.Kind != flv.CodedFrames; inFront {
			m.message.Timestamp = 0
			b = appendMessage(b, m.message)
		} else {
			b = f.write(b, m)
		}
	}
	f.meta, f.waiting, f.frames = nil, nil, 0
	return b
}

func appendMessage(b []byte, m rtmp.Message) []byte {
	return flv.AppendTag(b, flv.Media(m.Type), m.Timestamp, m.Payload)
}

// Restart says that another publisher follows: its time continues where the last
// one's ended.
func (f *FLV) Restart() {
	f.mender.end()
	f.clock.Begin()
}

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
