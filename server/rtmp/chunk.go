package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxHeader is the longest chunk header: basic header, message header of
// type 0, extended timestamp.
const maxHeader = 3 + 11 + 4

// initialChunkSize is each direction's chunk size until Set Chunk Size.
const initialChunkSize = 128

// chunkReader puts messages together from chunks (RTMP 1.0 §5.3). It does no
// I/O: next is given bytes, in pieces of any size. Memory is allocated as bytes
// arrive, so a message that only claims to be long costs nothing.
type chunkReader struct {
	size    int           // the peer's chunk size
	streams []chunkStream // in order of appearance
	cur     int           // index of the chunk stream being read
	evict   int           // index of the chunk stream that was replaced last
	left    int           // bytes of its payload still to come
	taken   int           // capacity of all unfinished payloads
	offset  uint64        // bytes read so far

	inChunk   bool  // the header of the chunk has been read
	trust     trust // which limits hold
	begun     uint8 // how many messages are unfinished, at most MaxChunkStreams
	published int8  // of the peer's message streams, at most MaxStreams
}

// chunkStream keeps the fields that later headers of a chunk stream leave out.
type chunkStream struct {
	id        uint32
	timestamp uint32 // of the message being read, or the last one
	delta     uint32 // repeated by a type 3 header that begins a message
	length    uint32
	streamID  uint32
	grown     uint32 // length of the payload at its last progress
	since     uint32 // when that was, in ms of the connection; 0: not looked at yet
	typ       MessageType
	extended  bool // the last type 0, 1 or 2 header had an extended timestamp
	begun     bool // a message is being read
	payload   []byte
}

// next reads from b until a message is complete (ok) or b is used up, and
// returns how many bytes it used. When it has used less than b without
// completing a message, the rest, at most maxHeader bytes, is the beginning of
// a header: it must be passed again, followed by more.
func (r *chunkReader) next(b []byte) (n int, m Message, ok bool, err error) {
	for {
		if !r.inChunk {
			h, err := r.header(b[n:])
			if err != nil || h == 0 {
				return n, m, false, err
			}
			n += h
			r.offset += uint64(h)
		}
		k := min(r.left, len(b)-n)
		if err := r.take(b[n:n+k], len(b)-n); err != nil {
			return n, m, false, err
		}
		n += k
		r.left -= k
		r.offset += uint64(k)
		if r.left > 0 {
			return n, m, false, nil
		}
		r.inChunk = false
		if st := &r.streams[r.cur]; len(st.payload) == int(st.length) {
			m = Message{Type: st.typ, StreamID: st.streamID, Timestamp: st.timestamp, Payload: st.payload}
			r.drop(st)
			return n, m, true, nil
		}
	}
}

// take appends p to the payload being read. atHand is how many bytes have
// arrived; take makes room for all of them at once.
func (r *chunkReader) take(p []byte, atHand int) error {
	st := &r.streams[r.cur]
	if need := len(st.payload) + len(p); need > cap(st.payload) {
		size := min(int(st.length), max(2*cap(st.payload), len(st.payload)+atHand))
		if most := r.trust.partial(); r.taken+size-cap(st.payload) > most {
			return r.errorf("%w: unfinished ones exceed %d bytes together", ErrMessageSize, most)
		}
		r.taken += size - cap(st.payload)
		grown := make([]byte, len(st.payload), size)
		copy(grown, st.payload)
		st.payload = grown
	}
	st.payload = append(st.payload, p...)
	return nil
}

// drop forgets the payload of st.
func (r *chunkReader) drop(st *chunkStream) {
	r.taken -= cap(st.payload)
	if st.begun {
		r.begun--
	}
	st.payload, st.begun, st.since = nil, false, 0
}

// stalled returns since when, in ms of the connection, an unfinished message
// has made no progress: the one that has waited longest. It is called when
// nothing is left to read, at the time now, after the peer was held back for so
// many ms.
func (r *chunkReader) stalled(now, held uint32) uint32 {
	var longest uint32
	for i := range r.streams {
		st := &r.streams[i]
		if !st.begun {
			continue
		}
		if st.since += held; st.since == held || st.grew() {
			st.since, st.grown = now, uint32(len(st.payload))
		}
		longest = max(longest, now-st.since)
	}
	return now - longest
}

// grew reports whether an unfinished message has made progress. One byte is
// enough for a short message, but a drip of bytes does not hold memory for
// long.
func (st *chunkStream) grew() bool {
	n := uint32(len(st.payload))
	return n > st.grown && n-st.grown >= st.grown/minProgress
}

// abort drops the unfinished message of a chunk stream (RTMP 1.0 §5.4.2).
func (r *chunkReader) abort(id uint32) {
	if i := r.find(id); i >= 0 {
		r.drop(&r.streams[i])
	}
}

// setSize applies Set Chunk Size (RTMP 1.0 §5.4.1).
func (r *chunkReader) setSize(n uint32) error {
	if n == 0 || n > 0x7FFFFFFF {
		return r.errorf("chunk size %#x", n)
	}
	r.size = int(min(n, MaxChunkSize))
	return nil
}

var (
	errFormat = errors.New("new message before the end of the last one on its chunk stream")
	errFirst  = errors.New("chunk stream begins with a header that refers to an earlier one")
)

// header reads the chunk header at the beginning of h and reports how long it
// is: 0 when more bytes are needed.
func (r *chunkReader) header(h []byte) (int, error) {
	id, n := basicHeader(h)
	if n == 0 {
		return 0, nil
	}
	format := h[0] >> 6
	if format == 3 {
		return r.continuation(h, id, n)
	}
	fields := h[n:]
	n += [...]int{11, 7, 3}[format]
	if len(h) < n {
		return 0, nil
	}
	time := uint24(fields)
	extended := time == 0xFFFFFF
	if extended {
		if len(h) < n+4 {
			return 0, nil
		}
		time = binary.BigEndian.Uint32(h[n:])
		n += 4
	}
	if err := r.use(id, format); err != nil {
		return 0, err
	}
	st := &r.streams[r.cur]
	st.extended, st.delta = extended, time
	if format <= 1 {
		st.length, st.typ = uint24(fields[3:]), MessageType(fields[6])
	}
	if format == 0 {
		st.streamID = binary.LittleEndian.Uint32(fields[7:])
		st.timestamp = 0
	}
	return n, r.begin(st)
}

// use makes the chunk stream of a header of type 0, 1 or 2 the current one.
func (r *chunkReader) use(id uint32, format byte) error {
	if i := r.find(id); i >= 0 {
		r.cur = i
		if r.streams[i].begun {
			return r.protocolError(errFormat)
		}
		return nil
	}
	if format > 1 { // librtmp begins chunk stream 2 with a type 1 header
		return r.protocolError(errFirst)
	}
	if len(r.streams) < MaxChunkStreams {
		r.cur = len(r.streams)
		r.streams = append(r.streams, chunkStream{id: id})
		return nil
	}
	// It replaces a chunk stream without an unfinished message, each in its
	// turn.
	for range r.streams {
		r.evict = (r.evict + 1) % len(r.streams)
		if st := &r.streams[r.evict]; !st.begun {
			r.cur, *st = r.evict, chunkStream{id: id}
			return nil
		}
	}
	return r.errorf("more than %d unfinished messages", MaxChunkStreams)
}

// continuation reads a header of type 3, whose basic header is n bytes long. It
// continues a message, or begins one with the same fields as the last one on
// its chunk stream.
func (r *chunkReader) continuation(h []byte, id uint32, n int) (int, error) {
	i := r.find(id)
	if i < 0 {
		return 0, r.protocolError(errFirst)
	}
	r.cur = i
	st := &r.streams[i]
	if st.extended {
		k, ok := repeated(h[n:], st)
		if !ok {
			return 0, nil
		}
		n += k
	}
	if !st.begun {
		return n, r.begin(st)
	}
	r.chunk(st)
	return n, nil
}

// repeated reports how many bytes of h, 4 or 0, repeat the extended timestamp.
// RTMP 1.0 §5.3.1.3 wants it on type 3 headers too, but some encoders leave it
// out, so bytes that do not look like it are payload. It repeats the field of
// the last header or, with some senders, the time of the message. ok is false
// when more bytes are needed to tell.
func repeated(h []byte, st *chunkStream) (n int, ok bool) {
	if len(h) >= 4 {
		if t := binary.BigEndian.Uint32(h); t == st.delta || t == st.timestamp {
			return 4, true
		}
		return 0, true
	}
	var a, b [4]byte
	binary.BigEndian.PutUint32(a[:], st.delta)
	binary.BigEndian.PutUint32(b[:], st.timestamp)
	return 0, string(h) != string(a[:len(h)]) && string(h) != string(b[:len(h)])
}

// begin starts a message whose header st now holds. When a type 3 header begins
// a message right after a type 0 header, the timestamp of that header is the
// difference between the two: RTMP 1.0 §5.3.1.2.4 says so, and ffmpeg sends it.
func (r *chunkReader) begin(st *chunkStream) error {
	if most := st.typ.limit(r.trust); int(st.length) > most {
		return r.errorf("%w: %v message of %d bytes exceeds %d", ErrMessageSize, st.typ, st.length, most)
	}
	st.timestamp += st.delta
	st.begun = true
	r.begun++
	r.chunk(st)
	return nil
}

// chunk starts a chunk of st.
func (r *chunkReader) chunk(st *chunkStream) {
	r.inChunk = true
	r.left = min(r.size, int(st.length)-len(st.payload))
}

// find returns the index of a chunk stream, or -1.
func (r *chunkReader) find(id uint32) int {
	if r.cur < len(r.streams) && r.streams[r.cur].id == id {
		return r.cur
	}
	for i := range r.streams {
		if r.streams[i].id == id {
			return i
		}
	}
	return -1
}

func (r *chunkReader) protocolError(err error) error {
	return &ProtocolError{Offset: r.offset, Err: err}
}

func (r *chunkReader) errorf(format string, args ...any) error {
	return r.protocolError(fmt.Errorf(format, args...))
}

// basicHeader reads a basic header (RTMP 1.0 §5.3.1.1): n is 1, 2 or 3, or 0
// when more bytes are needed.
func basicHeader(h []byte) (id uint32, n int) {
	if len(h) == 0 {
		return 0, 0
	}
	switch id = uint32(h[0] & 0x3F); {
	case id == 0 && len(h) >= 2:
		return 64 + uint32(h[1]), 2
	case id == 1 && len(h) >= 3:
		return 64 + uint32(h[1]) + uint32(h[2])<<8, 3
	case id >= 2:
		return id, 1
	}
	return 0, 0
}

func uint24(b []byte) uint32 {
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}
