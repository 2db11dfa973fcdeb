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

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/gorilla/websocket"

	"foyer/lobby"
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

// makeClip lets ffmpeg make a clip of some seconds. Without ffmpeg the test is
// skipped, except in CI, where it fails.
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

// A projector is the far end of /ws/live: each connection is played a script.
type projector struct {
	t          *testing.T
	script     func(*reel)
	still      []byte      // what is at /live/ROOM/STREAM.mp4
	asked      chan string // the path of each connection
	recordings string      // what the API says

	stills atomic.Int64 // how often it was asked for
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

// run sends fragments [from, to), the first burst of them at once.
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
		r.Out.Host = r.In.Host // what the origin is compared with
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

// project opens a room's page that has a player of its own, on what the script sends.
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

// behind is how far the video is behind what has come, in seconds.
const behind = `(video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : NaN)`

func testPlayerPlays(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, h264+","+aac, colours, sine)
	b, p := project(t, browser, func(r *reel) {
		r.begin(c)
		r.run(c, 0, len(c.fragments), 60)
	})
	b.waitText(".player-state", "Live")
	b.wait(`video.currentTime > 0.5 && video.videoWidth === 320 && video.videoHeight === 180`)
	if path := <-p.asked; path != "/ws/live/blue/main" {
		t.Errorf("asked for %s", path)
	}
	if got := eval[string](b, pixel); got != "0 2 0" {
		t.Errorf("the picture is %s, want green", got)
	}
	b.wait(behind + ` >= 0.7 && ` + behind + ` <= 1.3`)
	b.wait(`/^\d\.\d s behind$/.test(document.querySelector(".delay").textContent)`)
	if eval[bool](b, `document.querySelector(".delay").closest("[aria-live], [role=status]") !== null`) {
		t.Error("the clock is read out")
	}
	b.wait(`!document.querySelector(".calm").checkVisibility()`)
}

func testPlayerKeyboard(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, h264+","+aac, colours, sine)
	b, p := project(t, browser, func(r *reel) {
		r.begin(c)
		r.run(c, 0, len(c.fragments), 60)
	})
	b.waitText(".player-state", "Live")
	b.waitText(".tap", "Tap for sound")
	b.do(chromedp.Click(chromedp.CSS(".tap")))
	b.wait(`!video.muted && document.activeElement === player.root`)
	eval[bool](b, `(document.activeElement.blur(), true)`)
	b.press("m") // the focus is elsewhere
	b.press(" ")
	b.wait(`!video.muted && !video.paused`)
	eval[bool](b, `(player.root.focus(), true)`)
	b.press("m")
	b.wait(`video.muted`)
	b.waitText(".mute", "Unmute")
	b.press("m")
	b.wait(`!video.muted`)
	b.press(kb.ArrowDown)
	b.press(kb.ArrowDown)
	b.wait(`Math.abs(video.volume - 0.9) < 0.001 && document.querySelector(".volume input").value === "90"`)
	b.press(kb.ArrowUp)
	b.wait(`Math.abs(video.volume - 0.95) < 0.001`)
	<-p.asked
	b.press(" ")
	b.waitText(".player-state", "Paused")
	b.wait(`video.paused`)
	b.press("k")
	b.waitText(".player-state", "Live")
	b.wait(`!video.paused`)
	<-p.asked // it began anew, at live
	eval[bool](b, `(document.querySelector(".play").focus(), true)`)
	b.press(" ")
	b.waitText(".player-state", "Paused") // once by the button, not twice
	b.press("f")
	b.wait(`document.fullscreenElement === player.root`)
	b.waitText(".full", "Leave full screen")
	b.press("f")
	b.wait(`document.fullscreenElement === null`)
}

func testPlayerAgain(t *testing.T, browser context.Context) {
	first := makeClip(t, 3, h264+","+aac, colours, sine)
	second := makeClip(t, 10, "avc1.42c00c,"+aac, "color=c=0xc00000:s=160x90:r=25", sine) // smaller, red, and from 0 again
	third := makeClip(t, 10, h264, "color=c=0x0000c0:s=320x180:r=25")                     // blue, and silent
	again := make(chan bool)
	b, p := project(t, browser, func(r *reel) {
		r.begin(first)
		r.run(first, 0, len(first.fragments), len(first.fragments)/2)
		r.tell(`{"type":"end"}`)
		for _, next := range []clip{second, third} { // the third comes without an end before
			select {
			case <-again:
			case <-r.ctx.Done():
				return
			}
			r.begin(next)
			r.run(next, 0, len(next.fragments)/2, 60)
		}
	})
	b.waitText(".player-state", "Live")
	b.waitText(".player-state", "The broadcaster is away, waiting")
	b.waitText(".calm", "The broadcaster is away, waiting")
	b.script(`await new Promise((r) => setTimeout(r, 5500));`) // longer than silence is borne while pictures flow
	again <- true
	b.waitText(".player-state", "Live")
	b.wait(`video.videoWidth === 160 && ` + pixel + ` === "2 0 0"`)
	b.wait(behind + ` <= 1.5`)
	again <- true
	b.wait(`video.videoWidth === 320 && !video.paused && ` + pixel + ` === "0 0 2"`)
	b.waitText(".player-state", "Live")
	if n := len(p.asked); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func testPlayerFallsBehind(t *testing.T, browser context.Context) {
	c := makeClip(t, 60, h264, colours)
	rush := make(chan bool)
	b, _ := project(t, browser, func(r *reel) {
		r.begin(c)
		r.run(c, 0, 100, 60)
		<-rush
		r.run(c, 100, 1200, 1000) // 40 s at once
	})
	b.waitText(".player-state", "Live")
	close(rush)
	b.wait(`video.buffered.end(0) > 40`)
	b.wait(behind + ` <= 1.5`)
	b.wait(`!video.paused`)
	b.wait(`video.buffered.end(0) - video.buffered.start(0) < 20`) // nothing is kept for ever
}

func testPlayerHidden(t *testing.T, browser context.Context) {
	c := makeClip(t, 30, h264, colours)
	b, _ := project(t, browser, func(r *reel) {
		r.begin(c)
		r.run(c, 0, len(c.fragments), 60)
	})
	b.waitText(".player-state", "Live")
	// A browser may pause what nobody sees.
	b.script(`Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
		video.muted = true; video.pause(); await new Promise((r) => setTimeout(r, 3000));`)
	b.wait(`video.paused && ` + behind + ` > 3`)
	b.script(`delete document.hidden; document.dispatchEvent(new Event("visibilitychange"));`)
	b.wait(`!video.paused && ` + behind + ` < 1.5`)
}

func testPlayerLosesConnection(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, h264, colours)
	var calls, quiet atomic.Int64 // quiet in Unix ns
	silence := make(chan time.Duration, 1)
	b, _ := project(t, browser, func(r *reel) {
		r.begin(c)
		switch calls.Add(1) {
		case 1:
			r.run(c, 0, 50, 50)
			r.conn.Close()
		case 2:
			r.run(c, 0, 50, 50) // and then nothing, without a word
			quiet.Store(time.Now().UnixNano())
		default:
			silence <- time.Since(time.Unix(0, quiet.Load()))
			r.run(c, 0, len(c.fragments), 60)
		}
	})
	b.waitText(".player-state", "Live")
	if d := <-silence; d < 4*time.Second || d > 9*time.Second {
		t.Errorf("a silent connection was given up after %v, want about 5 s", d)
	}
	b.waitText(".player-state", "Live")
	b.wait(`!video.paused && ` + behind + ` < 1.5`)
}

func testPlayerCannot(t *testing.T, browser context.Context) {
	b, _ := project(t, browser, func(r *reel) { r.tell(`{"type":"init","mime":"video/mp4; codecs=\"vvc1.1.L51.CQA.O1+3,mp4a.40.2\""}`) })
	b.waitText(".calm", "This room sends VVC; this browser cannot play it.")
	b.waitText(".calm", "/live/blue/main.flv")
	b.wait(`document.querySelector(".play").disabled`)

	b, _ = project(t, browser, func(r *reel) { r.tell(`{"type":"unsupported","codec":"VP6"}`) })
	b.waitText(".calm", "This room sends VP6; this browser cannot play it.")

	b, p := project(t, browser, func(r *reel) {
		r.tell(`{"type":"status","info":{"level":"error","code":"NetConnection.Connect.Rejected","description":"You are banned until tomorrow."}}`)
		r.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "You are banned until tomorrow."))
	})
	b.waitText(".calm", "You cannot watch this: You are banned until tomorrow.")
	b.script(`await new Promise((r) => setTimeout(r, 1500));`)
	if n := len(p.asked); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func testPlayerSoundOnly(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, aac, sine)
	c.mime = strings.Replace(c.mime, "video/", "audio/", 1)
	b, _ := project(t, browser, func(r *reel) {
		r.begin(c)
		r.run(c, 0, len(c.fragments), 100)
	})
	b.waitText(".player-state", "Live")
	b.waitText(".calm", "Sound only")
	b.wait(`video.currentTime > 0.5 && !video.paused`)
}

// testPlayerMuted is a browser that wants a tap before it makes noise.
func testPlayerMuted(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, h264+","+aac, colours, sine)
	b, _ := project(t, browser, func(r *reel) {
		r.begin(c)
		r.run(c, 0, len(c.fragments), 60)
	})
	b.waitText(".player-state", "Live")
	b.waitText(".tap", "Tap for sound")
	b.wait(`video.muted && !video.paused`)
	b.do(chromedp.Click(chromedp.CSS(".tap")))
	b.wait(`!video.muted && !video.paused && !document.querySelector(".tap").checkVisibility()`)
}

// testPlayerParts holds what decides, without a video.
func testPlayerParts(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const m = await import("/assets/edge.js"); const at = (behind, rate = 1) => m.follow(20 - behind, [{ start: 0, end: 20 }], rate);`
	b.same("on target", load+`return at(1.1);`, `{"behind":1.1000000000000014,"rate":1}`)
	b.same("speeds", load+`return [0.2, 1, 1.1, 1.3, 1.9, 2.5, 4].map((s) => at(s).rate);`, `[1,1,1,1.05,1.15,1.15,1.15]`)
	b.same("fast until the target is met", load+`return [at(1.1, 1.05).rate, at(1.5, 1.15).rate, at(0.99, 1.05).rate];`, `[1.05,1.15,1]`)
	b.same("far behind jumps", load+`return at(4.5);`, `{"behind":1,"rate":1,"jump":19}`)
	b.same("before the beginning jumps", load+`return m.follow(0, [{ start: 100, end: 100.4 }], 1).jump;`, `100`)
	b.same("at the end of a piece jumps to the next", load+`return m.follow(5, [{ start: 0, end: 5.04 }, { start: 7, end: 9 }], 1).jump;`, `8`)
	b.same("nothing there", load+`return m.follow(5, [], 1.15);`, `{"behind":0,"rate":1}`)
	b.same("forgets", load+`return [m.forgettable(10, [{ start: 0, end: 11 }]), m.forgettable(100, [{ start: 0, end: 101 }]), m.forgettable(0, [{ start: 0, end: 50 }]), m.forgettable(5, [])];`, `[0,85,20,0]`)
	const codecs = `const m = await import("/assets/codecs.js"); const mime = (list) => 'video/mp4; codecs="' + list + '"';`
	b.same("names", codecs+`return ["hvc1.1.6.L93.B0", "avc1.42c01e", "av01.0.04M.08", "mp4a.40.2", "mp4a.69", "opus", "hvc1", "xyz"].map(m.codecName);`, `["HEVC","H.264","AV1","AAC","MP3","Opus","HEVC","xyz"]`)
	b.same("unplayable", codecs+`return m.unplayable(mime("hvc1.1.6.L93.B0, mp4a.40.2"), (type) => !type.includes("hvc1"));`, `["HEVC"]`)
	b.same("playable", codecs+`return m.unplayable(mime("avc1.42c01e"), () => true);`, `[]`)
	b.same("kinds", codecs+`return [m.hasPicture(mime("mp4a.40.2")), m.hasSound(mime("mp4a.40.2")), m.hasPicture(mime("avc1.42c01e,opus")), m.hasSound(mime("avc1.42c01e"))];`, `[false,true,true,false]`)
}

// testStage tells the top of a room's page what the room says of its streams.
func testStage(t *testing.T, browser context.Context) {
	c := makeClip(t, 30, h264, colours)
	again := make(chan bool)
	b, p := project(t, browser, func(r *reel) {
		r.begin(c)
		r.run(c, 0, 60, 60) // and no end, since the room holds its viewers
		select {
		case <-again:
			r.begin(c)
			r.run(c, 0, len(c.fragments), 60)
		case <-r.ctx.Done():
		}
	})
	b.script(`player.close(); player.root.remove();
		const { Stage } = await import("/assets/stage.js");
		const old = document.querySelector(".stage"), root = old.cloneNode(true);
		old.before(root);
		old.remove();
		window.stage = new Stage(root, "blue");
		window.video = root.querySelector("video");`)
	<-p.asked // by the player that came with the page
	b.waitText(".onstage", "Nobody is broadcasting")
	b.wait(`!document.querySelector(".player").checkVisibility()`)
	b.script(`stage.update({ streams: ["main"], away: {} });`)
	b.waitText(".onstage", "On air: main")
	b.waitText(".player-state", "Live")
	b.wait(`!document.querySelector(".streams").checkVisibility()`)
	if path := <-p.asked; path != "/ws/live/blue/main" {
		t.Errorf("asked for %s", path)
	}
	b.script(`stage.update({ streams: ["main"], away: { main: Date.now() } });`)
	b.waitText(".onstage", "The broadcaster is away, waiting…")
	b.waitText(".calm", "The broadcaster is away, waiting…")
	b.script(`await new Promise((r) => setTimeout(r, 6500));`)
	if n := len(p.asked); n != 0 {
		t.Errorf("asked %d times more while the publisher is away", n)
	}
	b.script(`stage.update({ streams: ["main"], away: {} });`)
	again <- true
	b.waitText(".player-state", "Live")
	b.script(`stage.update({ streams: ["main", "side"] });`)
	b.waitText(".streams", "side")
	b.wait(`video.currentTime > 0`) // a choice disturbs nobody
	if n := len(p.asked); n != 0 {
		t.Errorf("asked %d times more", n)
	}
	b.click(".streams button:nth-of-type(2)")
	if path := <-p.asked; path != "/ws/live/blue/side" {
		t.Errorf("asked for %s", path)
	}
	b.wait(`document.querySelector(".streams [aria-pressed=true]").textContent === "side" && document.querySelector(".player").getAttribute("aria-label") === "Player: side"`)
	b.waitText(".player-state", "Live")
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	b.wait(`document.documentElement.scrollWidth <= innerWidth && document.querySelector(".player").getBoundingClientRect().right <= innerWidth
		&& document.querySelector(".player").getBoundingClientRect().bottom < document.querySelector(".chat").getBoundingClientRect().top`)
	b.do(chromedp.EmulateViewport(1280, 800))
	b.audit("on air")
	b.click("button.theatre")
	b.wait(`!document.querySelector(".side").checkVisibility() && document.querySelector(".chat").checkVisibility()`)
	b.click("button.theatre")
	b.script(`stage.update({ streams: ["main"] });`)
	if path := <-p.asked; path != "/ws/live/blue/main" {
		t.Errorf("asked for %s", path)
	}
	b.script(`stage.update({ streams: [] });`)
	b.waitText(".onstage", "Nobody is broadcasting")
	b.wait(`!document.querySelector(".player").checkVisibility() && !video.src`)
}

func testIngestWords(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const m = await import("/assets/ingest.js");`
	b.same("short", load+`return m.inShort({ video: "H.264", audio: "AAC", width: 1280, height: 720, fps: 30, bitrate: 2720000 });`, `"H.264 and AAC, 1280 × 720, 30 pictures a second, 2.7 Mbit/s."`)
	b.same("nothing known yet", load+`return m.inShort({});`, `""`)
	b.same("full", load+`return m.inFull({ encoder: "OBS", drift: -240, speed: 0.9, silent: 3100,
		video: { codec: "H.264", profile: "High", width: 1920, height: 1080, fps: 29.97, bitrate: 6000000, keyFrames: 2000, bFrames: true },
		audio: { codec: "AAC", sampleRate: 44100, channels: 2, bitrate: 160000 } });`,
		`["Picture: H.264 High, 1920 × 1080, 30 a second, 6.0 Mbit/s, a key frame every 2 s, with B-frames.",`+
			`"Sound: AAC, 44.1 kHz, stereo, 160 kbit/s.","Sound comes 0.2 s after its picture.","It comes at 90 % of its own time.",`+
			`"Nothing has come for 3 s.","Sent by OBS."]`)
	b.same("half", load+`return m.inFull({ video: null, audio: { codec: "Opus", channels: 1 }, drift: 10, speed: 1 });`, `["No picture.","Sound: Opus, mono."]`)
	const recordings = `const m = await import("/assets/recordings.js");`
	b.same("lasting", recordings+`return [4200, 65000, 3600000, 7265000].map(m.lasting);`, `["4 s","1 min 5 s","1 h 0 min","2 h 1 min"]`)
	b.same("weight", recordings+`return [10, 2500000, 3e9].map(m.weight);`, `["0.1 MB","2.5 MB","3.0 GB"]`)
}

func testRecordings(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	p, base := newProjector(t, h, func(*reel) {})
	b := newTab(t, browser, h)
	b.base = base
	b.open("/room/blue")
	p.recordings = `{"at":1,"recordings":[]}`
	b.click(".recordings summary")
	b.waitText(".recordings", "Nothing has been recorded.")
	b.click(".recordings summary")
	p.recordings = `{"at":1,"recordings":[{"name":"a.flv","stream":"main","at":1700000000000,"duration":65000,"bytes":2500000,"live":false,"url":"/recordings/blue/a.flv"},
		{"name":"b.flv","stream":"side","at":1700000100000,"duration":0,"bytes":1000000,"live":true,"url":"/recordings/blue/b.flv"}]}`
	b.click(".recordings summary")
	b.wait(`document.querySelectorAll(".recordings li").length === 2`)
	b.waitText(".recordings li:first-child", "still going on, 1.0 MB") // the newest first
	b.waitText(".recordings li:last-child", "1 min 5 s, 2.5 MB")
	if got := eval[string](b, `new URL(document.querySelector(".recordings li:last-child a").href).pathname`); got != "/recordings/blue/a.flv" {
		t.Errorf("the link leads to %s", got)
	}
}

func testLobbyPictures(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, h264, colours)
	h := newHouse(t)
	for i := range 300 {
		h.listed(fmt.Sprintf("room%03d", i), lobby.Status{Epoch: 1, Activity: float64(300-i) / 300, Live: true, Streams: []string{"main"}})
	}
	var open atomic.Int64
	p, base := newProjector(t, h, func(r *reel) {
		open.Add(1)
		defer open.Add(-1)
		r.begin(c)
		r.run(c, 0, len(c.fragments), 60)
		<-r.ctx.Done()
	})
	p.still = append(bytes.Clone(c.init), c.fragments[0]...)
	b := newTab(t, browser, h)
	b.base = base
	b.open("/")
	b.wait(`document.querySelectorAll(".card").length === 300`)
	b.wait(`document.querySelector(".card-picture video")?.videoWidth === 320`)
	seen := `document.querySelectorAll("video").length`
	b.script(`await new Promise((r) => setTimeout(r, 500));`)
	if n := eval[int](b, seen); n < 3 || n > 24 {
		t.Errorf("%d pictures for 300 rooms, of which a few can be seen", n)
	}
	eval[bool](b, `(scrollTo(0, document.body.scrollHeight / 2), true)`)
	b.wait(`document.querySelector(".card video") === null || document.querySelector('[data-name="room000"] video') === null`) // out of sight
	b.wait(seen + ` > 2`)
	eval[bool](b, `(scrollTo(0, 0), true)`)
	b.wait(`document.querySelector('[data-name="room000"] video')?.videoWidth === 320`)

	point := func(x, y float64) {
		do(b, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: "mouseMoved", X: x, Y: y})
	}
	eval[bool](b, `(window.moving = () => [...document.querySelectorAll("video")].filter((v) => !v.paused && v.currentTime > 0.2).length, true)`)
	box := eval[[]float64](b, `(() => { const r = document.querySelector('[data-name="room001"]').getBoundingClientRect(); return [r.x + r.width / 2, r.y + 60]; })()`)
	point(box[0], box[1])
	b.wait(`moving() === 1 && document.querySelector('[data-name="room001"]').matches(":hover")`)
	point(5, 5)
	b.wait(`moving() === 0`)
	b.do(chromedp.Focus(chromedp.CSS(`[data-name="room002"] a`)))
	b.wait(`moving() === 1`)
	eval[bool](b, `(document.activeElement.blur(), true)`)
	b.wait(`moving() === 0`)
	for end := time.Now().Add(patience); open.Load() != 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	if n := open.Load(); n != 0 {
		t.Errorf("%d previews still run", n)
	}
}
