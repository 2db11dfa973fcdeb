package relay

import (
	"slices"

	"foyer/server/rtmp"
)

// Limits of the past that a stream keeps for new players, and for those that
// are behind.
const (
	MaxLogBytes = 16 << 20 // of messages: packed, and as they came if they are long, with their index
	MaxLogTime  = 20000    // ms, of messages since the last key frame
	MaxLag      = 3000     // ms, of those before it; also since they came, which a publisher may have held back
)

// Blocks of a log begin small, for streams with little data.
const (
	minBlock      = 16 << 10
	maxBlock      = 256 << 10
	nearlyFull    = 8   // with less than this fraction of its bytes left
	entryOverhead = 128 // bytes that an entry takes up beside its message, rounded up
)

// A log has the last messages of a stream, packed, in a few blocks of bytes,
// and the place of each message. Bytes that were appended are never written
// again, so a piece can be read without a lock for any length of time.
type log struct {
	blocks  []*block
	entries []entry // entries[head:] are kept; the first of them has the number first
	head    int
	first   uint64
	bytes   int    // of entries[head:], with overhead
	size    int    // size of the last block that was made
	age     uint32 // ms from the making of the stream to its last message
	closed  bool   // the last block is not to be appended to
}

// A block is a run of packed messages with no notice between them.
type block struct {
	first uint64 // number of its first message
	bytes []byte
	ends  []int32 // where each message ends
}

// An entry is a message, or a notice that came between two.
type entry struct {
	message rtmp.Message
	notice  *notice // or nil
	at      uint32  // its time in the stream
	came    uint32  // the age of the log then
	block   *block
	index   int32 // among the messages of the block
	cost    int32
}

// A notice is a status that players are told when they get there.
type notice struct{ code, description string }

// next returns the number of the next entry.
func (l *log) next() uint64 { return l.first + uint64(len(l.entries)-l.head) }

// at returns the entry of number n, from first up to next.
func (l *log) at(n uint64) *entry { return &l.entries[l.head+int(n-l.first)] }

// append packs m, whose time in the stream is at. It returns m with its payload in the
// log, if it is there in one piece, so that the publisher's buffer need not be
// kept as well.
func (l *log) append(m rtmp.Message, at uint32) rtmp.Message {
	m.StreamID = rtmp.SharedStream
	b := l.room(rtmp.PackedLen(&m))
	before := len(b.bytes)
	b.bytes = rtmp.AppendPacked(b.bytes, &m)
	b.ends = append(b.ends, int32(len(b.bytes)))
	cost := len(b.bytes) - before + entryOverhead
	if n := len(m.Payload); n <= rtmp.ChunkSize {
		m.Payload = slices.Clip(b.bytes[len(b.bytes)-n:])
	} else {
		cost += n
	}
	l.add(entry{message: m, at: at, block: b, index: int32(len(b.ends) - 1), cost: int32(cost)})
	return m
}

// notify appends a notice.
func (l *log) notify(at uint32, code, description string) {
	l.add(entry{notice: &notice{code, description}, at: at, cost: entryOverhead})
	l.closed = true
}

func (l *log) add(e entry) {
	if l.head > 64 && l.head > len(l.entries)/2 {
		n := copy(l.entries, l.entries[l.head:])
		clear(l.entries[n:])
		l.entries, l.head = l.entries[:n], 0
	}
	e.came = l.age
	l.entries = append(l.entries, e)
	l.bytes += int(e.cost)
}

// settle is called when no follower misses anything, which is a good moment to
// leave a block that is nearly full. At any other time, the next block would
// cost a follower another write.
func (l *log) settle() {
	if len(l.blocks) > 0 {
		b := l.blocks[len(l.blocks)-1]
		l.closed = l.closed || cap(b.bytes)-len(b.bytes) < cap(b.bytes)/nearlyFull
	}
}

// room returns a block with room for n bytes.
func (l *log) room(n int) *block {
	if len(l.blocks) > 0 && !l.closed {
		if b := l.blocks[len(l.blocks)-1]; cap(b.bytes)-len(b.bytes) >= n {
			return b
		}
	}
	l.size = min(max(minBlock, 2*l.size), maxBlock)
	b := &block{first: l.next(), bytes: make([]byte, 0, max(n, l.size))}
	l.blocks = append(l.blocks, b)
	l.closed = false
	return b
}

// trim forgets entries from the front: those before keep that are over MaxLag
// old, by the time of the stream and by its age, or with lean all of those, and
// those beyond the limits.
func (l *log) trim(now uint32, keep uint64, lean bool) {
	for l.head < len(l.entries) {
		e := &l.entries[l.head]
		lag := int32(now - e.at)
		old := l.first < keep && (lean || lag > MaxLag && l.age-e.came > MaxLag)
		if !old && l.bytes <= MaxLogBytes && lag <= MaxLogTime {
			return
		}
		l.bytes -= int(e.cost)
		*e = entry{}
		l.head++
		l.first++
		l.trimBlocks()
	}
}

// trimBlocks drops the blocks that hold no entry.
func (l *log) trimBlocks() {
	n := 0
	for n+1 < len(l.blocks) && l.blocks[n+1].first <= l.first {
		n++
	}
	if n > 0 {
		l.blocks = slices.Delete(l.blocks, 0, n)
	}
}

// from returns the messages from number n on that are next to each other; entry
// n is a message.
func (l *log) from(n uint64) rtmp.Packed {
	e := l.at(n)
	base := int32(0)
	if e.index > 0 {
		base = e.block.ends[e.index-1]
	}
	return rtmp.Packed{Bytes: e.block.bytes[base:], Ends: e.block.ends[e.index:], Base: base}
}
