package rtmp_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

func TestHandshake(t *testing.T) {
	client, server := net.Pipe() // net.Pipe shows each write as it was made
	done := make(chan error)
	go func() { done <- rtmp.ServerHandshake(server) }()
	if err := rtmp.ClientHandshake(client); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// S0, S1 and S2 come in one write, right after C1, and S2 is C1.
func TestPlainHandshake(t *testing.T) {
	client, server := net.Pipe()
	done := make(chan error)
	go func() { done <- rtmp.ServerHandshake(server) }()
	c1 := bytes.Repeat([]byte("x"), 1536)
	client.Write([]byte{3})
	client.Write(c1[:100])
	client.Write(c1[100:])
	s := make([]byte, 4000)
	n, err := client.Read(s)
	if n != 3073 || err != nil || s[0] != 3 {
		t.Errorf("%d bytes, %v, version %d", n, err, s[0])
	}
	if !bytes.Equal(s[5:9], make([]byte, 4)) {
		t.Errorf("S1 says version %x: no plain handshake", s[5:9])
	}
	if !bytes.Equal(s[1537:3073], c1) {
		t.Error("S2 is not C1")
	}
	client.Write(make([]byte, 1536)) // an empty C2
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A Flash Player's C1 has a digest, and so must S1 and S2.
func TestDigestHandshake(t *testing.T) {
	for scheme := range 2 {
		client, server := net.Pipe()
		done := make(chan error)
		go func() { done <- rtmp.ServerHandshake(server) }()
		c1 := bytes.Repeat([]byte{200}, 1536)
		copy(c1[4:], []byte{9, 0, 124, 2})
		at := rtmp.DigestAt(c1, scheme)
		digest := rtmp.DigestOf(c1, at, rtmp.PlayerKey)
		copy(c1[at:], digest)
		client.Write(append([]byte{3}, c1...))
		s := make([]byte, 3073)
		if _, err := io.ReadFull(client, s); err != nil {
			t.Fatal(err)
		}
		s1, s2 := s[1:1537], s[1537:]
		at = rtmp.DigestAt(s1, scheme)
		if !hmac.Equal(s1[at:at+32], rtmp.DigestOf(s1, at, rtmp.ServerKey)) {
			t.Errorf("scheme %d: S1 has no valid digest", scheme)
		}
		h := hmac.New(sha256.New, rtmp.FullServerKey)
		h.Write(digest)
		sign := hmac.New(sha256.New, h.Sum(nil))
		sign.Write(s2[:1504])
		if !hmac.Equal(s2[1504:], sign.Sum(nil)) {
			t.Errorf("scheme %d: S2 is not signed", scheme)
		}
		client.Write(make([]byte, 1536))
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestDigestThatIsNone(t *testing.T) {
	c1 := make([]byte, 1536)
	c1[4] = 9
	if d, _ := rtmp.FindDigest(c1); d != nil {
		t.Error("found a digest in zeros")
	}
}

func TestNotRTMP(t *testing.T) {
	for _, test := range []struct{ first, want string }{
		{"GET / HTTP/1.1\r\n", "not RTMP but an HTTP request"},
		{"POST /open/1 HTTP/1.1\r\n", "RTMPT is not served"},
		{"<policy-file-request/>\x00", "Flash policy file request"},
		{"\x16\x03\x01\x02\x00", "TLS"},
		{"\x06" + strings.Repeat("x", 1536), "RTMPE"},
		{"\x04abc", "version 4, want 3"},
		{"\x00", "version 0, want 3"},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := rtmptest.Pipe()
			client.Write([]byte(test.first))
			_, err := rtmp.NewServerConn(t.Context(), server, nil)
			wantProtocolError(t, err, test.want)
			answer, _ := io.ReadAll(client)
			if browser := strings.HasPrefix(test.first, "GET "); browser != bytes.HasPrefix(answer, []byte("HTTP/1.1 400 Bad Request\r\n")) || !browser && len(answer) > 0 {
				t.Errorf("%q was answered %q", test.first, answer)
			}
		})
	}
}

// A client that finds a web server hears so.
func TestWebPort(t *testing.T) {
	for _, test := range []struct {
		answer string
		http   bool
		want   string
	}{
		{"HTTP/1.1 400 Bad Request\r\n\r\n", true, "not RTMP but an HTTP answer"},
		{"\x15\x03\x03\x00\x02\x02\x46", false, "TLS"},
		{"\x00", false, "version 0, want 3"},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := rtmptest.Pipe()
			go func() {
				c := make([]byte, 1537)
				if io.ReadFull(server, c); c[1536] != '\n' {
					t.Error("a web server would wait for the end of the line")
				}
				server.Write([]byte(test.answer))
				server.Close()
			}()
			_, err := rtmp.NewClientConn(t.Context(), client, nil)
			wantProtocolError(t, err, test.want)
			if errors.Is(err, rtmp.ErrHTTP) != test.http {
				t.Errorf("%q: %v", test.answer, err)
			}
		})
	}
}

// Connections that never get to connect are closed in time, however slowly they
// send.
func TestBombBytePerMinute(t *testing.T) {
	for name, start := range map[string]int{"before C0": 0, "in C1": 1000, "in C2": 1537 + 100, "before connect": 3073} {
		synctest.Test(t, func(t *testing.T) {
			client, server := rtmptest.Pipe()
			begun := time.Now()
			go func() {
				b := append([]byte{3}, make([]byte, 3072)...)
				client.Write(b[:start])
				for {
					time.Sleep(time.Minute)
					if _, err := client.Write([]byte{2}); err != nil {
						return
					}
				}
			}()
			go io.Copy(io.Discard, client)
			c, err := rtmp.NewServerConn(t.Context(), server, nil)
			if err == nil {
				_, err = rtmp.ReadConnect(t.Context(), c)
			}
			if err != rtmp.ErrTimeout {
				t.Errorf("%s: %v", name, err)
			}
			if d := time.Since(begun); d != 10*time.Second {
				t.Errorf("%s: after %v", name, d)
			}
			time.Sleep(2 * time.Minute) // the client finds out by then
		})
	}
}

func TestLeavesInHandshake(t *testing.T) {
	client, server := rtmptest.Pipe()
	client.Write([]byte{3, 0, 0})
	client.Close()
	if _, err := rtmp.NewServerConn(t.Context(), server, nil); err != rtmp.ErrClosed {
		t.Error(err)
	}
}

// TestNonces: both sides know the same two nonces, and never the same again.
func TestNonces(t *testing.T) {
	seen := make(map[[32]byte]bool)
	for range 10 {
		cnc, snc := rtmptest.Pipe()
		served := make(chan *rtmp.ConnectRequest, 1)
		go func() {
			defer close(served)
			c, err := rtmp.NewServerConn(t.Context(), snc, nil)
			if err != nil {
				return
			}
			if r, err := rtmp.ReadConnect(t.Context(), c); err == nil {
				r.Accept()
				served <- r
			}
		}()
		var signed rtmp.Nonces
		c, err := rtmp.NewClientConn(t.Context(), cnc, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = rtmp.Connect(t.Context(), c, &rtmp.ConnectRequest{App: "a", Sign: func(r *rtmp.ConnectRequest) amf.Field {
			signed = *r.Nonces
			return amf.Field{Name: "said", Value: amf.String(r.App)}
		}})
		r := <-served
		if err != nil || r == nil {
			t.Fatal(err)
		}
		if *r.Nonces != signed || amf.Lookup(r.Object, "said") != amf.String("a") {
			t.Errorf("the server got %v and %v, the client %v", r.Nonces, r.Object, signed)
		}
		if seen[signed.Client] || seen[signed.Server] || signed.Client == signed.Server {
			t.Error("a nonce came again")
		}
		seen[signed.Client], seen[signed.Server] = true, true
		cnc.Close()
		snc.Close()
	}
}

// TestNoNoncesWithADigest: the digest of a Flash Player proves nothing, so
// there are no nonces.
func TestNoNoncesWithADigest(t *testing.T) {
	cnc, snc := rtmptest.Pipe()
	defer cnc.Close()
	served := make(chan *rtmp.ConnectRequest, 1)
	go func() {
		defer close(served)
		if c, err := rtmp.NewServerConn(t.Context(), snc, nil); err == nil {
			r, _ := rtmp.ReadConnect(t.Context(), c)
			served <- r
		}
	}()
	c1 := bytes.Repeat([]byte{200}, 1536)
	copy(c1[4:], []byte{9, 0, 124, 2})
	at := rtmp.DigestAt(c1, 0)
	copy(c1[at:], rtmp.DigestOf(c1, at, rtmp.PlayerKey))
	cnc.Write(append([]byte{3}, c1...))
	m := rtmp.CommandMessage(0, false, "connect", 1, amf.Object{{Name: "app", Value: amf.String("a")}})
	cnc.Write(rtmp.AppendChunks(make([]byte, 1536), &m, 128)) // C2 first
	if r := <-served; r == nil || r.Nonces != nil {
		t.Errorf("got %+v", r)
	}
}
