package site

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// The limits of a connection by HTTP/2, as docs/limits.md has them.
const (
	maxHeader  = 64 << 10
	maxAhead   = 64 << 10
	maxFrame   = 16 << 10
	maxStreams = 100
)

// speakHTTP2 opens a connection of HTTP/2 and returns what the server sets.
func speakHTTP2(t *testing.T, addr string, trust *tls.Config) (*tls.Conn, *http2.Framer, map[http2.SettingID]uint32) {
	t.Helper()
	trust = trust.Clone()
	trust.NextProtos = []string{"h2"}
	c, err := tls.Dial("tcp", addr, trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := f.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	sets := make(map[http2.SettingID]uint32)
	frame.(*http2.SettingsFrame).ForeachSetting(func(s http2.Setting) error {
		sets[s.ID] = s.Val
		return nil
	})
	return c, f, sets
}

// TestHTTP2Limits: a connection may have so much and no more, and requests that
// are broken off at once end it at the latest when too many wait.
func TestHTTP2Limits(t *testing.T) {
	certFile, keyFile, trust := certificate(t)
	r := startServer(t, "--tls-cert="+certFile, "--tls-key="+keyFile)
	c, f, sets := speakHTTP2(t, r.addr["http"], trust)
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: maxStreams, http2.SettingMaxFrameSize: maxFrame, http2.SettingInitialWindowSize: maxAhead,
	} {
		if sets[id] != want {
			t.Errorf("%v is %d, want %d", id, sets[id], want)
		}
	}
	if got := sets[http2.SettingMaxHeaderListSize]; got < maxHeader || got > maxHeader+4<<10 {
		t.Errorf("a header may have %d bytes", got)
	}

	var header bytes.Buffer
	enc := hpack.NewEncoder(&header)
	for _, h := range []string{":method GET", ":scheme https", ":authority localhost", ":path /"} {
		name, value, _ := strings.Cut(h, " ")
		enc.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true})
	}
	ended := make(chan error, 1)
	go func() { // ends with the connection
		for {
			frame, err := f.ReadFrame()
			if goAway, ok := frame.(*http2.GoAwayFrame); ok {
				err = http2.ConnectionError(goAway.ErrCode)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	for id := uint32(1); id < 20000; id += 2 {
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header.Bytes(), EndStream: true, EndHeaders: true})
		if errors.Join(err, f.WriteRSTStream(id, http2.ErrCodeCancel)) != nil {
			break // it was ended
		}
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}, Timeout: patience}
	began := time.Now()
	resp, err := client.Get("https://" + r.addr["http"] + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c.Close()
	t.Logf("10,000 requests broken off: %v, and somebody else has an answer after %v", <-ended, time.Since(began))

	req, err := http.NewRequest("GET", "https://"+r.addr["http"]+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 2*maxHeader))
	resp, err = client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	if err == nil && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 128 KiB: %s", resp.Status)
	}
	r.stop()
}
