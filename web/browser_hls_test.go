package web_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"foyer/media"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// hlsJS is the hls.js that judges our playlists. It is fetched when the test runs, by
// npm, which checks it.
const hlsJS = "hls.js@1.6.19"

// fetchHLSJS returns the script.
func fetchHLSJS(t *testing.T) []byte { return fetchPackage(t, hlsJS, "package/dist/hls.min.js") }

// fetchPackage returns a file of an npm package, which is kept for the next time.
func fetchPackage(t *testing.T, name, file string) []byte {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(cache, "foyer-test", name+".js")
	if b, err := os.ReadFile(kept); err == nil {
		return b
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	pack := exec.CommandContext(ctx, "npm", "pack", "--silent", name)
	pack.Dir = t.TempDir()
	archive, err := pack.Output()
	var b []byte
	if err == nil {
		b, err = exec.CommandContext(ctx, "tar", "-xzOf", filepath.Join(pack.Dir, strings.TrimSpace(string(archive))), file).Output()
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("fetching %s: %v", name, err)
		}
		t.Skipf("fetching %s: %v", name, err)
	}
	if os.MkdirAll(filepath.Dir(kept), 0o755) == nil {
		os.WriteFile(kept, b, 0o644) // otherwise it is fetched again
	}
	return b
}

// A film is what an encoder sends.
type film []rtmp.Message

const filmSeconds = 12

// makeFilm makes one with pictures of a size and sound as ffmpeg's arguments say.
func makeFilm(t *testing.T, size string, sound ...string) film {
	t.Helper()
	needFFmpeg(t)
	args := []string{"-v", "error"}
	args = append(args, lavfi("testsrc2=r=25:s="+size, sine)...)
	args = append(args, "-t", fmt.Sprint(filmSeconds), "-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-g", "25")
	args = append(args, sound...)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append(args, "-f", "flv", "pipe:1")...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	r, err := media.NewFLVReader(bytes.NewReader(out))
	var f film
	for err == nil {
		var m rtmp.Message
		if m, err = r.Next(); err == nil {
			m.Payload = bytes.Clone(m.Payload)
			f = append(f, m)
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return f
}

// inAV1 is the film with other pictures, in AV1 as Enhanced RTMP sends it.
func (f film) inAV1(t *testing.T) (g film) {
	t.Helper()
	mp4, ivf := filepath.Join(t.TempDir(), "av1.mp4"), filepath.Join(t.TempDir(), "av1.ivf")
	args := append([]string{"-v", "error"}, lavfi("testsrc2=r=25:s=320x180")...)
	args = append(args, "-t", fmt.Sprint(filmSeconds), "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "25", mp4)
	for _, args := range [][]string{args, {"-v", "error", "-i", mp4, "-c:v", "copy", ivf}} {
		cmd := exec.CommandContext(t.Context(), "ffmpeg", args...)
		cmd.Stderr = t.Output()
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	box, err := os.ReadFile(mp4)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(box, []byte("av1C"))
	record := box[at+4 : at-4+int(binary.BigEndian.Uint32(box[at-4:]))]
	frames, err := os.ReadFile(ivf)
	if err != nil {
		t.Fatal(err)
	}
	frames = frames[32:] // the header
	g = append(g, rtmp.Message{Type: rtmp.TypeVideo, Payload: append([]byte("\x90av01"), record...)})
	for n := range uint32(filmSeconds * 25) {
		size := binary.LittleEndian.Uint32(frames)
		kind := "\xa1av01"
		if n%25 == 0 {
			kind = "\x91av01"
		}
		g = append(g, rtmp.Message{Type: rtmp.TypeVideo, Timestamp: n * 40, Payload: append([]byte(kind), frames[12:12+size]...)})
		frames = frames[12+size:]
	}
	g = append(g, f.without(rtmp.TypeVideo).without(rtmp.TypeDataAMF0)...)
	slices.SortStableFunc(g, func(a, b rtmp.Message) int { return cmp.Compare(a.Timestamp, b.Timestamp) })
	return g
}

// header reports whether m is a sequence header of AVC or AAC.
func header(m rtmp.Message) bool {
	return len(m.Payload) > 1 && m.Payload[1] == 0 && m.Type != rtmp.TypeDataAMF0
}

// late is the film without one kind of messages for some seconds, and their headers then.
func (f film) late(kind rtmp.MessageType, seconds int) (g film) {
	from := uint32(seconds * 1000)
	var held film
	for _, m := range f {
		if len(held) > 0 && m.Timestamp >= from {
			for _, h := range held {
				h.Timestamp = from
				g = append(g, h)
			}
			held = nil
		}
		switch {
		case m.Type == kind && header(m):
			held = append(held, m)
		case m.Type == kind && m.Timestamp < from:
		default:
			g = append(g, m)
		}
	}
	return g
}

// without is the film without messages of one kind.
func (f film) without(kind rtmp.MessageType) (g film) {
	for _, m := range f {
		if m.Type != kind {
			g = append(g, m)
		}
	}
	return g
}

// from is the film with other times, as part of a longer one.
func (f film) from(seconds int) (g film) {
	for _, m := range f {
		m.Timestamp += uint32(seconds * 1000)
		g = append(g, m)
	}
	return g
}

// A studio is an encoder, whose connection may break.
type studio struct {
	t      *testing.T
	h      *house
	room   string
	end    func()
	stream *rtmp.Stream
	begun  time.Time
}

// connect begins to publish.
func (s *studio) connect() {
	s.t.Helper()
	session, _, err := rtmp.Dial(s.t.Context(), "rtmp://"+s.h.rtmp+"/room/"+s.room, &rtmp.ConnectRequest{}, rtmp.DialOptions{Handler: silent{}})
	if err != nil {
		s.t.Fatal(err)
	}
	ran := make(chan struct{})
	go func() { defer close(ran); session.Run(context.Background()) }() // ends with the session: see end
	s.end = func() { session.Close(errBroke); <-ran }
	s.t.Cleanup(s.end)
	if s.stream, err = session.CreateStream(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if err := s.stream.Publish(s.t.Context(), "live?key="+streamKey(s.room), "live"); err != nil {
		s.t.Fatal(err)
	}
	s.begun = time.Now()
}

// errBroke ends a connection without a goodbye.
var errBroke = errors.New("the connection broke")

// silent is the handler of a connection on which nobody calls.
type silent struct{}

func (silent) ServeCall(c *rtmp.Call) { c.Reply(amf.Null{}) }

// play sends the part of a film before some second of the connection, as time goes.
func (s *studio) play(f film, seconds int) {
	s.t.Helper()
	for _, m := range f {
		if m.Timestamp >= uint32(seconds*1000) {
			return
		}
		if wait := time.Until(s.begun.Add(time.Duration(m.Timestamp) * time.Millisecond)); wait > 0 {
			time.Sleep(wait)
		}
		if err := s.stream.WriteMessage(m); err != nil {
			s.t.Fatal(err)
		}
	}
}

// outage breaks the connection, and begins again after some time.
func (s *studio) outage(seconds int) {
	s.t.Helper()
	s.end()
	time.Sleep(time.Duration(seconds) * time.Second)
	s.connect()
}

// hlsPage has two players: one with low latency, and one without.
const hlsPage = `<!DOCTYPE html><meta charset="utf-8"><title>hls.js</title><link rel="icon" href="data:,">
<video muted playsinline></video><video muted playsinline></video><script src="/hls.js"></script>`

// hlsWatch begins to watch, and notes how long each player stands still.
const hlsWatch = `
	for (let ok = false; !ok; ok = (await fetch(source)).ok) await new Promise((r) => setTimeout(r, 200));
	window.players = [...document.querySelectorAll("video")].map((video, i) => {
		const hls = new Hls({ lowLatencyMode: i === 0 });
		const p = { video, hls, errors: [], fatal: [], still: 0, ended: false, began: 0 };
		let last = -1, since = performance.now();
		setInterval(() => {
			const now = performance.now();
			if (video.currentTime !== last || video.ended || document.title === "over") { last = video.currentTime; since = now; }
			else if (p.began) p.still = Math.max(p.still, now - since);
		}, 50);
		video.addEventListener("playing", () => p.began ||= performance.now());
		video.addEventListener("ended", () => p.ended = true);
		hls.on(Hls.Events.ERROR, (_, d) => {
			const text = [d.details, d.response?.code, d.error?.message, d.reason].filter(Boolean).join(" "), list = d.fatal ? p.fatal : p.errors;
			if (list.length < 20) list.push(text);
		});
		hls.loadSource(source);
		hls.attachMedia(video);
		video.play().catch(() => {});
		return p;
	});`

// hlsReport is what became of the players.
const hlsReport = `return players.map((p) => ({ at: p.video.currentTime, still: p.still, ended: p.ended, fatal: p.fatal, errors: p.errors,
	width: p.video.videoWidth, sound: p.video.webkitAudioDecodedByteCount, pictures: p.video.getVideoPlaybackQuality().totalVideoFrames }));`

type hlsReports []struct {
	At, Still     float64
	Ended         bool
	Fatal, Errors []string
	Width         int
	Sound         int
	Pictures      int
}

// otherCodec is the scene that ffmpeg cannot follow.
const otherCodec = "another codec"

// An hlsScene is a broadcast that changes while people watch.
type hlsScene struct {
	name    string
	outage  int  // seconds
	seconds int  // that can be seen
	sound   bool // can be heard by those who watch from the beginning
	width   int  // in the end
	play    func(s *studio, small, other, large film)
}

var hlsScenes = []hlsScene{
	{"late sound", 0, 11, true, 160, func(s *studio, small, _, _ film) { s.play(small.late(rtmp.TypeAudio, 5), 11) }},
	{"late sound that nobody announced", 0, 11, false, 160, func(s *studio, small, _, _ film) {
		s.play(small.without(rtmp.TypeDataAMF0).late(rtmp.TypeAudio, 5), 11)
	}},
	{"late pictures", 0, 11, true, 0, func(s *studio, small, _, _ film) { s.play(small.late(rtmp.TypeVideo, 5), 11) }},
	{"another sample rate", 2, 12, true, 160, func(s *studio, small, other, _ film) { s.play(small, 6); s.outage(2); s.play(other, 6) }},
	{"without sound", 2, 14, true, 160, func(s *studio, small, _, _ film) {
		s.play(small, 6)
		s.outage(2)
		s.play(small.without(rtmp.TypeAudio).without(rtmp.TypeDataAMF0), 8)
	}},
	{"without pictures", 0, 11, true, 160, func(s *studio, small, _, _ film) {
		s.play(small, 5)
		s.play(small.without(rtmp.TypeVideo).without(rtmp.TypeDataAMF0)[43*5:], 11)
	}},
	{"another size", 2, 12, true, 320, func(s *studio, small, _, large film) { s.play(small, 6); s.outage(2); s.play(large, 6) }},
	{"a long outage", 20, 12, true, 160, func(s *studio, small, _, _ film) { s.play(small, 6); s.outage(20); s.play(small, 6) }},
	{"another configuration", 0, 11, true, 320, func(s *studio, small, _, large film) {
		s.play(small, 5)
		s.play(large.without(rtmp.TypeDataAMF0).from(5), 11)
	}},
}

// testHLSJS watches broadcasts that change, in hls.js and in ffmpeg: both play on to the
// end.
func testHLSJS(t *testing.T, browser context.Context) {
	script := fetchHLSJS(t)
	small, other := makeFilm(t, "160x90", "-c:a", "aac", "-ar", "44100"), makeFilm(t, "160x90", "-c:a", "aac", "-ar", "48000")
	large, pcm := makeFilm(t, "320x180", "-c:a", "aac", "-ar", "44100"), makeFilm(t, "160x90", "-c:a", "pcm_s16le", "-ar", "44100")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hls.js" {
			w.Header().Set("Content-Type", "text/javascript")
			w.Write(script)
			return
		}
		io.WriteString(w, hlsPage)
	}))
	t.Cleanup(site.Close)
	av1 := small.inAV1(t)
	scenes := append(slices.Clone(hlsScenes), []hlsScene{
		{"sound that HLS cannot carry", 0, 11, false, 160, func(s *studio, _, _, _ film) { s.play(pcm, 11) }},
		{otherCodec, 2, 12, true, 320, func(s *studio, small, _, _ film) { s.play(small, 6); s.outage(2); s.play(av1, 6) }},
	}...)
	h := newHouse(t)
	for i, scene := range scenes {
		t.Run(scene.name, func(t *testing.T) {
			t.Parallel()
			s := &studio{t: t, h: h, room: fmt.Sprintf("scene%d", i)}
			h.room(s.room, scene.name)
			b := newTab(t, browser, h)
			b.base = site.URL
			b.expect("404") // until there is something to see
			b.expect("503")
			b.open("/")
			source := fmt.Sprintf("%s/live/%s/live.m3u8", h.url(), s.room)
			s.connect()
			watched := make(chan string, 1)
			go func() { watched <- watchFFmpeg(t, source, scene.seconds, scene.name == otherCodec) }() // ends with the broadcast; awaited below
			begun := make(chan struct{})
			go func() { // awaited below
				defer close(begun)
				b.script(`const source = ` + fmt.Sprintf("%q", source) + ";" + hlsWatch)
			}()
			scene.play(s, small, other, large)
			<-begun
			b.script(`document.title = "over";`) // what follows is the end
			s.stream.Close()
			b.script(`for (let n = 0; n < 100 && !players.every((p) => p.ended || p.fatal.length > 0); n++) await new Promise((r) => setTimeout(r, 100));`)
			var reports hlsReports
			if err := json.Unmarshal([]byte(b.script(hlsReport)), &reports); err != nil {
				t.Fatal(err)
			}
			for i, r := range reports {
				t.Logf("%d: %+v", i, r)
				if len(r.Fatal) > 0 || !r.Ended || r.At < float64(scene.seconds)-3 || r.Still > float64(2500+1500*scene.outage) ||
					r.Width != scene.width || scene.sound != (r.Sound > 0) {
					t.Errorf("player %d: %+v", i, r)
				}
			}
			if said := <-watched; said != "" {
				t.Error(said)
			}
		})
	}
}

// watchFFmpeg plays a stream to its end, and returns what is wrong.
func watchFFmpeg(t *testing.T, source string, seconds int, changes bool) string {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		resp, err := http.Get(source)
		if err == nil {
			resp.Body.Close()
		}
		if err == nil && resp.StatusCode == http.StatusOK {
			break
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostats", "-loglevel", "error", "-progress", "pipe:1", "-i", source, "-f", "null", "-")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	_, last, _ := bytes.Cut(out[max(0, bytes.LastIndex(out, []byte("out_time_us="))):], []byte("="))
	us, _, _ := bytes.Cut(last, []byte("\n"))
	if end, _ := strconv.Atoi(string(us)); err != nil || end < (seconds-3)*1e6 {
		return fmt.Sprintf("ffmpeg came to %s us of %d s: %v: %s", us, seconds, err, said.String())
	}
	// ffmpeg reads the first EXT-X-MAP only, so it cannot follow to another codec.
	if said.Len() > 0 && !changes {
		return "ffmpeg says " + said.String()
	}
	return ""
}
