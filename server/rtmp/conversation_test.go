package rtmp_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A flow is what one side sent before the other side sent something.
type flow struct {
	FromServer bool
	Bytes      []byte
}

// A conversation is kept as text: hexdumps under headings
//
//	>>> Flow 1 (client to server)
//
// so that it can be read, and so that a change of it shows in review.

// writeFlows writes a conversation.
func writeFlows(w io.Writer, flows []flow) error {
	b := bufio.NewWriter(w)
	for i, f := range flows {
		from, to := "client", "server"
		if f.FromServer {
			from, to = to, from
		}
		fmt.Fprintf(b, ">>> Flow %d (%s to %s)\n", i+1, from, to)
		d := hex.Dumper(b)
		d.Write(f.Bytes)
		d.Close()
	}
	return b.Flush()
}

// parseFlows reads a conversation.
func parseFlows(r io.Reader) (flows []flow, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, ">>> Flow ") {
			flows = append(flows, flow{FromServer: strings.Contains(line, "(server to client)")})
			continue
		}
		line, _, _ = strings.Cut(line, "|") // the text at the right
		_, line, ok := strings.Cut(line, "  ")
		if !ok {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil || len(flows) == 0 {
			return nil, fmt.Errorf("no line of a conversation: %q", lines.Text())
		}
		f := &flows[len(flows)-1]
		f.Bytes = append(f.Bytes, b...)
	}
	return flows, lines.Err()
}

// handshakeSize is how many bytes each side sends before the first chunk. They
// are random, so they are not recorded.
const handshakeSize = 1 + 2*1536

// A recorder is a server's connection that records everything after the
// handshake.
type recorder struct {
	net.Conn

	mu            sync.Mutex
	read, written int
	flows         []flow
}

// Read reads from the client.
func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.add(false, &r.read, p[:n])
	return n, err
}

// Write writes to the client.
func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.Conn.Write(p)
	r.add(true, &r.written, p[:n])
	return n, err
}

func (r *recorder) add(fromServer bool, count *int, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	skip := min(len(b), max(0, handshakeSize-*count))
	*count += len(b)
	if b = b[skip:]; len(b) == 0 {
		return
	}
	if n := len(r.flows); n == 0 || r.flows[n-1].FromServer != fromServer {
		r.flows = append(r.flows, flow{FromServer: fromServer})
	}
	f := &r.flows[len(r.flows)-1]
	f.Bytes = append(f.Bytes, b...)
}

// conversation returns the conversation so far.
func (r *recorder) conversation() []flow {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]flow(nil), r.flows...)
}

// replay sends the client's part of a conversation to the server at the other
// end of nc, after a handshake, and returns everything that the server sends.
// wait waits until the server has nothing more to send: synctest.Wait.
func replay(nc net.Conn, flows []flow, wait func()) ([]byte, error) {
	hello := make([]byte, handshakeSize)
	hello[0] = 3
	if _, err := nc.Write(hello); err != nil {
		return nil, err
	}
	var said []byte
	var mu sync.Mutex
	done := make(chan struct{})
	go func() { // ends with the connection; the end of this function waits for it
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := nc.Read(b)
			mu.Lock()
			said = append(said, b[:n]...)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	wait()
	var err error
	for _, f := range flows {
		if !f.FromServer && err == nil {
			_, err = nc.Write(f.Bytes)
			wait()
		}
	}
	nc.Close()
	<-done
	return said[min(len(said), handshakeSize):], err
}

func TestFlowsReadAsWritten(t *testing.T) {
	want := []flow{
		{Bytes: bytes.Repeat([]byte("|>>> "), 20)}, {FromServer: true, Bytes: []byte{0, 255}}, {Bytes: []byte("bye")},
	}
	var b bytes.Buffer
	if err := writeFlows(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := parseFlows(&b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
