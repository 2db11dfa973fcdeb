package web_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A clip is a piece of fragmented MP4, one frame to a fragment.
type clip struct {
	mime      string
	init      []byte
	fragments [][]byte
	pace      time.Duration // between fragments
}

const (
	h264 = "avc1.42c00d"
	aac  = "mp4a.40.2"
)

// makeClip has ffmpeg make a clip of some seconds. Without ffmpeg the test is skipped,
// except in CI, where it fails.
func makeClip(t *testing.T, seconds int, codecs string, inputs ...string) clip {
	t.Helper()
	needFFmpeg(t)
	var args []string
	for _, in := range inputs {
		args = append(args, "-f", "lavfi", "-i", in)
	}
	args = append(args, "-t", fmt.Sprint(seconds), "-c:v", "libx264", "-profile:v", "baseline", "-level", "1.3", "-pix_fmt", "yuv420p",
		"-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-ar", "48000", "-f", "mp4",
		"-movflags", "empty_moov+default_base_moof+frag_every_frame", "-loglevel", "error", "pipe:1")
	cmd := exec.CommandContext(t.Context(), "ffmpeg", args...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	c := clip{mime: `video/mp4; codecs="` + codecs + `"`}
	for len(out) >= 8 {
		n := int(binary.BigEndian.Uint32(out))
		switch kind := string(out[4:8]); kind {
		case "ftyp", "moov":
			c.init = append(c.init, out[:n]...)
		case "moof":
			c.fragments = append(c.fragments, bytes.Clone(out[:n]))
		case "mdat":
			last := &c.fragments[len(c.fragments)-1]
			*last = append(*last, out[:n]...)
		}
		out = out[n:]
	}
	c.pace = time.Duration(seconds) * time.Second / time.Duration(len(c.fragments))
	return c
}

func needFFmpeg(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no ffmpeg found, and CI is set")
		}
		t.Skip("no ffmpeg found: it makes the pictures")
	}
}

const (
	colours = "color=c=0x00c000:s=320x180:r=25"
	sine    = "sine=frequency=440:sample_rate=48000"
)

// A projector is the far end of /ws/live: it plays a script to each connection.
type projector struct {
	t          *testing.T
	script     func(*reel)
	still      []byte      // the file at /live/ROOM/STREAM.mp4
	asked      chan string // the path of each connection
	recordings string      // the answer of the API

	stills atomic.Int64 // how often the picture was requested
	reels  sync.WaitGroup
}

// A reel is one connection to a projector.
type reel struct {
	conn *websocket.Conn
	ctx  context.Context // ends with the connection
}

func (r *reel) tell(format string, args ...any) {
	r.conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, format, args...))
}

func (r *reel) begin(c clip) {
	r.tell(`{"type":"init","mime":%q}`, c.mime)
	r.conn.WriteMessage(websocket.BinaryMessage, c.init)
}

// run sends the fragments [from, to), the first burst of them at once.
func (r *reel) run(c clip, from, to, burst int) {
	tick := time.NewTicker(c.pace)
	defer tick.Stop()
	for i := from; i < min(to, len(c.fragments)); i++ {
		if i-from >= burst {
			select {
			case <-tick.C:
			case <-r.ctx.Done():
				return
			}
		}
		r.conn.WriteMessage(websocket.BinaryMessage, c.fragments[i])
	}
}

// loop sends the clip again and again, each time from the beginning, until a context
// ends. So the player never takes the connection for dead, however long the test looks
// at the page.
func (r *reel) loop(c clip, burst int, until context.Context) {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	defer context.AfterFunc(until, cancel)()
	for part := (&reel{r.conn, ctx}); until.Err() == nil && ctx.Err() == nil; {
		part.begin(c)
		part.run(c, 0, len(c.fragments), burst)
	}
}

func (p *projector) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	up := websocket.Upgrader{}
	conn, err := up.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	p.reels.Add(1)
	defer p.reels.Done()
	defer conn.Close()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	context.AfterFunc(ctx, func() { conn.Close() })
	go func() { // ends with conn, and ends the script
		defer cancel()
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	select {
	case p.asked <- req.URL.Path:
	default:
	}
	p.script(&reel{conn, ctx})
	<-ctx.Done()
}

// newProjector starts a projector in front of the pages of h.
func newProjector(t *testing.T, h *house, script func(*reel)) (p *projector, base string) {
	t.Helper()
	p = &projector{t: t, script: script, asked: make(chan string, 100)} // more than any test asks for
	back, err := url.Parse(h.url())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(back)
		r.Out.Host = r.In.Host // the host with which the origin is compared
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/ws/live/"):
			p.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/live/") && strings.HasSuffix(path, ".mp4"):
			p.stills.Add(1)
			w.Header().Set("Content-Type", "video/mp4")
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.still))
		case path == "/api/v1/rooms/blue/recordings":
			io.WriteString(w, p.recordings)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		p.reels.Wait()
	})
	return p, front.URL
}

// project opens a room page with a player of its own, which gets what the script sends.
func project(t *testing.T, browser context.Context, script func(*reel)) (*tab, *projector) {
	t.Helper()
	h := newHouse(t)
	h.room("blue", "Blue")
	p, base := newProjector(t, h, script)
	b := newTab(t, browser, h)
	b.base = base
	b.open("/room/blue")
	b.script(`const { Player } = await import("/assets/player.js");
		const root = document.querySelector(".player").cloneNode(true);
		document.querySelector(".stage").before(root);
		root.hidden = false;
		window.player = new Player(root, "blue");
		window.video = root.querySelector("video");
		player.watch("main");`)
	return b, p
}

// pixel is the colour in the middle of the picture, as rounded thirds of 255.
const pixel = `(() => { const c = document.createElement("canvas"); c.width = c.height = 1; const x = c.getContext("2d");
	x.drawImage(video, video.videoWidth / 2, video.videoHeight / 2, 1, 1, 0, 0, 1, 1); return [...x.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => Math.round(v / 85)).join(" "); })()`

// behind is how far the video is behind live, in seconds.
const behind = `(video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : NaN)`
