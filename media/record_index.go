package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/Eyevinn/mp4ff/mp4"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

const (
	// MaxIndexed is how many frames of a recording its MP4 has at most: about 8
	// hours.
	MaxIndexed = 2 << 20

	indexWindow = 4 << 10 // what is read at once
	indexPeek   = 64      // of a frame, to see what it is
)

// ErrNoFrames says that there is nothing in a recording that MP4 has a place for.
var ErrNoFrames = errors.New("media: no frames to show")

// An MP4 is a recording as a file that a video element can play and seek in. It
// is a list of the places of all frames, followed by the unchanged FLV file: to MP4
// that is media data, most of which is used. So nothing is copied.
type MP4 struct {
	head []byte
	size int64 // of the FLV file
}

// IndexFLV reads an FLV file as far as it is whole, but little more of it than the
// heads of its tags. A change of codecs ends the MP4.
func IndexFLV(f io.ReaderAt, size int64) (*MP4, error) { return indexFLV(f, size, MaxIndexed) }

func indexFLV(f io.ReaderAt, size int64, most int) (*MP4, error) {
	x := &indexer{file: window{from: f, size: size}, most: most}
	if _, err := NewFLVReader(io.NewSectionReader(f, 0, size)); err != nil {
		return nil, err
	}
	for at := int64(flv.FileHeaderSize + flv.BackSize); !x.over; {
		next, err := x.tag(at)
		if err == io.EOF || errors.Is(err, flv.ErrBadTag) {
			break
		} else if err != nil {
			return nil, err
		}
		at = next
	}
	head, err := x.head()
	if err != nil {
		return nil, err
	}
	return &MP4{head: head, size: size}, nil
}

// Size is how many bytes of memory it takes.
func (m *MP4) Size() int { return len(m.head) }

// Reader reads the MP4, given the file that it was made of.
func (m *MP4) Reader(f io.ReaderAt) io.ReadSeeker {
	return io.NewSectionReader(behind{m.head, f}, 0, int64(len(m.head))+m.size)
}

// behind is a file with something in front.
type behind struct {
	head []byte
	file io.ReaderAt
}

// ReadAt implements [io.ReaderAt].
func (b behind) ReadAt(p []byte, at int64) (n int, err error) {
	if at < int64(len(b.head)) {
		n = copy(p, b.head[at:])
		if n == len(p) {
			return n, nil
		}
		at = int64(len(b.head))
	}
	rest, err := b.file.ReadAt(p[n:], at-int64(len(b.head)))
	return n + rest, err
}

// A window reads a file by pieces.
type window struct {
	from io.ReaderAt
	size int64
	at   int64
	data []byte
}

// peek returns n bytes, which are valid until the next call. Its error is io.EOF
// if the file has fewer.
func (w *window) peek(at int64, n int) ([]byte, error) {
	if at < 0 || at+int64(n) > w.size {
		return nil, io.EOF
	}
	if from := at - w.at; from >= 0 && from+int64(n) <= int64(len(w.data)) {
		return w.data[from:][:n:n], nil
	}
	want := int(min(max(indexWindow, int64(n)), w.size-at))
	if cap(w.data) < want {
		w.data = make([]byte, want)
	}
	w.data, w.at = w.data[:want], at
	if read, err := w.from.ReadAt(w.data, at); err != nil && read < n {
		w.data = nil
		return nil, err
	}
	return w.data[:n:n], nil
}

// An indexer makes the list of frames.
type indexer struct {
	file   window
	most   int // frames
	clock  flv.Clock
	tracks [lanes]indexTrack
	frames int
	over   bool
}

// An indexTrack is one lane of it. Its frames are in columns, as in the file.
type indexTrack struct {
	track
	at        []uint64 // in the FLV file
	sizes     []uint32
	durations runs[uint32]
	offsets   runs[int32] // presentation minus decoding time
	lost      bool        // a frame is missing, so the next has to be a key frame
	keys      []uint32    // numbers from 1
	first     int64
	before    *sample // the last one, whose duration is not known yet
}

// runs is a list in which the same value often follows itself.
type runs[T comparable] struct {
	counts []uint32
	values []T
}

func (r *runs[T]) add(v T) {
	if n := len(r.values); n > 0 && r.values[n-1] == v {
		r.counts[n-1]++
		return
	}
	r.counts, r.values = append(r.counts, 1), append(r.values, v)
}

// tag takes the tag at a place and returns where the next one is.
func (x *indexer) tag(at int64) (next int64, err error) {
	b, err := x.file.peek(at, flv.HeaderSize)
	if err != nil {
		return 0, err
	}
	h := flv.ParseHeader(b)
	n := h.Size
	at += flv.HeaderSize
	if next = at + int64(n) + flv.BackSize; next > x.file.size {
		return 0, io.EOF
	}
	m := rtmp.Message{Type: rtmp.MessageType(h.Media), Timestamp: h.Time}
	if m.Payload, err = x.file.peek(at, min(n, indexPeek)); err != nil {
		return 0, err
	}
	t, _ := parse(m)
	if n > indexPeek && x.curious(t) {
		if m.Payload, err = x.file.peek(at, n); err != nil {
			return 0, err
		}
		t, _ = parse(m)
	}
	switch t.Kind {
	case flv.SequenceStart:
		x.configure(t)
	case flv.CodedFrames:
		if err := x.frame(t, m.Timestamp, at+int64(t.At), len(t.Body)+n-len(m.Payload)); err != nil {
			return 0, err
		}
	}
	end, err := x.file.peek(next-flv.BackSize, flv.BackSize)
	if err == nil && binary.BigEndian.Uint32(end) != uint32(flv.HeaderSize+n) {
		err = fmt.Errorf("%w at byte %d", flv.ErrBadTag, at-flv.HeaderSize)
	}
	return next, err
}

// curious reports whether all of a tag has to be read: a configuration, one of
// several tracks, or a key frame that may tell the size of the picture.
func (x *indexer) curious(t tag) bool {
	c := x.tracks[videoLane].codec
	return t.Kind != flv.CodedFrames || t.picture() && t.Key && c != nil && !c.size.ok()
}

// configure takes a sequence header. A different one behind the first frame ends
// the file.
func (x *indexer) configure(t tag) {
	tr := &x.tracks[t.lane]
	if tr.codec.same(t.Codec, t.Body) {
		return
	}
	c, err := newCodec(t.Codec, t.Body)
	if err != nil || tr.codec.same(c.fourCC, c.record) {
		return
	}
	x.over = len(tr.at) > 0
	if !x.over {
		tr.codec = c
	}
}

// frame takes a frame of n bytes at a place of the file, if it can be decoded.
func (x *indexer) frame(t tag, timestamp uint32, from int64, n int) error {
	tr := &x.tracks[t.lane]
	at := max(0, x.clock.At(t.Media, timestamp))
	c := tr.codec
	if c == nil || c.fourCC != t.Codec || n == 0 {
		return nil
	}
	if t.lane == videoLane && t.Key {
		c.measure(t.Body)
	}
	if t.lane == videoLane && (!c.size.ok() || !t.Key && (tr.lost || len(tr.at) == 0)) {
		return nil
	}
	s := tr.place(frame{t, at}) // before the window moves, because Opus tells its duration
	s.data = nil
	if picture, whole, err := x.look(c, from, n); err != nil {
		return err
	} else if !picture || !whole {
		tr.lost = tr.lost || !whole
		return nil
	}
	tr.lost = false
	tr.add(s, from, n)
	x.frames++
	x.over = x.frames >= x.most
	return nil
}

func (t *indexTrack) add(s *sample, from int64, n int) {
	if t.before == nil {
		t.first = s.dts
	} else {
		t.durations.add(uint32(s.dts - t.before.dts))
	}
	t.before = s
	t.at, t.sizes = append(t.at, uint64(from)), append(t.sizes, uint32(n))
	t.offsets.add(s.cts)
	if s.key {
		t.keys = append(t.keys, uint32(len(t.at)))
	}
}

// look reports whether a frame in the file has a slice, or is made of something
// other than NAL units, and whether it consists of those, each behind its length, and
// of nothing else. A browser stops playing at any other frame; FLV has written none
// since it puts access units together.
func (x *indexer) look(c *codec, at int64, n int) (picture, whole bool, err error) {
	const head = 3 // of a slice, to see that it is one
	size := c.prefix
	if size == 0 {
		return true, true, nil
	}
	for end := at + int64(n); at < end; {
		if at+int64(size) > end {
			return false, false, nil
		}
		b, err := x.file.peek(at, size)
		if err != nil {
			return false, false, err
		}
		length := int64(0)
		for _, c := range b {
			length = length<<8 | int64(c)
		}
		if at += int64(size); at+length > end {
			return false, false, nil
		}
		if b, err = x.file.peek(at, int(min(length, head))); err != nil {
			return false, false, err
		}
		role, _ := c.fourCC.Role(b)
		picture = picture || role == flv.Begin || role == flv.More
		at += length
	}
	return picture, true, nil
}

// mdatHeader is how long the head of an mdat is whose size has 64 bits.
const mdatHeader = 16

// head is all that is in front of the FLV file (ISO/IEC 14496-12 §8).
func (x *indexer) head() ([]byte, error) {
	init := mp4.NewMP4Init()
	init.AddChild(mp4.CreateFtyp())
	moov := mp4.NewMoovBox()
	init.AddChild(moov)
	mvhd := mp4.CreateMvhd()
	mvhd.Timescale = videoScale
	moov.AddChild(mvhd)
	for l := range x.tracks {
		if t := &x.tracks[l]; len(t.at) > 0 {
			trak, end, err := t.box(lane(l))
			if err != nil {
				return nil, err
			}
			moov.AddChild(trak)
			mvhd.NextTrackID, mvhd.Duration = trackID(lane(l))+1, max(mvhd.Duration, uint64(end))
		}
	}
	if x.frames == 0 {
		return nil, ErrNoFrames
	}
	size := init.Size() + mdatHeader
	for _, trak := range moov.Traks {
		for i := range trak.Mdia.Minf.Stbl.Co64.ChunkOffset {
			trak.Mdia.Minf.Stbl.Co64.ChunkOffset[i] += size
		}
	}
	b, err := encoded(init)
	if err != nil {
		return nil, err
	}
	b = append(b, 0, 0, 0, 1, 'm', 'd', 'a', 't')
	return binary.BigEndian.AppendUint64(b, uint64(x.file.size)+mdatHeader), nil
}

// box is the track with its list, and when it ends, in ms.
func (t *indexTrack) box(l lane) (trak *mp4.TrakBox, end int64, err error) {
	scale := int64(t.codec.timescale)
	t.durations.add(max(t.before.dur, uint32(usualFrame*scale/1000)))
	kind := "video"
	if l == audioLane {
		kind = "audio"
	}
	trak = mp4.CreateEmptyTrak(trackID(l), t.codec.timescale, kind, "und")
	stbl := trak.Mdia.Minf.Stbl
	stbl.Stsd.AddChild(t.codec.entry(trak))
	stbl.Children = stbl.Children[:1] // without the empty lists
	stbl.AddChild(&mp4.SttsBox{SampleCount: t.durations.counts, SampleTimeDelta: t.durations.values})
	if len(t.offsets.values) > 1 || t.offsets.values[0] != 0 {
		ctts := &mp4.CttsBox{Version: 1}
		if err := ctts.AddSampleCountsAndOffset(t.offsets.counts, t.offsets.values); err != nil {
			return nil, 0, err
		}
		stbl.AddChild(ctts)
	}
	stsc := &mp4.StscBox{}
	if err := stsc.AddEntry(1, 1, 1); err != nil {
		return nil, 0, err
	}
	stbl.AddChild(stsc)
	stbl.AddChild(&mp4.StszBox{SampleNumber: uint32(len(t.sizes)), SampleSize: t.sizes})
	if l == videoLane {
		stbl.AddChild(&mp4.StssBox{SampleNumber: t.keys})
	}
	stbl.AddChild(&mp4.Co64Box{ChunkOffset: t.at})
	lasts := t.before.dts + int64(t.durations.values[len(t.durations.values)-1]) - t.first
	begins := t.first * videoScale / scale
	if trak.Mdia.Mdhd.Duration = uint64(lasts); lasts > math.MaxUint32 {
		trak.Mdia.Mdhd.Version = 1
	}
	end = begins + lasts*videoScale/scale
	trak.Tkhd.Duration = uint64(end)
	if begins > 0 { // an empty edit: the track begins later
		edts := &mp4.EdtsBox{}
		elst := &mp4.ElstBox{Entries: []mp4.ElstEntry{
			{SegmentDuration: uint64(begins), MediaTime: -1, MediaRateInteger: 1},
			{SegmentDuration: uint64(end - begins), MediaTime: 0, MediaRateInteger: 1},
		}}
		edts.Elst, edts.Children = []*mp4.ElstBox{elst}, []mp4.Box{elst}
		trak.AddChild(edts)
	}
	return trak, end, nil
}
