package web

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"foyer/media"
	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// The messages of a publisher: real parameters of H.264, and payloads about as long as
// frames.
const (
	liveSPS  = "\x67\x42\xc0\x28\xd9\x00\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc9\x20"
	liveMeta = "\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x05width\x00\x40\x74\x00\x00\x00\x00\x00\x00\x00\x00\x09"
	liveAVC  = "\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe1\x00\x19" + liveSPS + "\x01\x00\x04\x68\xcb\x8c\xb2"
	liveKey  = "\x17\x01\x00\x00\x00\x00\x00\x00\x05\x65\x88\x84\x00\x10"
	liveInt  = "\x27\x01\x00\x00\x00\x00\x00\x00\x05\x41\x9a\x00\x00\x10"
	liveAAC  = "\xaf\x00\x12\x10"
)

// A studio is a server with rooms that can be published to.
type studio struct {
	host    *server.Host
	handler *Handler
	web     *httptest.Server
	rtmp    string // address of room blue
}

// newStudio makes a studio. cfg may change the configuration before the web side is
// made.
func newStudio(t *testing.T, change func(*server.Host, *Config)) *studio {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &studio{host: &server.Host{Log: testLog(t)}, rtmp: "rtmp://" + ln.Addr().String() + "/room/blue"}
	s.host.Handle("room", func() server.Application {
		return room.New(room.Config{AdminToken: "token", Takeover: true, StreamKey: func(string, int64) string { return "k" }})
	})
	cfg := Config{Host: s.host, Log: testLog(t), Grace: time.Hour, MetricsFrom: here}
	if change != nil {
		change(s.host, &cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.host.Serve(ctx, ln) }()
	s.handler = New(cfg)
	s.web = httptest.NewServer(s.handler)
	t.Cleanup(func() {
		s.host.Stop(context.Background())
		s.handler.Close()
		s.web.Close()
		cancel()
		<-served
	})
	return s
}

// publish publishes to room blue; stop ends it without a goodbye.
func (s *studio) publish(t *testing.T, name string) (send func(at uint32, bodies ...string), stop func()) {
	t.Helper()
	session, _, err := rtmp.Dial(t.Context(), s.rtmp, &rtmp.ConnectRequest{}, rtmp.DialOptions{Handler: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- session.Run(context.Background()) }()
	stop = func() { session.Close(nil); <-session.Done() }
	t.Cleanup(func() { session.Close(nil); <-ran })
	st, err := session.CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Publish(t.Context(), name+"?key=k", "live"); err != nil {
		t.Fatal(err)
	}
	return func(at uint32, bodies ...string) {
		for _, body := range bodies {
			m := rtmp.Message{Type: rtmp.TypeVideo, Timestamp: at, Payload: []byte(body)}
			switch body[0] >> 4 {
			case 0:
				m.Type = rtmp.TypeDataAMF0
			case 10:
				m.Type = rtmp.TypeAudio
			}
			if err := st.WriteMessage(m); err != nil {
				return // it has been ended
			}
		}
	}, stop
}

// quiet is the handler of a connection on which nobody calls.
type quiet struct{}

func (quiet) ServeCall(c *rtmp.Call) { c.Reply(amf.Null{}) }

// get sends a request, and does not read the answer to its end.
func (s *studio) get(t *testing.T, method, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.web.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "player")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// clients waits until that many clients are in the rooms.
func (s *studio) clients(t *testing.T, protocol string, want int) {
	t.Helper()
	var n int
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if n = s.host.Stats().Clients["room"][protocol]; n == want {
			return
		}
	}
	t.Fatalf("%d clients by %s, want %d", n, protocol, want)
}

// figure reads a value of /metrics.
func (s *studio) figure(t *testing.T, name string) float64 {
	t.Helper()
	body, err := io.ReadAll(s.get(t, "GET", "/metrics").Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(body), "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	f, err := strconv.ParseFloat(value, 64)
	if !ok || err != nil {
		t.Errorf("%s is %q", name, value)
	}
	return f
}

func TestHTTPFLV(t *testing.T) {
	s := newStudio(t, nil)
	send, stop := s.publish(t, "live")
	send(5000, liveMeta, liveAVC, liveAAC, liveKey)
	resp := s.get(t, "GET", "/live/blue/live.flv")
	for name, want := range map[string]string{
		"Content-Type": "video/x-flv", "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "no-store",
	} {
		if got := resp.Header.Get(name); got != want || resp.StatusCode != 200 {
			t.Errorf("%d, %s: %q, want %q", resp.StatusCode, name, got, want)
		}
	}
	s.clients(t, "other", 1)
	send(6000, liveKey)
	send(6040, liveInt, "\xaf\x01\x21\x00\x49\x90")
	flv, err := media.NewFLVReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(types ...rtmp.MessageType) (last rtmp.Message) {
		t.Helper()
		for _, typ := range types {
			m, err := flv.Next()
			if err != nil || m.Type != typ {
				t.Fatalf("got %v %x, %v, want %v", m.Type, m.Payload, err, typ)
			}
			last = m
		}
		return last
	}
	const data, video, audio = rtmp.TypeDataAMF0, rtmp.TypeVideo, rtmp.TypeAudio
	if m := expect(data, video, audio); m.Timestamp != 0 {
		t.Errorf("headers at %d", m.Timestamp)
	}
	first := expect(video)
	if string(first.Payload) != liveKey || first.Timestamp != 0 {
		t.Errorf("begins with %x at %d", first.Payload, first.Timestamp)
	}
	for string(expect(video).Payload) != liveInt { // from this key frame, or the one before
	}
	last := expect(audio)
	if last.Timestamp != 40 && last.Timestamp != 1040 {
		t.Errorf("sound at %d", last.Timestamp)
	}

	if n, sent := s.figure(t, `foyer_http_viewers{way="flv"}`), s.figure(t, `foyer_sent_bytes_total{transport="flv"}`); n != 1 || sent < 100 {
		t.Errorf("metrics: %v viewers, %v bytes", n, sent)
	}

	// A publisher that is lost and comes back within the grace time continues. Its new
	// time begins at 0.
	stop()
	again, _ := s.publish(t, "live")
	again(0, liveAVC, liveAAC, liveKey)
	if m := expect(video, audio, video); m.Timestamp < last.Timestamp || m.Timestamp > last.Timestamp+100 {
		t.Errorf("goes on at %d after %d", m.Timestamp, last.Timestamp)
	}
}

// A publisher that is away for longer than the grace time is not waited for.
func TestHTTPFLVGrace(t *testing.T) {
	s := newStudio(t, func(_ *server.Host, cfg *Config) { cfg.Grace = 200 * time.Millisecond })
	send, stop := s.publish(t, "live")
	send(0, liveAVC, liveKey)
	resp := s.get(t, "GET", "/live/blue/live.flv")
	s.clients(t, "other", 1)
	stop()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	s.clients(t, "other", 0)
}

func TestLiveNotThere(t *testing.T) {
	s := newStudio(t, nil)
	if err := s.host.Start("room/blue"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/live/blue/live.flv", "/live/blue/live.m3u8", "/live/nowhere/live.flv", "/live/nowhere/live.m3u8", "/live/blue/live/main_stream.m3u8"} {
		for _, method := range []string{"GET", "HEAD"} {
			resp := s.get(t, method, path)
			if resp.StatusCode != 404 || resp.Header.Get("Retry-After") != liveRetry || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s %s: %d, %v", method, path, resp.StatusCode, resp.Header)
			}
			if body, _ := io.ReadAll(resp.Body); method == "GET" {
				wantProblem(t, resp, string(body), 404)
			}
		}
	}
	if s.host.Stats().Instances["room"] != 1 {
		t.Error("asking has started a room")
	}
	for _, path := range []string{"/live/blue/live.exe", "/live/blue/.flv", "/live/bl%20ue/live.flv", "/live/blue/a%2Fb.flv", "/live/blue", "/live/a/b/c/d", "/recordings/blue/x.flv"} {
		resp := s.get(t, "GET", path)
		if resp.StatusCode != 404 || resp.Header.Get("Retry-After") != "" {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, resp.Header)
		}
	}
	for _, path := range []string{"/live/blue/live.flv", "/live/blue/live.m3u8", "/recordings/blue/x.flv"} {
		if resp := s.get(t, "POST", path); resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
			t.Errorf("POST %s: %d", path, resp.StatusCode)
		}
		if resp := s.get(t, "OPTIONS", path); resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Methods") == "" {
			t.Errorf("OPTIONS %s: %d", path, resp.StatusCode)
		}
	}
	send, _ := s.publish(t, "live")
	send(0, liveAVC, liveKey)
	if resp := s.get(t, "HEAD", "/live/blue/live.flv"); resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "video/x-flv" {
		t.Errorf("HEAD: %d, %v", resp.StatusCode, resp.Header)
	}
	s.clients(t, "other", 0)
}

// A viewer that stops reading is closed. Another viewer misses nothing.
func TestHTTPFLVStall(t *testing.T) {
	s := newStudio(t, nil)
	s.handler.live.write = 300 * time.Millisecond
	send, _ := s.publish(t, "live")
	send(0, liveAVC, liveKey)
	stalled, err := net.Dial("tcp", s.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	fmt.Fprint(stalled, "GET /live/blue/live.flv HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(stalled).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	resp := s.get(t, "GET", "/live/blue/live.flv")
	s.clients(t, "other", 2)
	flv, err := media.NewFLVReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	// 40 MB: more than the sockets and the queue hold. Each frame is awaited before the
	// next is sent, so that only a viewer that reads nothing falls behind.
	for i := range 400 {
		send(uint32(i)*40, fmt.Sprintf("%s%03d%0102400d", liveKey, i, 0))
		for big := false; !big; {
			m, err := flv.Next()
			if err != nil {
				t.Fatalf("waiting for frame %d: %v", i, err)
			}
			if big = len(m.Payload) > 100<<10; big {
				if n, err := strconv.Atoi(string(m.Payload[len(liveKey):][:3])); n != i {
					t.Fatalf("frame %d instead of %d, %v", n, i, err)
				}
			}
		}
	}
	s.clients(t, "other", 1)
}

func TestHTTPFLVKick(t *testing.T) {
	s := newStudio(t, nil)
	send, _ := s.publish(t, "live")
	send(0, liveAVC, liveKey)
	resp := s.get(t, "GET", "/live/blue/live.flv")
	s.clients(t, "other", 1)
	s.host.Stop(context.Background())
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
}

func TestHLSViewers(t *testing.T) {
	s := newStudio(t, nil)
	send, stop := s.publish(t, "live")
	send(0, liveAVC)
	for at := uint32(0); at < 5000; at += 40 {
		body := liveInt
		if at%1000 == 0 {
			body = liveKey
		}
		send(at, body)
	}
	enough, done := make(chan struct{}), make(chan struct{})
	go func() { // publish until everything is seen: the muxer has begun with the last key frame
		defer close(done)
		for at := uint32(5000); ; at += 40 {
			body := liveInt
			if at%1000 == 0 {
				body = liveKey
			}
			send(at, body)
			select {
			case <-enough:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	end := sync.OnceFunc(func() { close(enough); <-done })
	defer end()
	resp := s.get(t, "GET", "/live/blue/live.m3u8")
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/vnd.apple.mpegurl" || !strings.Contains(string(body), "\nlive/video1_stream.m3u8") {
		t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	s.clients(t, "other", 0) // a client that only asks for a playlist is no viewer
	asked := time.Now()
	first, second := s.segment(t), s.segment(t) // of one address, with one agent
	for range 3 {
		for _, path := range []string{first, second} {
			if resp := s.get(t, "GET", path); resp.StatusCode != 200 {
				t.Errorf("%s: %d", path, resp.StatusCode)
			}
		}
	}
	s.clients(t, "other", 2) // many requests, two sessions
	for _, path := range []string{"/live/blue/live/none.mp4", "/live/blue/live/none.mp4?session=none"} {
		if resp := s.get(t, "GET", path); resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	bare, _, _ := strings.Cut(first, "?")
	for _, path := range []string{bare, bare + "?session=" + strings.Repeat("x", 5000), bare + "?session=%0a"} {
		if resp := s.get(t, "GET", path); resp.StatusCode != 200 {
			t.Errorf("without a session: %d", resp.StatusCode)
		}
	}
	s.clients(t, "other", 2)
	if n, streams := s.figure(t, `foyer_http_viewers{way="hls"}`), s.figure(t, "foyer_hls_streams"); n != 2 || streams != 1 {
		t.Errorf("metrics: %v viewers, %v streams", n, streams)
	}
	if n := s.figure(t, `foyer_sent_bytes_total{transport="hls"}`); n < 100 {
		t.Errorf("metrics: %v bytes", n)
	}
	end()
	key := streamName{"blue", "live"}
	l := s.handler.live
	stream := l.open(key, nil)
	if l.sweep(stream, asked.Add(hlsViewerGone-time.Second)) {
		t.Error("unused too early")
	}
	s.clients(t, "other", 2)
	if l.sweep(stream, time.Now().Add(hlsViewerGone+time.Second)) {
		t.Error("unused before it lingered")
	}
	s.clients(t, "other", 0)
	if !l.sweep(stream, time.Now().Add(hlsLinger+time.Second)) {
		t.Error("lingers for ever")
	}
	stop()
	if l.open(key, nil) != stream {
		t.Error("the publisher's going ends it at once")
	}
}

// TestHLSEnds: when the publisher says that it ends, players are told so at once. The
// next broadcast has another playlist, and theirs is still there.
func TestHLSEnds(t *testing.T) {
	s := newStudio(t, nil)
	text := func(path string, status int) string {
		t.Helper()
		resp := s.get(t, "GET", path)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != status || status == 200 && resp.ContentLength != int64(len(body)) {
			t.Fatalf("%s: %d, %d bytes announced: %s", path, resp.StatusCode, resp.ContentLength, body)
		}
		return string(body)
	}
	list := func() string {
		t.Helper()
		return "/live/blue/" + regexp.MustCompile(`live/video1_stream\.m3u8\?\S+`).FindString(text("/live/blue/live.m3u8", 200))
	}
	broadcast := func() (stop func()) {
		send, hangUp := s.publish(t, "live")
		send(0, liveAVC)
		ctx, cancel := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		sending.Go(func() {
			for at := uint32(0); ctx.Err() == nil; at += 40 {
				body := liveInt
				if at%1000 == 0 {
					body = liveKey
				}
				send(at, body)
				time.Sleep(time.Millisecond)
			}
		})
		return func() { cancel(); sending.Wait(); hangUp() }
	}
	stop := broadcast()
	old := list()
	if now := text(old, 200); strings.Contains(now, "ENDLIST") {
		t.Fatal(now)
	}
	stop()
	var end string
	for begin := time.Now(); !strings.HasSuffix(end, "#EXT-X-ENDLIST\n"); end = text(old, 200) {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("no end: %s", end)
		}
	}
	text("/live/blue/live.m3u8", 404)
	defer broadcast()()
	if now := list(); strings.Contains(text(now, 200), "ENDLIST") || now == old {
		t.Errorf("the next broadcast is at %s, this one was at %s", now, old)
	}
	if again := text(old, 200); again != end {
		t.Errorf("has changed: %s", again)
	}
	for _, name := range regexp.MustCompile(`\n([A-Z0-9]\S+_seg\S+)\n`).FindAllStringSubmatch(end, -1) {
		if b := text("/live/blue/live/"+name[1], 200); b == "" {
			t.Errorf("%s is empty", name[1])
		}
	}
	text("/live/blue/live/video1_stream.m3u8?show=UNKNOWN", 404)
}

// segment returns the address of a segment of a new playlist.
func (s *studio) segment(t *testing.T) string {
	t.Helper()
	address := func(path, what string) string {
		body, _ := io.ReadAll(s.get(t, "GET", path).Body)
		for line := range strings.Lines(string(body)) {
			if line = strings.TrimSpace(line); strings.Contains(line, what) && !strings.HasPrefix(line, "#") {
				return "/live/blue/" + strings.TrimPrefix(line, "/")
			}
		}
		t.Fatalf("%s has no %s:\n%s", path, what, body)
		return ""
	}
	list := address("/live/blue/live.m3u8", "video1_stream.m3u8?session=")
	return strings.Replace(address(list, ".mp4?session="), "/live/blue/", "/live/blue/live/", 1)
}

// Over its bounds a session is served and not counted.
func TestHLSBounds(t *testing.T) {
	var s hlsStream
	s.viewers, s.sources = make(map[string]*hlsViewer), make(map[netip.Prefix]int)
	one, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	s.sources[one] = MaxHLSSessions
	if s.roomFor(one) || !s.roomFor(other) {
		t.Error("the bound for an address does not hold, or holds for another")
	}
	for i := range MaxHLSViewers {
		s.viewers[strconv.Itoa(i)] = nil
	}
	if s.roomFor(other) {
		t.Error("the bound for a stream does not hold")
	}
}

// program returns a command of a real program; without it the test is skipped,
// except in CI, where all of them must be there.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("starts programs: not in -short")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI without %s", name)
		}
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	return cmd
}

// probe returns what ffprobe sees at an address: "codec codec", and the frames of the
// first seconds.
func probe(t *testing.T, url string) string {
	t.Helper()
	cmd := program(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,codec_type,nb_read_frames", "-count_frames",
		"-read_intervals", "%+1", "-of", "json", url)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("ffprobe %s: %v\n%s", url, err, stderr.String())
	}
	var seen struct {
		Streams []struct {
			Codec  string `json:"codec_name"`
			Frames int    `json:"nb_read_frames,string"`
		}
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatalf("ffprobe: %v: %s", err, out)
	}
	var words []string
	for _, s := range seen.Streams {
		if s.Frames < 5 {
			t.Errorf("%s: %d frames of %s", url, s.Frames, s.Codec)
		}
		words = append(words, s.Codec)
	}
	if errs := stderr.String(); errs != "" {
		t.Logf("ffprobe %s says: %s", url, errs)
	}
	return strings.Join(words, " ")
}

// What ffmpeg publishes, ffprobe sees over HTTP-FLV, HLS, and in the recording.
func TestFFmpeg(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
		hls  string // "": the same
	}{
		{"pictures and sound", []string{"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-c:a", "aac"}, "h264 aac", ""},
		{"with B-frames", []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-c:a", "aac"}, "h264 aac", ""},
		{"pictures", []string{"-c:v", "libx264", "-preset", "ultrafast", "-an"}, "h264", ""},
		{"sound", []string{"-vn", "-c:a", "aac"}, "aac", ""},
		{"sound that HLS cannot carry", []string{"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le", "-ar", "44100"}, "h264 pcm_s16le", "h264"},
		{"pictures that HLS cannot carry", []string{"-c:v", "flv1", "-c:a", "aac"}, "aac flv1", "aac"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var recorder *media.Recorder
			s := newStudio(t, func(h *server.Host, cfg *Config) {
				var err error
				recorder, err = media.OpenRecorder(media.RecorderConfig{Dir: dir, Rooms: []string{"blue"}, Log: testLog(t)})
				if err != nil {
					t.Fatal(err)
				}
				h.OnStream, cfg.Recorder = recorder.OnStream, recorder
			})
			args := append([]string{"-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25",
				"-re", "-f", "lavfi", "-i", "sine", "-t", "180"}, tt.args...)
			args = append(args, "-g", "25", "-f", "flv", "-rtmp_app", "room/blue", s.rtmp+"/live?key=k")
			publisher := program(t, "ffmpeg", args...)
			var said bytes.Buffer
			publisher.Stderr = &said
			if err := publisher.Start(); err != nil {
				t.Fatal(err)
			}
			defer publisher.Wait()
			defer publisher.Process.Kill()
			for end := time.Now().Add(time.Minute); s.host.Stream("room/blue", "live") == nil; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("not published: %s", said.String())
				}
			}
			if got := probe(t, s.web.URL+"/live/blue/live.flv"); got != tt.want {
				t.Errorf("HTTP-FLV: %q, want %q", got, tt.want)
			}
			if got := probe(t, s.web.URL+"/live/blue/live.m3u8"); !sameWords(got, cmp.Or(tt.hls, tt.want)) {
				t.Errorf("HLS: %q, want %q", got, cmp.Or(tt.hls, tt.want))
			}
			publisher.Process.Kill()
			if err := recorder.Close(); err != nil {
				t.Error(err)
			}
			files, _ := filepath.Glob(dir + "/blue/*.flv")
			if len(files) != 1 {
				t.Fatalf("recorded: %q", files)
			}
			if got := probe(t, files[0]); got != tt.want {
				t.Errorf("recording: %q, want %q", got, tt.want)
			}
		})
	}
}

func sameWords(a, b string) bool {
	for word := range strings.FieldsSeq(b) {
		if !strings.Contains(a, word) {
			return false
		}
	}
	return len(strings.Fields(a)) == len(strings.Fields(b))
}
