package rtmp

import (
	"encoding/binary"
	"slices"
)

// ChunkSize is the chunk size for writing, on every connection, so that the
// bytes of a message are the same for every peer (see Pack). Flash Media Server
// could be set to at most 65,536, so every client copes with that size, and
// nearly every message is one chunk.
const ChunkSize = 65536

// Pack returns the chunks of the messages, ready for Session.Send on any
// connection. Packing needs no connection state: every message starts with a
// type 0 chunk header (absolute timestamp).
func Pack(ms ...Message) []byte {
	n := 0
	for i := range ms {
		n += packedLen(&ms[i], ChunkSize)
	}
	b := make([]byte, 0, n)
	for i := range ms {
		b = appendChunks(b, &ms[i], ChunkSize)
	}
	return b
}

// SharedStream is the message stream that nearly every player plays on: the
// first createStream of a connection returns it.
const SharedStream = 1

// Packed is a run of whole messages of SharedStream, made by Pack once for all
// players. Its bytes are never written to again.
type Packed struct {
	Bytes []byte
	Ends  []int32 // where each message ends in Bytes, plus Base
	Base  int32
}

// through returns how many messages the first n bytes reach into, and where the
// last of these ends.
func (p *Packed) through(n int) (messages, end int) {
	switch n {
	case 0:
		return 0, 0
	case len(p.Bytes):
		return len(p.Ends), n
	}
	i, _ := slices.BinarySearch(p.Ends, p.Base+int32(n))
	return i + 1, int(p.Ends[i] - p.Base)
}

// AppendPacked appends the bytes that Pack returns for m.
func AppendPacked(b []byte, m *Message) []byte { return appendChunks(b, m, ChunkSize) }

// PackedLen returns at least the number of bytes that AppendPacked appends.
func PackedLen(m *Message) int { return packedLen(m, ChunkSize) }

// packedLen returns at least the number of bytes that appendChunks appends.
func packedLen(m *Message, size int) int {
	return maxHeader + len(m.Payload) + len(m.Payload)/size*5
}

// appendChunks appends m in chunks of size bytes (RTMP 1.0 §5.3.1).
func appendChunks(b []byte, m *Message, size int) []byte {
	b = appendHeader(b, m, len(m.Payload))
	p := m.Payload
	for len(p) > size {
		b = append(b, p[:size]...)
		b = append(b, 3<<6|m.Type.chunkStream())
		if m.Timestamp >= 0xFFFFFF {
			b = binary.BigEndian.AppendUint32(b, m.Timestamp)
		}
		p = p[size:]
	}
	return append(b, p...)
}

// appendHeader appends the type 0 header of a message of n bytes.
func appendHeader(b []byte, m *Message, n int) []byte {
	t := min(m.Timestamp, 0xFFFFFF)
	b = append(b, m.Type.chunkStream(), byte(t>>16), byte(t>>8), byte(t),
		byte(n>>16), byte(n>>8), byte(n), byte(m.Type))
	b = binary.LittleEndian.AppendUint32(b, m.StreamID)
	if t == 0xFFFFFF {
		b = binary.BigEndian.AppendUint32(b, m.Timestamp)
	}
	return b
}

// chunkStream returns the chunk stream for sending messages of a type. Only 2,
// for control messages, has a meaning (RTMP 1.0 §5.4); the others are the usual
// ones.
func (t MessageType) chunkStream() byte {
	switch t {
	case TypeSetChunkSize, TypeAbort, TypeAcknowledgement, TypeUserControl, TypeWindowAckSize, TypeSetPeerBandwidth:
		return 2
	case TypeAudio:
		return 4
	case TypeDataAMF0, TypeDataAMF3:
		return 5
	case TypeVideo, TypeAggregate:
		return 6
	}
	return 3
}
