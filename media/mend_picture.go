package media

import (
	"bytes"

	"foyer/server/flv"
)

const (
	// MaxPicture is how many bytes a picture in parts has, with what waits behind
	// it. One that comes in one tag is as long as a message may be.
	MaxPicture = 2 << 20
	// habit is after how many pictures in a row that came in one tag each the next
	// one is taken for whole when it comes.
	habit = 8
	// maxSpread is how much later than the first part of a picture another one may
	// be dated, in ms, if this publisher is known to send parts.
	maxSpread = 100
)

// headRoom is room for the head of a tag in front of its body: a byte, a FourCC
// and a composition time.
const headRoom = 8

// A pictureMender puts access units together. Some encoders send each slice, or
// what belongs to a picture, as a tag by itself. Nothing in a slice says that it
// is the last one. So a picture waits for the tag behind it until it is known
// that this publisher sends whole pictures, which is so after a few of them.
type pictureMender struct {
	config  videoConfig
	held    held
	lost    bool   // something is missing: only a key frame helps
	parts   bool   // this publisher sends pictures in parts
	whole   int    // pictures in a row that came in one tag each
	last    uint32 // the timestamp of the last one
	heard   uint32 // the timestamp of the last sound
	waiting uint32 // heard, when held began to wait
}

// A held is a picture that may not be whole, or what belongs to one to come.
type held struct {
	mended  // the tag that began it, or the last one in front of it
	any     bool
	role    flv.Role
	entry   flv.Entry
	sets    bool   // there are parameter sets in it
	rewrite []byte // with headRoom in front; nil: the tag is right as it is
}

func (p *pictureMender) take(x *mender, m mended) {
	switch {
	case m.Kind == flv.SequenceStart && len(m.Body) == 0: // no configuration
	case m.Kind == flv.SequenceStart:
		p.flush(x)
		if !bytes.Equal(p.config.raw, m.Body) { // perhaps another encoder
			p.parts, p.whole = false, 0
		}
		p.config.header(x, m)
	case m.Kind != flv.CodedFrames:
		x.put(m)
	case len(m.Body) == 0: // no picture
	case !m.Codec.Unitary():
		x.put(m)
	default:
		p.frame(x, m)
	}
}

// frame takes a tag of units.
func (p *pictureMender) frame(x *mender, m mended) {
	if p.config.codec != m.Codec {
		p.held = held{}
		p.config = videoConfig{codec: m.Codec}
	}
	v := m.Codec.View(m.Body, p.config.framing())
	pending := p.held.role == flv.Begin
	switch {
	case v.Frame == flv.Broken && !p.config.known:
		x.put(m) // somebody may know its configuration
	case v.Frame == flv.Broken:
		p.flush(x)
		p.lost = true
		x.pass(m)
	case v.Role == flv.Begin, v.Role.Leads():
		p.next(x, m, v)
	case v.Role == flv.More && p.continues(m):
		p.parts = p.parts || pending
		p.join(x, m, v)
	case v.Role == flv.More && (p.parts || p.whole > 0 && m.message.Timestamp == p.last):
		p.parts, p.lost = true, true // its beginning is missing, or was put out
	case v.Role == flv.More: // some encoders begin elsewhere
		v.Role = flv.Begin
		p.next(x, m, v)
	case v.Role == flv.After && pending:
		p.parts = true
		p.join(x, m, v)
	}
	if p.held.role == flv.Begin && !p.parts && p.whole >= habit {
		p.flush(x)
	}
}

// next takes a tag with which another picture begins.
func (p *pictureMender) next(x *mender, m mended, v flv.View) {
	if p.held.role == flv.Begin {
		p.whole++
	}
	p.flush(x)
	p.join(x, m, v)
}

// continues reports whether m is of the picture that is held.
func (p *pictureMender) continues(m mended) bool {
	late := m.message.Timestamp - p.held.message.Timestamp
	return p.held.role == flv.Hidden || p.held.role == flv.Begin && (late == 0 || p.parts && late <= maxSpread)
}

// waited says that there is sound of a time. A picture does not wait for ever.
func (p *pictureMender) waited(x *mender, timestamp uint32) {
	p.heard = timestamp
	if p.held.role == flv.Begin && int32(timestamp-p.waiting) >= maxPending {
		p.flush(x)
	}
}

// join adds a tag to what is held.
func (p *pictureMender) join(x *mender, m mended, v flv.View) {
	h := &p.held
	before := *h
	if h.any && len(h.Body)+len(h.rewrite)+len(m.Body) > MaxPicture {
		*h, p.lost = held{}, p.lost || before.role == flv.Begin
		x.release()
		return
	}
	if !h.any || h.role != flv.Begin {
		h.mended, p.waiting = m, p.heard
	}
	h.any, h.role, h.sets = true, joinRoles(before.role, v.Role), before.sets || v.Sets
	h.entry = max(before.entry, v.Entry)
	if !before.any && v.Clean {
		return
	}
	x.others(m)
	if before.any && before.rewrite == nil {
		x.others(before.mended)
		h.rewrite = appendUnits(make([]byte, headRoom, headRoom+len(before.Body)+len(m.Body)+64), before.mended, before.framing())
	}
	if h.rewrite == nil {
		h.rewrite = make([]byte, headRoom, headRoom+len(m.Body)+64)
	}
	h.rewrite = appendUnits(h.rewrite, m, v.Frame)
}

// framing is that of a body that is right.
func (h *held) framing() flv.Framing {
	if h.Codec == flv.AV1 {
		return flv.OBUs
	}
	return 4
}

// joinRoles is the role of what is held, when more is added to it.
func joinRoles(r, next flv.Role) flv.Role {
	if r == flv.Begin || r == flv.Hidden && next != flv.Begin {
		return r
	}
	return next
}

// appendUnits appends the units of a tag that belong to a picture.
func appendUnits(b []byte, m mended, f flv.Framing) []byte {
	r := flv.Units(m.Body, f)
	for r.Next() {
		if role, _ := m.Codec.Role(r.Unit); role != flv.Idle && role != flv.Divider {
			b = m.Codec.AppendUnit(b, r.Unit)
		}
	}
	return b
}

// flush puts out the picture that is held, and what came behind it. Units that belong
// to the next picture stay.
func (p *pictureMender) flush(x *mender) {
	if p.held.role != flv.Begin {
		return
	}
	h := p.held
	p.held, p.last = held{}, h.message.Timestamp
	t := h.tag
	t.Key = h.entry == flv.Sure || h.Key && h.entry == flv.Perhaps
	if h.rewrite != nil {
		t.Body = h.rewrite[headRoom:]
	}
	if h.sets {
		p.config.learn(t)
	}
	if t.Key {
		p.lost = false
		p.config.renew(x, h.mended)
	}
	switch {
	case p.lost:
		x.pass(h.mended)
	case h.rewrite != nil:
		x.put(h.rewritten(t))
	case t.Key != h.Key:
		x.putAs(h.mended, t)
	default:
		x.put(h.mended)
	}
	x.release()
}

// rewritten is the picture with the tag t, whose body is in h.rewrite.
func (h *held) rewritten(t tag) mended {
	body := t.Body
	t.Body, t.Several = nil, false
	var room [2 * headRoom]byte
	t.Nanos = 0
	head := t.Append(room[:0])
	payload := h.rewrite[headRoom-len(head):]
	copy(payload, head)
	t.Body, t.At = body, len(head)
	m := mended{t, h.message}
	m.message.Payload = payload
	return m
}

// A videoConfig is the configuration of the pictures: what the publisher has sent
// as one, and the parameter sets among its pictures.
type videoConfig struct {
	codec  flv.Codec
	known  bool        // there is a configuration that can be read
	frame  flv.Framing // of the pictures, as it says
	raw    []byte      // the body of the last header that came
	sent   []byte      // the record that was put out
	sets   setList     // the parameter sets that hold
	fresh  setList     // those of one picture
	latest bool        // sent says what sets say
}

// framing is what is usual.
func (c *videoConfig) framing() flv.Framing {
	switch {
	case c.codec == flv.AV1:
		return flv.OBUs
	case c.frame == 0:
		return 4
	}
	return c.frame
}

// header takes a sequence header, and puts it out as it should be.
func (c *videoConfig) header(x *mender, m mended) {
	if !m.Codec.Unitary() {
		*c = videoConfig{codec: m.Codec}
		x.put(m)
		return
	}
	if c.codec == m.Codec && c.known && bytes.Equal(c.raw, m.Body) { // again: what holds now
		c.put(x, m, c.sent)
		return
	}
	*c = videoConfig{codec: m.Codec, raw: m.Body}
	read, err := newCodec(m.Codec, m.Body)
	if err == nil {
		c.frame = flv.Framing(read.prefix)
		c.sets.fill(read)
	} else {
		read, err = c.bare(m.Body)
	}
	if err != nil { // perhaps it can be read elsewhere
		x.put(m)
		return
	}
	c.latest = c.sets.complete()
	c.known, c.sent = true, withLengths(read)
	c.put(x, m, c.sent)
}

// bare reads a header that is nothing but parameter sets, as they are among the
// pictures.
func (c *videoConfig) bare(body []byte) (*codec, error) {
	if f := c.codec.View(body, c.framing()).Frame; f != flv.Broken {
		c.fresh.read(c.codec, body, f)
		c.sets.merge(&c.fresh)
	}
	return newCodec(c.codec, c.sets.record())
}

// put puts out a configuration, with the tag that m would have.
func (c *videoConfig) put(x *mender, m mended, record []byte) {
	if m.Kind == flv.SequenceStart && bytes.Equal(m.Body, record) {
		x.put(m)
		return
	}
	t := m.tag
	t.Kind, t.Key, t.Shift, t.Body = flv.SequenceStart, false, 0, record
	if m.Kind != flv.SequenceStart {
		m.Several = false // its tracks follow
	}
	x.putAs(m, t)
}

// withLengths is a record that says that lengths have four bytes.
func withLengths(c *codec) []byte {
	at := map[flv.Codec]int{flv.AVC: 4, flv.HEVC: 21}[c.fourCC]
	if at == 0 || c.record[at]&3 == 3 {
		return c.record
	}
	b := bytes.Clone(c.record)
	b[at] |= 3
	return b
}

// learn reads the parameter sets of a picture.
func (c *videoConfig) learn(t tag) {
	f := flv.Framing(4)
	if t.Codec == flv.AV1 {
		f = flv.OBUs
	}
	c.fresh.read(t.Codec, t.Body, f)
	if c.sets.merge(&c.fresh) {
		c.latest = false
	}
}

// renew puts out a configuration in front of the key frame m, if what was put out
// is no longer right.
func (c *videoConfig) renew(x *mender, m mended) {
	if c.latest || !c.sets.complete() {
		return
	}
	c.latest = true // also if nobody can read it: until there is another
	record := c.sets.record()
	if read, err := newCodec(c.codec, record); err == nil && !bytes.Equal(read.record, c.sent) {
		c.known, c.frame, c.sent = true, c.framing(), read.record
		c.put(x, m, c.sent)
	}
}
