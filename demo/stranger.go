//go:build !(386 || arm || mips || mipsle)

package demo

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/yutopp/go-amf0"
	gortmp "github.com/yutopp/go-rtmp"
	"github.com/yutopp/go-rtmp/handshake"
	"github.com/yutopp/go-rtmp/message"

	"foyer/server/amf"
	"foyer/server/flv"
)

// Broadcasts go through go-rtmp and go-amf0, which share no code with our
// server, so they are what a stranger's program sends. go-rtmp's client
// connection is not used: its times are not bounded, it reports neither status
// nor reason, and it does not answer pings. Only its parts are used: handshake,
// chunks, messages and AMF0. The connection is ours, and ending it ends all of
// them.
//
// go-rtmp does not build where an int has 32 bits: stranger_32.go is there instead.

// CanBroadcast reports whether this build can broadcast.
const CanBroadcast = true

const (
	writeTimeout = 10 * time.Second // for a server that does not read
	byeTimeout   = time.Second      // for a server to say that the broadcast has ended
	chunkSize    = 64 << 10         // most key frames are one chunk
	maxAnswer    = 64 << 10         // a server's command
)

// redirectCode is ex.code when connect is refused because the instance is
// elsewhere; ex.redirect says where.
const redirectCode = 302

// Chunk streams, as encoders use them.
const (
	chunksControl  = 2
	chunksCommands = 3
	chunksAudio    = 4
	chunksVideo    = 6
	chunksData     = 5
)

// Transactions of a publisher.
const (
	transactionConnect = 1 + iota
	transactionCreateStream
	transactionPublish
)

// A publisher is a connection that publishes one stream. publish starts the
// goroutine that reads, and close waits for it.
type publisher struct {
	// set by publish
	conn    net.Conn
	chunks  *gortmp.ChunkStreamer
	answers chan command  // for publish and close
	ended   chan struct{} // closed when the reader has ended

	// owned by the goroutine of publish, send and close
	stream uint32

	// guarded by mu
	mu    sync.Mutex
	live  bool
	cause error // the first reason for which it ended

	// writing has an element while go-rtmp takes a message, since it can take
	// only one at a time
	writing chan struct{}
}

// A command is a command of the server.
type command struct {
	name        string
	transaction int64
	args        amf.Args // the first is the command object
}

// code returns the code of the information object.
func (c *command) code() string {
	code, _ := amf.AsString(amf.Lookup(c.args.At(1), "code"))
	return code
}

// publish publishes a stream on a connection to a server, which it takes over.
// app is the instance ("room/blue"), stream the name with its key. ctx bounds
// the time until the stream begins. The error is a *Refusal when the server
// refuses.
func publish(ctx context.Context, conn net.Conn, tcURL, app, stream string) (*publisher, error) {
	p := &publisher{
		conn:    conn,
		answers: make(chan command, 8), // more than are asked for
		ended:   make(chan struct{}),
		writing: make(chan struct{}, 1),
	}
	stop := context.AfterFunc(ctx, func() { p.fail(context.Cause(ctx)) })
	defer stop()
	if err := p.handshake(); err != nil {
		conn.Close()
		return nil, cmpError(ctx, fmt.Errorf("handshake: %w", err))
	}
	p.chunks = gortmp.NewChunkStreamer(bufio.NewReader(conn), bufio.NewWriterSize(conn, 16<<10), nil)
	// It acknowledges bytes by calling a nil func. A publisher never gets as
	// much as a gigabyte.
	if err := p.chunks.PeerState().SetAckWindowSize(math.MaxInt32); err != nil {
		p.fail(err)
	}
	go p.read()
	if err := p.begin(tcURL, app, stream); err != nil {
		p.close()
		return nil, cmpError(ctx, err)
	}
	return p, nil
}

// cmpError returns why ctx ended, if it has, else err.
func cmpError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// handshake does the plain handshake (RTMP 1.0 §5.2).
func (p *publisher) handshake() (err error) {
	defer recovered(&err)
	in := &beginning{Reader: p.conn}
	err = handshake.HandshakeWithServer(in, p.conn, &handshake.Config{SkipHandshakeVerification: true})
	if string(in.bytes) == httpVersion {
		return ErrHTTP // go-rtmp looks at no version
	}
	return err
}

// httpVersion is how a web server begins an answer.
const httpVersion = "HTTP/"

// A beginning keeps the first bytes that are read.
type beginning struct {
	io.Reader
	bytes []byte
}

// Read is io.Reader.
func (b *beginning) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.bytes = append(b.bytes, p[:min(n, len(httpVersion)-len(b.bytes))]...)
	return n, err
}

// begin connects and publishes (§7.2.1.1, §7.2.2.6).
func (p *publisher) begin(tcURL, app, stream string) error {
	connect := &message.NetConnectionConnect{Command: message.NetConnectionConnectCommand{
		App: app, Type: "nonprivate", FlashVer: "FMLE/3.0 (compatible; foyer, go-rtmp)", TCURL: tcURL,
	}}
	if err := p.command(0, "connect", transactionConnect, connect); err != nil {
		return err
	}
	if _, err := p.answer("_result", transactionConnect); err != nil {
		return err
	}
	// connect has been answered, so no message is on its way that the new size
	// would split differently, and the announcement itself is one chunk with
	// either size.
	if err := p.chunks.SelfState().SetChunkSize(chunkSize); err != nil {
		return err
	}
	if err := p.lost(p.write(chunksControl, 0, 0, &message.SetChunkSize{ChunkSize: chunkSize})); err != nil {
		return err
	}
	if err := p.command(0, "createStream", transactionCreateStream, &message.NetConnectionCreateStream{}); err != nil {
		return err
	}
	result, err := p.answer("_result", transactionCreateStream)
	if err != nil {
		return err
	}
	id, ok := amf.AsNumber(result.args.At(1))
	if !ok || id < 1 || id > math.MaxUint32 {
		return errors.New("the server gave no stream to publish on")
	}
	p.stream = uint32(id)
	if err := p.command(p.stream, "publish", transactionPublish, &message.NetStreamPublish{PublishingName: stream, PublishingType: "live"}); err != nil {
		return err
	}
	_, err = p.answer("onStatus", transactionPublish)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = true
	return nil
}

// answer waits for a command of the server.
func (p *publisher) answer(name string, transaction int64) (command, error) {
	for {
		select {
		case c := <-p.answers:
			if c.name == name && (c.transaction == transaction || c.code() == "NetStream.Publish.Start") {
				return c, nil
			}
		case <-p.ended:
			return command{}, p.reason()
		}
	}
}

// send publishes a tag at a time of the stream, in ms, of which the wire
// carries 32 bits. go-rtmp writes correct chunks as long as the times of each
// chunk stream begin at 0 and go forward, even past 32 bits. Otherwise it would
// need an extended timestamp, which it leaves out of a message's second chunk.
func (p *publisher) send(t tag, at int64) error {
	ts := uint32(at)
	switch t.media {
	case flv.Audio:
		return p.lost(p.write(chunksAudio, p.stream, ts, &message.AudioMessage{Payload: bytes.NewReader(t.data)}))
	case flv.Video:
		return p.lost(p.write(chunksVideo, p.stream, ts, &message.VideoMessage{Payload: bytes.NewReader(t.data)}))
	}
	data, err := scriptMessage(t.data)
	if err != nil {
		return nil // pictures and sound continue without it
	}
	return p.lost(p.write(chunksData, p.stream, ts, data))
}

// lost returns why a message could not be written: the server's last words, if
// there are any, else err.
func (p *publisher) lost(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-p.ended:
	case <-time.After(byeTimeout):
	}
	p.fail(err)
	return p.reason()
}

// command sends a command.
func (p *publisher) command(stream uint32, name string, transaction int64, args message.AMFConvertible) error {
	var body bytes.Buffer
	if err := message.EncodeBodyAnyValues(amf0.NewEncoder(&body), args); err != nil {
		return err
	}
	return p.lost(p.write(chunksCommands, stream, 0, &message.CommandMessage{CommandName: name, TransactionID: transaction, Body: &body}))
}

// write gives go-rtmp a message. It returns when the message waits to be
// written, once the one before it on the same chunk stream has been written.
func (p *publisher) write(chunks int, stream, timestamp uint32, m message.Message) (err error) {
	p.writing <- struct{}{}
	defer func() { <-p.writing }()
	defer recovered(&err)
	select {
	case <-p.chunks.Done():
		return errGone
	default:
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), writeTimeout, errors.New("the server does not read"))
	defer cancel()
	err = p.chunks.Write(ctx, chunks, timestamp, &gortmp.ChunkMessage{StreamID: stream, Message: m})
	if errors.Is(err, context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	return err
}

// read reads until the connection ends.
func (p *publisher) read() {
	defer close(p.ended)
	for {
		m, err := p.readMessage()
		if err == nil {
			err = p.handle(m)
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
				err = errGone
			}
			p.fail(err)
			return
		}
	}
}

// readMessage reads one message. go-rtmp panics on an empty one.
func (p *publisher) readMessage() (m message.Message, err error) {
	defer recovered(&err)
	var c gortmp.ChunkMessage
	_, _, err = p.chunks.Read(&c)
	return c.Message, err
}

// handle takes a message of the server.
func (p *publisher) handle(m message.Message) error {
	switch m := m.(type) {
	case *message.SetChunkSize:
		return p.chunks.PeerState().SetChunkSize(m.ChunkSize)
	case *message.UserCtrl:
		if ping, ok := m.Event.(*message.UserCtrlEventPingRequest); ok {
			// If this cannot be written, the sender finds out.
			p.write(chunksControl, 0, 0, &message.UserCtrl{Event: &message.UserCtrlEventPingResponse{Timestamp: ping.Timestamp}})
		}
	case *message.CommandMessage:
		// Our own package reads it, since go-amf0 believes every length.
		body, err := io.ReadAll(io.LimitReader(m.Body, maxAnswer))
		if err != nil {
			return err
		}
		args, err := amf.NewDecoder(body).Rest()
		if err != nil {
			return fmt.Errorf("reading %s: %w", m.CommandName, err)
		}
		return p.handleCommand(command{m.CommandName, m.TransactionID, args})
	}
	return nil
}

// handleCommand takes a command of the server.
func (p *publisher) handleCommand(c command) error {
	switch c.name {
	case "close":
		return errGone
	case "_error":
		return refusal(c.args)
	case "onStatus":
		r := refusal(c.args)
		level, _ := amf.AsString(amf.Lookup(c.args.At(1), "level"))
		p.mu.Lock()
		r.Late = p.live
		p.mu.Unlock()
		switch {
		case strings.HasPrefix(r.Code, "NetConnection.") && r.Late:
			return fmt.Errorf("%w: %s", errGone, r.Description) // it is stopping, or wants this connection to end
		case level == "error", r.Late && r.Code == "NetStream.Unpublish.Success":
			return r
		}
	}
	select {
	case p.answers <- c:
	default: // more than were asked for
	}
	return nil
}

// refusal returns an answer or status as a reason.
func refusal(args amf.Args) *Refusal {
	r := &Refusal{}
	r.Code, _ = amf.AsString(amf.Lookup(args.At(1), "code"))
	r.Description, _ = amf.AsString(amf.Lookup(args.At(1), "description"))
	ex := amf.Lookup(args.At(1), "ex")
	if code, _ := amf.AsNumber(amf.Lookup(ex, "code")); code == redirectCode {
		r.redirect, _ = amf.AsString(amf.Lookup(ex, "redirect"))
	}
	return r
}

// fail ends the connection. The first reason counts.
func (p *publisher) fail(err error) {
	p.mu.Lock()
	if p.cause == nil {
		p.cause = err
	}
	p.mu.Unlock()
	p.conn.Close()
}

// reason returns why the connection ended.
func (p *publisher) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

// close ends the broadcast, tells the server if it can, and waits until nothing
// of the connection is left.
func (p *publisher) close() {
	p.mu.Lock()
	live := p.live && p.cause == nil
	p.live = false // from here on, this end closes the connection
	p.mu.Unlock()
	p.conn.SetWriteDeadline(time.Now().Add(byeTimeout))
	if live && p.command(0, "deleteStream", 0, &message.NetStreamDeleteStream{StreamID: p.stream}) == nil {
		bye := time.After(byeTimeout)
		for said := false; !said; {
			select {
			case c := <-p.answers:
				said = c.code() == "NetStream.Unpublish.Success"
			case <-p.ended:
				said = true
			case <-bye:
				said = true
			}
		}
	}
	p.fail(errGone)
	p.chunks.Close()
	<-p.chunks.Done()
	<-p.ended
}

// scriptMessage returns a script tag as a message. It keeps the metadata of a
// file that is also true of a live stream.
func scriptMessage(tag []byte) (*message.DataMessage, error) {
	d := amf.NewDecoder(tag)
	first, err := d.Next()
	name, _ := amf.AsString(first)
	if name == "@setDataFrame" {
		first, err = d.Next()
		name, _ = amf.AsString(first)
	}
	if err != nil || name == "" {
		return nil, cmp.Or(err, errors.New("data without a name"))
	}
	if name != "onMetaData" {
		return &message.DataMessage{Name: name, Body: bytes.NewReader(tag[d.Offset():])}, nil
	}
	v, err := d.Next()
	if err != nil {
		return nil, err
	}
	meta := amf0.ECMAArray{}
	for _, f := range fields(v) {
		switch x := f.Value.(type) {
		case amf.Number:
			meta[f.Name] = float64(x)
		case amf.Bool:
			meta[f.Name] = bool(x)
		case amf.String:
			meta[f.Name] = string(x)
		}
	}
	for _, name := range []string{"duration", "filesize", "lasttimestamp", "lastkeyframetimestamp", "lastkeyframelocation"} {
		delete(meta, name)
	}
	var body bytes.Buffer
	err = message.EncodeBodyAnyValues(amf0.NewEncoder(&body), &message.NetStreamSetDataFrame{AmfData: meta})
	return &message.DataMessage{Name: "@setDataFrame", Body: &body}, err
}

// fields returns the members of an object or array.
func fields(v amf.Value) []amf.Field {
	switch v := v.(type) {
	case amf.Object:
		return v
	case amf.ECMAArray:
		return v
	}
	return nil
}

// recovered turns a panic in go-rtmp into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("go-rtmp: %v", r)
	}
}
