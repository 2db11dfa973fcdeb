package flv

import "bytes"

// A Role is what a unit of a body is to a picture. A unit is a NAL unit of H.264
// or H.265, or an OBU of AV1.
type Role uint8

// The roles of units.
const (
	Idle    Role = iota // nothing: filler, or an empty unit
	Divider             // nothing, but a picture follows: a temporal delimiter
	Before              // of the picture that follows: SEI, metadata
	Set                 // the same: parameters of the decoder
	Hidden              // the same: a picture of AV1 that is not shown
	Begin               // begins a picture: its first slice
	More                // continues it
	After               // of the picture that came before
)

// An Entry says whether a decoder can begin with a unit.
type Entry uint8

// The kinds of entries.
const (
	NoEntry Entry = iota
	Perhaps       // if the encoder says that the picture is a key frame
	Sure
)

// Unitary reports whether the bodies of a codec consist of units.
func (c Codec) Unitary() bool { return c == AVC || c == HEVC || c == AV1 }

// Role is what a unit is to a picture.
func (c Codec) Role(unit []byte) (Role, Entry) {
	switch c {
	case AVC:
		return roleAVC(unit)
	case HEVC:
		return roleHEVC(unit)
	}
	return roleAV1(unit)
}

// roleAVC reads a NAL unit (H.264 §7.3.1, §7.4.1.2.3).
func roleAVC(u []byte) (Role, Entry) {
	if len(u) < 2 && (len(u) == 0 || u[0]&0x1F < 9) {
		return Idle, NoEntry
	}
	switch kind := u[0] & 0x1F; kind {
	case 1, 2, 5:
		entry := NoEntry
		if kind == 5 {
			entry = Sure
		} else if intraAVC(u) {
			entry = Perhaps
		}
		if u[1]&0x80 != 0 { // first_mb_in_slice is 0
			return Begin, entry
		}
		return More, entry
	case 3, 4, 19, 20, 21:
		return More, NoEntry
	case 7, 8, 13, 15:
		return Set, NoEntry
	case 6:
		switch {
		case !soundSEI(u[1:]):
			return Idle, NoEntry
		case u[1] == 6: // recovery point
			return Before, Perhaps
		}
		return Before, NoEntry
	case 9, 14, 16, 17, 18:
		return Before, NoEntry
	case 12:
		return Idle, NoEntry
	}
	return After, NoEntry
}

// soundSEI reports whether SEI begins with a message that can be read (H.264 §7.3.2.3,
// §D.1.6). Some drones put in telemetry without the UUID that belongs in front of
// it; the decoders of browsers give up at that.
func soundSEI(b []byte) bool {
	const userData, uuid = 5, 16
	var n [2]int // type and size
	for i := range n {
		for len(b) > 0 && b[0] == 0xFF {
			n[i], b = n[i]+0xFF, b[1:]
		}
		if len(b) == 0 {
			return false
		}
		n[i], b = n[i]+int(b[0]), b[1:]
	}
	return n[1] <= len(b) && (n[0] != userData || n[1] >= uuid)
}

// intraAVC reports whether a first slice is I or SI (H.264 §7.3.3): its type is
// an Exp-Golomb code behind that of first_mb_in_slice, which is one bit.
func intraAVC(u []byte) bool {
	if len(u) < 3 {
		return false
	}
	b := u[1]<<1 | u[2]>>7
	return b>>5 == 3 || b>>1 == 8 || b>>3 == 5 || b>>1 == 10
}

// roleHEVC reads a NAL unit (H.265 §7.3.1, §7.4.2.4.4).
func roleHEVC(u []byte) (Role, Entry) {
	if len(u) < 2 {
		return Idle, NoEntry
	}
	kind, layer := u[0]>>1&0x3F, u[0]&1<<5|u[1]>>3
	switch {
	case kind < 10, kind >= 16 && kind < 22:
		entry := NoEntry
		if kind >= 16 {
			entry = Sure
		}
		switch {
		case len(u) < 3:
			return Idle, NoEntry
		case u[2]&0x80 != 0 && layer == 0: // first_slice_segment_in_pic_flag
			return Begin, entry
		}
		return More, entry
	case kind >= 32 && kind < 35:
		return Set, NoEntry
	case kind == 39 && !soundSEI(u[2:]):
		return Idle, NoEntry
	case kind == 39 && u[2] == 6: // recovery point
		return Before, Perhaps
	case kind == 35, kind == 39, kind >= 41 && kind < 45, kind >= 48 && kind < 56:
		return Before, NoEntry
	case kind == 38:
		return Idle, NoEntry
	}
	return After, NoEntry
}

// roleAV1 reads an OBU (AV1 §5.3, §5.9.2).
func roleAV1(u []byte) (Role, Entry) {
	payload, ok := payloadAV1(u)
	kind := byte(0)
	if ok {
		kind = u[0] >> 3 & 0x0F
	}
	switch {
	case kind == 2:
		return Divider, NoEntry
	case !ok, len(payload) == 0, kind == 8, kind == 15:
		return Idle, NoEntry
	case kind == 1:
		return Set, NoEntry
	case kind == 5:
		return Before, NoEntry
	case kind == 4, kind == 7:
		return More, NoEntry
	case kind != 3 && kind != 6:
		return After, NoEntry
	}
	spatial := u[0]&4 != 0 && u[1]>>3&3 > 0
	switch first := payload[0]; {
	case spatial:
		return More, NoEntry
	case first&0x80 != 0: // show_existing_frame
		return Begin, Perhaps
	case first&0x10 == 0: // not show_frame
		return Hidden, NoEntry
	case first>>5&3 == 0: // KEY_FRAME
		return Begin, Sure
	}
	return Begin, NoEntry
}

// payloadAV1 is an OBU without its header and size.
func payloadAV1(u []byte) (payload []byte, ok bool) {
	if len(u) == 0 || u[0]&0x80 != 0 {
		return nil, false
	}
	at := 1
	if u[0]&4 != 0 {
		at++
	}
	if u[0]&2 != 0 {
		for at < len(u) && u[at]&0x80 != 0 {
			at++
		}
		at++
	}
	if at > len(u) {
		return nil, false
	}
	return u[at:], true
}

// A Framing is how units lie in a body: the bytes of the length in front of each,
// or one of the others.
type Framing int8

// The framings that have no length of one to four bytes in front.
const (
	OBUs   Framing = 0  // each unit has its own size (AV1 §5.2)
	AnnexB Framing = -1 // start codes in front (H.264, H.265 Annex B)
	Broken Framing = -2 // none
)

// guess is the framing that a body must have, since nothing else fits.
func guess(body []byte) Framing {
	if startCode(body) {
		return AnnexB
	}
	for _, f := range []Framing{4, 2, 3, 1} {
		if fits(body, f) {
			return f
		}
	}
	return Broken
}

// startCode reports whether a body begins with a start code, and a few zeros in
// front of it at most.
func startCode(body []byte) bool {
	zeros := bytes.IndexByte(body[:min(len(body), 8)], 1)
	return zeros >= 2 && len(bytes.TrimLeft(body[:zeros], "\x00")) == 0
}

// fits reports whether a body has this framing and nothing but units that may be
// NAL units (H.264 §7.4.1, forbidden_zero_bit).
func fits(body []byte, f Framing) bool {
	r := UnitReader{rest: body, framing: f, Clean: true}
	for r.Next() {
		r.broken = r.broken || r.Unit[0]&0x80 != 0
	}
	return r.Clean && !r.broken
}

// A UnitReader goes through the units of a body.
type UnitReader struct {
	Unit  []byte // without what is in front of it; of AV1 as it is
	Clean bool   // nothing had to be left out so far, between units or behind them

	rest    []byte
	framing Framing
	broken  bool
}

// Units reads the units of a body.
func Units(body []byte, f Framing) UnitReader {
	return UnitReader{rest: body, framing: f, Clean: f == 4 || f == OBUs}
}

// Next reads the next unit that is not empty. It is false behind the last one.
func (r *UnitReader) Next() bool {
	for len(r.rest) > 0 {
		switch r.framing {
		case OBUs:
			r.nextOBU()
		case AnnexB:
			r.nextAnnexB()
		default:
			r.nextSized(int(r.framing))
		}
		if len(r.Unit) > 0 {
			return true
		}
		r.Clean = false
	}
	r.Unit = nil
	return false
}

// nextSized takes a unit that is behind its length of n bytes. A few zeros at the
// end are no length.
func (r *UnitReader) nextSized(n int) {
	if len(r.rest) < n {
		r.broken = r.broken || len(bytes.TrimLeft(r.rest, "\x00")) > 0
		r.rest, r.Unit = nil, nil
		return
	}
	length := 0
	for _, b := range r.rest[:n] {
		length = length<<8 | int(b)
	}
	if r.rest = r.rest[n:]; length > len(r.rest) {
		r.rest, r.Unit, r.broken = nil, nil, true
		return
	}
	r.take(r.rest[:length:length])
	r.rest = r.rest[length:]
}

// take takes a NAL unit without the zeros at its end, which no unit has (H.264
// §7.4.1).
func (r *UnitReader) take(unit []byte) {
	r.Unit = unit
	if n := len(unit); n > 0 && unit[n-1] == 0 {
		r.Unit, r.Clean = bytes.TrimRight(unit, "\x00"), false
	}
}

// nextAnnexB takes a unit that is between start codes.
func (r *UnitReader) nextAnnexB() {
	code := []byte{0, 0, 1}
	if at := bytes.Index(r.rest, code); at >= 0 {
		r.rest = r.rest[at+len(code):]
	} else {
		r.rest = nil
	}
	end := bytes.Index(r.rest, code)
	if end < 0 {
		end = len(r.rest)
	}
	r.take(r.rest[:end:end])
	r.rest = r.rest[end:]
}

// nextOBU takes an OBU. Only the last one may be without a size.
func (r *UnitReader) nextOBU() {
	u := r.rest
	head := 1 + int(u[0]>>2&1)
	if u[0]&0x80 != 0 || len(u) < head {
		r.rest, r.Unit, r.broken = nil, nil, true
		return
	}
	if u[0]&2 == 0 {
		r.rest, r.Unit = nil, u
		return
	}
	length, n := leb128(u[head:])
	if n == 0 || length > uint64(len(u)-head-n) {
		r.rest, r.Unit, r.broken = nil, nil, true
		return
	}
	end := head + n + int(length)
	r.rest, r.Unit = u[end:], u[:end:end]
}

// leb128 reads a number of n bytes (AV1 §4.10.5). n is 0 if it is none.
func leb128(b []byte) (v uint64, n int) {
	for i := 0; i < 8 && i < len(b); i++ {
		v |= uint64(b[i]&0x7F) << (7 * i)
		if b[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}

// AppendUnit appends a unit to a body whose lengths have four bytes; an OBU, with
// its size.
func (c Codec) AppendUnit(b, unit []byte) []byte {
	if c != AV1 {
		n := len(unit)
		return append(append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)), unit...)
	}
	if unit[0]&2 != 0 {
		return append(b, unit...)
	}
	head := 1 + int(unit[0]>>2&1)
	b = append(append(b, unit[0]|2), unit[1:head]...)
	n := len(unit) - head
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(append(b, byte(n)), unit[head:]...)
}

// A View is what a body has of a picture.
type View struct {
	Role  Role    // Begin, Hidden or More if it has slices; else what the units are
	Entry Entry   // of its units, the surest
	Sets  bool    // it has parameter sets
	Clean bool    // all of its units are to be kept, and their lengths have four bytes
	Frame Framing // Broken: it is no such body
}

// View looks at a body whose framing is usually this one, and is another if only
// that fits.
func (c Codec) View(body []byte, usual Framing) View {
	v := c.view(body, usual)
	if v.Frame == Broken && c != AV1 {
		if f := guess(body); f != Broken {
			return c.view(body, f)
		}
	}
	return v
}

func (c Codec) view(body []byte, f Framing) (v View) {
	r := Units(body, f)
	for r.Next() {
		role, entry := c.Role(r.Unit)
		v.Entry, v.Sets = max(v.Entry, entry), v.Sets || role == Set
		r.Clean = r.Clean && role != Idle && role != Divider
		v.Role = v.Role.with(role)
	}
	v.Clean, v.Frame = r.Clean, f
	if r.broken {
		v.Frame = Broken
	}
	return v
}

// Leads reports whether a picture follows what has this role.
func (r Role) Leads() bool { return r == Divider || r == Before || r == Set || r == Hidden }

// with is the role of a body whose units so far are r, when another follows.
func (r Role) with(next Role) Role {
	switch {
	case r == Begin || next == Begin:
		return Begin
	case r == Hidden || next == Hidden:
		return Hidden
	case r == More || next == More:
		return More
	case next == Idle, r.Leads():
		return r
	}
	return next
}

// Part is what coded pictures are to a picture, and whether a decoder can begin
// with them: by their units, since some encoders give all of them the same frame
// type. Where the units cannot be read, it is as the tag says.
func (t *Tag) Part() (role Role, key bool) {
	if len(t.Body) == 0 {
		return Idle, false
	}
	v := View{Frame: Broken}
	switch {
	case t.Codec == AV1:
		v = t.Codec.view(t.Body, OBUs)
	case t.Codec.Unitary():
		if v = t.Codec.view(t.Body, 4); v.Frame == Broken && startCode(t.Body) {
			v = t.Codec.view(t.Body, AnnexB)
		}
	}
	if v.Frame == Broken {
		return Begin, t.Key
	}
	return v.Role, (v.Role == Begin || v.Role == More) && (v.Entry == Sure || t.Key && v.Entry == Perhaps)
}
