package rtmp

import (
	"bytes"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
)

// The handshake (RTMP 1.0 §5.2). go-rtmp's handshake package was considered,
// but it does not check C0, writes in pieces and keeps 4.6 KB on the stack.

const (
	rtmpVersion   = 3
	handshakeSize = 1536
)

// handshakeBuffer is on the heap and shared so that the stacks of connections,
// of which there are thousands, stay small. C0 C1, or S0 S1 S2.
type handshakeBuffer [1 + 2*handshakeSize]byte

var handshakeBuffers = sync.Pool{New: func() any { return new(handshakeBuffer) }}

// Nonces are random bytes that client and server choose in a plain handshake.
// Both sides know both nonces, and no two connections have the same: a
// signature that includes them is worth nothing on any other connection.
type Nonces struct{ Client, Server [32]byte }

// noncesAt is where nonces are in C1 and S1 (RTMP 1.0 §5.2.3: after time and
// zero).
const noncesAt = 8

func noncesOf(c1, s1 []byte) *Nonces {
	n := new(Nonces)
	copy(n.Client[:], c1[noncesAt:])
	copy(n.Server[:], s1[noncesAt:])
	return n
}

// serverHandshake does the server's side. S0, S1 and S2 go out in one write as
// soon as C1 is here, which ffmpeg needs. The content of C2 does not matter,
// since some clients echo nothing. There are no nonces when the client wanted a
// digest.
func serverHandshake(rw io.ReadWriter) (*Nonces, error) {
	in := handshakeBuffers.Get().(*handshakeBuffer)
	defer handshakeBuffers.Put(in)
	c := in[:1+handshakeSize]
	n, err := io.ReadAtLeast(rw, c, 1)
	if err != nil {
		return nil, err
	}
	if c[0] != rtmpVersion {
		err := notRTMP(c[:n])
		if errors.Is(err, errRequest) {
			io.WriteString(rw, wrongPort)
		}
		return nil, &ProtocolError{Err: err}
	}
	if _, err := io.ReadFull(rw, c[n:]); err != nil {
		return nil, err
	}
	out := handshakeBuffers.Get().(*handshakeBuffer)
	defer handshakeBuffers.Put(out)
	out[0] = rtmpVersion
	var nonces *Nonces
	if s1 := out[1 : 1+handshakeSize]; answerPlain(s1, out[1+handshakeSize:], c[1:]) {
		nonces = noncesOf(c[1:], s1)
	}
	if _, err := rw.Write(out[:]); err != nil {
		return nil, err
	}
	_, err = io.ReadFull(rw, c[1:]) // C2
	return nonces, err
}

// answerPlain fills S1 and S2 for C1, and reports whether the handshake is a
// plain one.
func answerPlain(s1, s2, c1 []byte) bool {
	fillRandom(s1)
	clear(s1[:noncesAt]) // time 0, zero: the plain handshake
	if digest, scheme := findDigest(c1); digest != nil {
		answerDigest(s1, s2, digest, scheme)
		return false
	}
	copy(s2, c1) // librtmp compares all of it
	return true
}

// clientHandshake does the client's side of the plain handshake.
func clientHandshake(rw io.ReadWriter) (*Nonces, error) {
	b := handshakeBuffers.Get().(*handshakeBuffer)
	defer handshakeBuffers.Put(b)
	c := b[:1+handshakeSize]
	fillRandom(c[1:])
	clear(c[1 : 1+noncesAt])
	c[0] = rtmpVersion
	c[handshakeSize] = '\n' // a web server answers a line, and waits for the end of one
	nonces := noncesOf(c[1:], c[1:])
	if _, err := rw.Write(c); err != nil {
		return nil, err
	}
	n, err := io.ReadAtLeast(rw, b[:], 1)
	if err != nil {
		return nil, err
	}
	if b[0] != rtmpVersion {
		return nil, &ProtocolError{Err: notRTMP(b[:n])}
	}
	if _, err := io.ReadFull(rw, b[n:]); err != nil { // S1 S2
		return nil, err
	}
	copy(nonces.Server[:], b[1+noncesAt:])
	_, err = rw.Write(b[1 : 1+handshakeSize]) // C2 echoes S1
	return nonces, err
}

// wrongPort is the answer to a browser.
const wrongPort = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
	"This port speaks RTMP. The pages of this server are at its web port: 8080, unless it is set otherwise.\n"

var errRequest = errors.New("an HTTP request")

// notRTMP names the protocol that a peer seems to speak, by its first bytes b.
func notRTMP(b []byte) error {
	for _, is := range []struct {
		first string
		what  error
	}{
		{"GET ", errRequest},
		{"HEAD ", errRequest},
		{"POST ", errors.New("an HTTP request (RTMPT is not served)")},
		{"HTTP/", ErrHTTP},
		{"<policy-file-request/>", errors.New("a Flash policy file request")},
		{"\x15\x03", errors.New("TLS (is this an rtmps port?)")},
		{"\x16\x03", errors.New("TLS (is this an rtmps port?)")},
		{"\x06", errors.New("RTMPE (encrypted RTMP is not served)")},
		{"\x08", errors.New("RTMPE (encrypted RTMP is not served)")},
	} {
		if bytes.HasPrefix(b, []byte(is.first)) {
			return fmt.Errorf("handshake: this is not RTMP but %w", is.what)
		}
	}
	return fmt.Errorf("handshake: version %d, want %d", b[0], rtmpVersion)
}

// fillRandom fills a C1 or S1. The nonce in it must be unpredictable; the other
// bytes only have to differ from peer to peer.
func fillRandom(p []byte) {
	b := p
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, rand.Uint64())
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	crand.Read(p[noncesAt : noncesAt+len(Nonces{}.Client)])
}
