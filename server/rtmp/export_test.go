package rtmp

import "io"

// Internals that tests need.

const (
	InitialChunkSize = initialChunkSize
	MediaReserve     = mediaReserve
	FlushTimeout     = flushTimeout
	LingerTimeout    = lingerTimeout
	MaxHeld          = maxHeld
)

// ChunkReader reads chunks as a Conn does.
type ChunkReader struct {
	r    chunkReader
	rest []byte
}

// NewChunkReader returns one whose peer announced a chunk size.
func NewChunkReader(size int, of trust) *ChunkReader {
	return &ChunkReader{r: chunkReader{size: size, trust: of}}
}

// Trust says how much a peer may send.
type Trust = trust

const (
	Stranger  = stranger
	Spectator = spectator
	Publisher = publisher
)

// Feed feeds b and returns the messages that it completes.
func (c *ChunkReader) Feed(b []byte) (ms []Message, err error) {
	b = append(c.rest, b...)
	for {
		n, m, ok, err := c.r.next(b)
		b = b[n:]
		if err != nil || !ok {
			c.rest = append([]byte(nil), b...)
			return ms, err
		}
		if m.Type == TypeSetChunkSize && len(m.Payload) >= 4 {
			if err := c.r.setSize(uint24(m.Payload[1:]) | uint32(m.Payload[0])<<24); err != nil {
				return ms, err
			}
		}
		ms = append(ms, m)
	}
}

// Next feeds b in place, without copies.
func (c *ChunkReader) Next(b []byte) (n int, m Message, ok bool, err error) { return c.r.next(b) }

// Taken is the memory of unfinished messages, Rest the kept part of a header.
func (c *ChunkReader) Taken() int      { return c.r.taken }
func (c *ChunkReader) Rest() []byte    { return c.rest }
func (c *ChunkReader) Abort(id uint32) { c.r.abort(id) }

// AppendChunks is Pack with a chunk size.
func AppendChunks(b []byte, m *Message, size int) []byte { return appendChunks(b, m, size) }

// Handshakes.
var (
	FindDigest    = findDigest
	DigestAt      = digestAt
	DigestOf      = digestOf
	PlayerKey     = playerKey
	ServerKey     = serverKey
	FullServerKey = fullServerKey
)

func ServerHandshake(rw io.ReadWriter) error { _, err := serverHandshake(rw); return err }
func ClientHandshake(rw io.ReadWriter) error { _, err := clientHandshake(rw); return err }

// SplitAggregate splits an aggregate.
var SplitAggregate = splitAggregate

// ParseCommandMessage reads all of a command, and CommandMessage makes one.
func ParseCommandMessage(m Message) (name string, tx float64, values []any, err error) {
	c, err := parseCommand(m)
	if err != nil {
		return "", 0, nil, err
	}
	for c.args.More() {
		v, err := c.args.Next()
		if err != nil {
			return "", 0, nil, err
		}
		values = append(values, v)
	}
	return c.name, c.tx, values, nil
}

var CommandMessage = commandMessage

// FromFlash reports whether the peer is a Flash Player.
func (r *ConnectRequest) FromFlash() bool { return r.fromFlash() }

// Readable returns the payload of a data message as players get it.
func Readable(b []byte) ([]byte, bool) { return readable(b) }
