package amf

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
)

// Limits of one message, and so of one Decoder. They are checked before memory
// is allocated.
const (
	// MaxDepth is how deeply objects and arrays may be nested.
	MaxDepth = 32
	// MaxElements is how many values a message may hold, members and items
	// included.
	MaxElements = 16384
	// MaxExpansion is how many bytes the references of a message may stand for,
	// since a value is written out in full when it is encoded again.
	MaxExpansion = 1 << 20
)

// The strings of one message share memory in pieces, because most messages are
// small and are read whole. A string that somebody keeps holds on to one piece
// only.
const (
	pieceSize = 1024
	maxShared = pieceSize / 4 // a longer string has memory of its own
)

// Decoder decodes the AMF0 values of one message, one after another, under
// limits for all of them together. The AMF0 reference table belongs to the
// message; AMF3 tables belong to the value after each 0x11.
//
// A reference is resolved by decoding its object once more. So values share
// nothing, and every limit counts what they really hold.
type Decoder struct {
	b   []byte
	i   int
	err error // the first one; it stays. After it everything that is read is zero

	elements int
	expanded int
	objects  []span // AMF0 reference table (§2.9)
	replay   int    // > 0 while an AMF0 reference is resolved: nothing is added to its table
	replay3  int    // the same for an AMF3 reference

	dry       bool // check only; values are nil, strings empty
	salvage   bool // see Salvage
	reference bool // an AMF0 reference was met
	amf3      bool // a 0x11 was met

	piece   string // a copy of b from pieceAt on
	pieceAt int

	*scratch // only while a value is being decoded
}

// A span says where an object of a reference table is in the message. Its end
// is 0 while the object is still being read.
type span struct{ start, end int }

// scratch is memory that is needed only while a value is being decoded.
type scratch struct {
	fields []Field // members read so far, of all open objects
	values []Value // items read so far, of all open arrays
	three  tables
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// NewDecoder returns a Decoder of b. The values it returns do not alias b.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

// Parse decodes b, which must be exactly one AMF0 value.
func Parse(b []byte) (Value, error) {
	d := NewDecoder(b)
	return d.finish(d.value0)
}

// Parse3 decodes b, which must be exactly one AMF3 value without the 0x11 marker.
func Parse3(b []byte) (Value, error) {
	d := NewDecoder(b)
	return d.finish(d.value3)
}

// finish decodes one value, and makes sure that nothing follows it.
func (d *Decoder) finish(value func(depth int) Value) (Value, error) {
	v, err := d.next(value)
	if err == nil && d.More() {
		d.fail(d.i, ErrTrailing, "%d bytes", len(d.b)-d.i)
		return nil, d.err
	}
	return v, err
}

// Next decodes the next value. After an error every call returns that error.
// When no bytes are left the error is ErrShort, never io.EOF.
func (d *Decoder) Next() (Value, error) { return d.next(d.value0) }

// Salvage is Next for a value that may be damaged. Where an object or ECMA array
// does not end, or has a member that cannot be decoded, it ends with the last
// whole member, and so does everything that holds it; what follows is given up.
// The error says that nothing is left of the value.
func (d *Decoder) Salvage() (Value, error) {
	d.salvage = true
	v, err := d.Next()
	d.salvage = false
	return v, err
}

// Check reads all remaining values without decoding them. The error is the one
// that Rest returns; amf3 says that one of the values holds AMF3.
func (d *Decoder) Check() (amf3 bool, err error) {
	d.dry = true
	for d.More() && err == nil {
		_, err = d.Next()
	}
	d.dry = false
	return d.amf3, err
}

// Text decodes the next value, which must be a string.
func (d *Decoder) Text() (string, error) {
	if d.err == nil && d.More() && marker0(d.b[d.i]) == string0 { // nearly always; nothing is boxed
		d.count(1)
		d.i++
		return d.Name()
	}
	at := d.i
	v, err := d.Next()
	if s, ok := v.(String); err != nil || ok {
		return string(s), err
	}
	d.fail(at, ErrMarker, "%T instead of a string", v)
	return "", d.err
}

// NextRaw is Next without decoding, where that is possible. It returns Raw, or
// a decoded value when the bytes hold an AMF0 reference and would mean
// something else in another message. It accepts exactly what Next accepts.
func (d *Decoder) NextRaw() (Value, error) {
	before := *d
	d.dry, d.reference = true, false
	_, err := d.Next()
	d.dry = false
	if err == nil && !d.reference {
		return Raw(slices.Clone(d.b[before.i:d.i])), nil
	}
	*d = before
	return d.Next()
}

// More reports whether bytes are left.
func (d *Decoder) More() bool { return d.i < len(d.b) }

// Offset returns how many bytes have been read.
func (d *Decoder) Offset() int { return d.i }

// Rest decodes all remaining values.
func (d *Decoder) Rest() (Args, error) {
	var args Args
	for d.More() {
		v, err := d.Next()
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	return args, d.err
}

// Name reads a bare string with a 16-bit length and no marker (AMF0 §1.3.1
// UTF-8), as it stands between the values of a shared object message.
func (d *Decoder) Name() (string, error) {
	s := d.name()
	return s, d.err
}

func (d *Decoder) next(value func(depth int) Value) (Value, error) {
	if d.err != nil {
		return nil, d.err
	}
	d.scratch = scratches.Get().(*scratch)
	v := value(0)
	d.scratch.release()
	d.scratch = nil
	if d.err != nil {
		return nil, d.err
	}
	return v, nil
}

// release gives s back, keeping nothing of the message alive.
func (s *scratch) release() {
	const keep = 1024 // elements; few messages need more
	if cap(s.fields) > keep || cap(s.values) > keep || s.three.size() > keep {
		return
	}
	clear(s.fields)
	clear(s.values)
	s.fields, s.values = s.fields[:0], s.values[:0]
	s.three.reset()
	scratches.Put(s)
}

// fail notes an error about the value that begins at byte at, unless there was
// one before.
func (d *Decoder) fail(at int, err error, format string, a ...any) {
	if d.err == nil {
		d.err = &DecodeError{Offset: at, Detail: fmt.Sprintf(format, a...), Err: err}
	}
}

// count adds n to the message's elements.
func (d *Decoder) count(n int) {
	if n > MaxElements-d.elements {
		d.fail(d.i, ErrElements, "more than %d in a message", MaxElements)
		return
	}
	d.elements += n
}

// expand adds n to the bytes that references stand for.
func (d *Decoder) expand(at, n int) {
	if n > MaxExpansion-d.expanded {
		d.fail(at, ErrExpansion, "more than %d bytes in a message", MaxExpansion)
		return
	}
	d.expanded += n
}

// expect checks a count of items before memory is allocated for them. Each
// needs at least size bytes and counts as an element.
func (d *Decoder) expect(n, size int) {
	if left := len(d.b) - d.i; n < 0 || n > left/size {
		d.fail(d.i, ErrShort, "%d items in %d bytes", uint32(n), left)
	}
	if n > MaxElements-d.elements {
		d.fail(d.i, ErrElements, "%d items after %d elements, at most %d in a message", n, d.elements, MaxElements)
	}
}

// enter checks the depth of a value that holds others; depth is how many it is
// nested in.
func (d *Decoder) enter(at, depth int) {
	if depth >= MaxDepth {
		d.fail(at, ErrDepth, "more than %d levels", MaxDepth)
	}
}

// open adds the object that begins at byte at to a table. The number is -1 in
// a replay.
func open(table *[]span, at, replay int) int {
	if replay > 0 {
		return -1
	}
	if *table == nil {
		*table = make([]span, 0, 8)
	}
	*table = append(*table, span{start: at})
	return len(*table) - 1
}

// shut notes that the object with that number ends here.
func (d *Decoder) shut(table []span, number int) {
	if number >= 0 {
		table[number].end = d.i
	}
}

// find returns where object number n of a table stands, and counts its bytes.
func (d *Decoder) find(at int, table []span, n int) span {
	if n >= len(table) {
		d.fail(at, ErrReference, "object %d of %d", n, len(table))
		return span{}
	}
	s := table[n]
	if s.end == 0 {
		d.fail(at, ErrCycle, "object %d", n)
	}
	d.expand(at, s.end-s.start)
	return s
}

// take returns the next n bytes, which alias the message.
// It returns nothing after an error.
func (d *Decoder) take(n int) []byte {
	if left := len(d.b) - d.i; d.err != nil || n < 0 || n > left {
		d.fail(d.i, ErrShort, "%d bytes announced or needed, %d left", uint32(n), left)
		return nil
	}
	d.i += n
	return d.b[d.i-n : d.i]
}

func (d *Decoder) byte() byte {
	if d.err != nil || d.i >= len(d.b) {
		d.fail(d.i, ErrShort, "")
		return 0
	}
	d.i++
	return d.b[d.i-1]
}

func (d *Decoder) uint16() (n int) {
	if b := d.take(2); b != nil {
		n = int(binary.BigEndian.Uint16(b))
	}
	return n
}

func (d *Decoder) uint32() (n int) {
	if b := d.take(4); b != nil {
		n = int(binary.BigEndian.Uint32(b))
	}
	return n
}

func (d *Decoder) double() (f float64) {
	if b := d.take(8); b != nil {
		f = math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return f
}

// text reads a string of n bytes.
func (d *Decoder) text(n int) string {
	at := d.i
	b := d.take(n)
	if d.dry || len(b) == 0 {
		return ""
	}
	if from, to := at-d.pieceAt, at-d.pieceAt+n; from >= 0 && to <= len(d.piece) {
		return d.piece[from:to]
	}
	if n > maxShared || d.replay > 0 || d.replay3 > 0 {
		return string(b)
	}
	d.piece, d.pieceAt = string(d.b[at:min(at+pieceSize, len(d.b))]), at
	return d.piece[:n]
}

// items reads n values.
func (d *Decoder) items(n, depth int, value func(depth int) Value) []Value {
	d.expect(n, 1)
	base := len(d.values)
	for i := 0; i < n && d.err == nil; i++ {
		v := value(depth)
		if !d.dry {
			d.values = append(d.values, v)
		}
	}
	return pop(&d.values, base)
}

// pop takes what lies above base from a pile.
func pop[T any](pile *[]T, base int) []T {
	top := (*pile)[base:]
	taken := make([]T, len(top))
	copy(taken, top)
	clear(top)
	*pile = (*pile)[:base]
	return taken
}

// smallNumbers are ready-made: most numbers of a status are small counts.
var smallNumbers = func() (t [1024]Value) {
	for i := range t {
		t[i] = Number(i)
	}
	return t
}()

// boxNumber is Value(Number(f)), without an allocation for small whole numbers.
func boxNumber(f float64) Value {
	if f >= 0 && f < float64(len(smallNumbers)) {
		if i := int(f); math.Float64bits(float64(i)) == math.Float64bits(f) { // -0 is not 0
			return smallNumbers[i]
		}
	}
	return Number(f)
}
