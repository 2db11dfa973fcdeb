package rtmp

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"foyer/server/amf"
)

// agentProgram begins the flashVer of connections between instances.
const agentProgram = "FlashCom/"

// fmsVersion is the version that we claim in the result of connect: Flash Media
// Server 3.5, the last one with this protocol.
const fmsVersion = "FMS/3,5,7,7009"

// ConnectRequest is a connect command (RTMP 1.0 §7.2.1.1).
type ConnectRequest struct {
	App, TCURL, FlashVer, SWFURL, PageURL string
	ObjectEncoding                        int        // 0 or 3
	Object                                amf.Object // received: the whole command object; to be sent: further members
	Args                                  amf.Args   // the user arguments after it
	// Nonces are those of the handshake; nil when there are none. Connect sets them.
	Nonces *Nonces
	// Sign returns one more member for Object, once Nonces and App are set;
	// nil: there is none.
	Sign func(*ConnectRequest) amf.Field

	c  *Conn
	tx float64
}

// ReadConnect reads messages up to the connect command. Any other command
// before it is a *ProtocolError. When ReadConnect fails, c is closed.
func ReadConnect(ctx context.Context, c *Conn) (*ConnectRequest, error) {
	stop := context.AfterFunc(ctx, func() { c.nc.Close() })
	defer stop()
	r, err := readConnect(c)
	if err != nil {
		c.Close()
		c.forget()
		return nil, ended(ctx, err)
	}
	c.nc.SetDeadline(time.Time{})
	return r, nil
}

func readConnect(c *Conn) (*ConnectRequest, error) {
	m, err := c.ReadMessage()
	if err != nil {
		return nil, err
	}
	if m.Type != TypeCommandAMF0 && m.Type != TypeCommandAMF3 {
		return nil, c.in.errorf("%v message before connect", m.Type)
	}
	cmd, err := parseCommand(m)
	if err != nil {
		return nil, c.protocolError("reading connect", err)
	}
	if cmd.name != "connect" {
		return nil, c.in.errorf("command %.100q before connect", cmd.name)
	}
	r, err := parseConnect(cmd)
	if err != nil {
		return nil, c.protocolError("reading connect", err)
	}
	r.c, r.Nonces, c.nonces = c, c.nonces, nil
	c.flash = r.fromFlash()
	return r, nil
}

// flashVersion is what a Flash Player or AIR says in flashVer: "WIN 11,2,202,235".
var flashVersion = regexp.MustCompile(`^[A-Z]{3} (\d+,\d+,\d+,\d+)$`)

// imitated are the versions that programs claim which are no Flash Player:
// ffmpeg's, and that of librtmp and GStreamer, with any platform in front.
var imitated = []string{"9,0,124,2", "10,0,32,18"}

// fromFlash reports whether the peer is a Flash Player. Those of a version that
// others imitate are known by objectEncoding, which the others leave out.
func (r *ConnectRequest) fromFlash() bool {
	m := flashVersion.FindStringSubmatch(r.FlashVer)
	if m == nil || !slices.Contains(imitated, m[1]) {
		return m != nil
	}
	_, missing := amf.Lookup(r.Object, "objectEncoding").(amf.Undefined)
	return !missing
}

// parseConnect reads everything after the name connect. Only the app must be
// there: ffmpeg sends little more.
func parseConnect(cmd *command) (*ConnectRequest, error) {
	v, err := cmd.object()
	if err != nil {
		return nil, err
	}
	args, err := cmd.args.Rest()
	if err != nil {
		return nil, err
	}
	r := &ConnectRequest{Object: members(v), Args: args, tx: cmd.tx}
	for _, f := range r.Object {
		s, _ := amf.AsString(f.Value)
		switch f.Name {
		case "app":
			r.App = s
		case "tcUrl":
			r.TCURL = s
		case "flashVer", "flashver": // the specification's spelling
			r.FlashVer = s
		case "swfUrl":
			r.SWFURL = s
		case "pageUrl":
			r.PageURL = s
		case "objectEncoding":
			if n, _ := amf.AsNumber(f.Value); n == 3 {
				r.ObjectEncoding = 3
			}
		}
	}
	return r, nil
}

// preamble returns the messages before every answer to connect, even a
// rejection, as with Flash Media Server.
func preamble() []Message {
	bandwidth := control(TypeSetPeerBandwidth, windowSize)
	bandwidth.Payload = append(bandwidth.Payload, 2) // dynamic
	return []Message{
		control(TypeWindowAckSize, windowSize),
		bandwidth,
		userControl(eventStreamBegin, 0),
		control(TypeSetChunkSize, ChunkSize),
	}
}

// Accept sends the control preamble, Set Chunk Size and the Success result,
// with extra fields appended to the information object. It also sends onBWDone,
// for which old players wait, except to other programs of this kind. A Session
// of the connection may exist already, but must not run yet.
func (r *ConnectRequest) Accept(extra ...amf.Field) error {
	properties := amf.Object{
		{Name: "fmsVer", Value: amf.String(fmsVersion)},
		{Name: "capabilities", Value: amf.Number(31)},
		{Name: "mode", Value: amf.Number(1)},
	}
	info := append(amf.Object{
		{Name: "level", Value: amf.String(LevelStatus)},
		{Name: "code", Value: amf.String(CodeConnectSuccess)},
		{Name: "description", Value: amf.String("Connection succeeded.")},
		{Name: "objectEncoding", Value: amf.Number(r.ObjectEncoding)},
	}, extra...)
	enhanced := capabilities(r.Object)
	ms := append(preamble(), commandMessage(0, false, "_result", r.tx, append(properties, enhanced...), append(info, enhanced...)))
	if !strings.HasPrefix(r.FlashVer, agentProgram) {
		ms = append(ms, commandMessage(0, false, "onBWDone", 0, amf.Null{}))
	}
	r.c.in.trust = spectator
	r.c.nc.SetWriteDeadline(time.Now().Add(r.c.cfg.HandshakeTimeout))
	if err := r.c.write(Pack(ms...)); err != nil {
		return fmt.Errorf("accepting connect: %w", err)
	}
	return r.c.nc.SetWriteDeadline(time.Time{})
}

// Reject sends the control preamble, _error with the information object, and a
// close command. Then it closes the connection so that the peer can still read
// them, which takes at most a few seconds. An err that is no *StatusError
// becomes a plain Rejected.
func (r *ConnectRequest) Reject(err error) error {
	info := statusOf(err, CodeConnectRejected, "Connection rejected.")
	ms := append(preamble(),
		commandMessage(0, false, "_error", r.tx, amf.Null{}, info.Object()),
		commandMessage(0, false, "close", 0, amf.Null{}))
	defer r.c.forget()
	defer r.c.Close()
	r.c.nc.SetWriteDeadline(time.Now().Add(flushTimeout))
	if err := r.c.write(Pack(ms...)); err != nil {
		return fmt.Errorf("rejecting connect: %w", err)
	}
	if r.c.finish() {
		r.c.drain()
	}
	return nil
}

// Connect sends r and returns the answer: the information object, or the
// *StatusError of a rejection. When it fails, c is closed.
func Connect(ctx context.Context, c *Conn, r *ConnectRequest) (info amf.Object, err error) {
	stop := context.AfterFunc(ctx, func() { c.nc.Close() })
	defer stop()
	if info, err = connect(c, r); err != nil {
		c.Close()
		c.forget()
		if _, ok := errors.AsType[*StatusError](err); ok {
			return nil, err
		}
		return nil, ended(ctx, err)
	}
	c.in.trust = publisher // the server that we connect to
	c.nc.SetDeadline(time.Time{})
	return info, nil
}

// connectTransaction is connect's transaction (RTMP 1.0 §7.2.1.1).
const connectTransaction = 1

func connect(c *Conn, r *ConnectRequest) (amf.Object, error) {
	r.Nonces, c.nonces = c.nonces, nil
	if r.Sign != nil {
		r.Object = append(slices.Clone(r.Object), r.Sign(r))
	}
	args := append([]amf.Value{r.object()}, r.Args...)
	m := commandMessage(0, false, "connect", connectTransaction, args...)
	// Some servers read no Set Chunk Size before connect.
	if err := c.write(appendChunks(nil, &m, initialChunkSize)); err != nil {
		return nil, err
	}
	for {
		m, err := c.ReadMessage()
		if err != nil {
			return nil, err
		}
		if m.Type != TypeCommandAMF0 && m.Type != TypeCommandAMF3 {
			continue
		}
		cmd, err := parseCommand(m)
		if err != nil {
			return nil, c.protocolError("reading the answer to connect", err)
		}
		switch {
		case cmd.name == "close":
			return nil, ErrGoodbye
		case cmd.tx != connectTransaction, cmd.name != "_result" && cmd.name != "_error":
			continue
		}
		v, err := cmd.result()
		if err != nil {
			return nil, c.protocolError("reading the answer to connect", err)
		}
		if cmd.name == "_error" {
			return nil, rejection(v)
		}
		return members(v), c.write(Pack(control(TypeWindowAckSize, windowSize), control(TypeSetChunkSize, ChunkSize)))
	}
}

// rejection returns the *StatusError of an _error.
func rejection(v amf.Value) error {
	e := ParseStatus(v)
	if e.Code == CodeCallFailed && len(members(v)) == 0 {
		e.Code = CodeConnectRejected
	}
	return e
}

// object returns the command object to send: the fields of r, then the other
// members of its Object.
func (r *ConnectRequest) object() amf.Object {
	o := amf.Object{{Name: "app", Value: amf.String(r.App)}}
	add := func(name, value string) {
		if value != "" {
			o = append(o, amf.Field{Name: name, Value: amf.String(value)})
		}
	}
	add("flashVer", r.FlashVer)
	add("swfUrl", r.SWFURL)
	add("tcUrl", r.TCURL)
	add("pageUrl", r.PageURL)
	o = append(o, amf.Field{Name: "objectEncoding", Value: amf.Number(r.ObjectEncoding)})
	for _, f := range r.Object {
		if _, ok := amf.Lookup(o, f.Name).(amf.Undefined); ok {
			o = append(o, f)
		}
	}
	return o
}
