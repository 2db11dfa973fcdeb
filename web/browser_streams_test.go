package web_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"foyer/lobby"
	"foyer/media"
)

// testStreams tells the top of a room page about the room's streams.
func testStreams(t *testing.T, browser context.Context) {
	c := makeClip(t, 30, h264, colours)
	away, leave := context.WithCancel(t.Context())
	again, comeBack := context.WithCancel(t.Context())
	b, p := project(t, browser, func(r *reel) {
		r.loop(c, 60, away) // without an end, since the room holds its viewers
		select {
		case <-again.Done():
			r.loop(c, 60, r.ctx)
		case <-r.ctx.Done():
		}
	})
	b.script(`player.close(); player.root.remove();
		const { Streams } = await import("/assets/streams.js");
		const old = document.querySelector(".hall"), root = old.cloneNode(true);
		old.before(root);
		old.remove();
		window.streams = new Streams(root, "blue");
		window.video = root.querySelector("video");`)
	<-p.asked // by the player that came with the page
	b.waitText(".onstage", "Nobody is broadcasting")
	b.wait(`!document.querySelector(".player").checkVisibility()`)
	b.script(`streams.update({ streams: ["main"], away: {} });`)
	b.waitText(".onstage-words", "main")
	b.waitText(".player-state", "Live")
	b.wait(`!document.querySelector(".streams").checkVisibility()`)
	if path := <-p.asked; path != "/ws/live/blue/main" {
		t.Errorf("asked for %s", path)
	}
	b.script(`streams.update({ streams: ["main"], away: { main: Date.now() } });`)
	leave()
	b.waitText(".onstage", "The broadcaster has stepped away")
	b.waitText(".calm", "The broadcaster has stepped away")
	b.script(`await new Promise((r) => setTimeout(r, 6500));`)
	if n := len(p.asked); n != 0 {
		t.Errorf("asked %d times more while the publisher is away", n)
	}
	comeBack()
	b.script(`streams.update({ streams: ["main"], away: {} });`)
	b.waitText(".player-state", "Live")
	b.script(`streams.update({ streams: ["main", "side"] });`)
	b.waitText(".streams", "side")
	b.wait(`video.currentTime > 0`) // another stream disturbs nobody
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
		&& document.querySelector(".player").getBoundingClientRect().bottom < document.querySelector(".talk").getBoundingClientRect().top`)
	b.do(chromedp.EmulateViewport(1280, 800))
	b.audit("on air")
	b.click("button.theatre")
	b.wait(`!document.querySelector(".below").checkVisibility() && document.querySelector(".talk").checkVisibility()`)
	b.click("button.theatre")
	b.script(`streams.update({ streams: ["main"] });`)
	if path := <-p.asked; path != "/ws/live/blue/main" {
		t.Errorf("asked for %s", path)
	}
	b.script(`streams.update({ streams: [] });`)
	b.waitText(".onstage", "Nobody is broadcasting")
	b.wait(`!document.querySelector(".player").checkVisibility() && !video.src`)
}

func testIngestWords(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const m = await import("/assets/ingest.js");`
	b.same("short", load+`return m.inShort({ video: "H.264", audio: "AAC", width: 1280, height: 720, fps: 30, bitrate: 2720000 });`, `"H.264 and AAC, 1280 × 720, 30 frames a second, 2.7 Mbit/s."`)
	b.same("nothing known yet", load+`return m.inShort({});`, `""`)
	b.same("full", load+`return m.inFull({ encoder: "OBS", drift: -240, speed: 0.9, silent: 3100,
		video: { codec: "H.264", profile: "High", width: 1920, height: 1080, fps: 29.97, bitrate: 6000000, keyFrames: 2000, bFrames: true },
		audio: { codec: "AAC", sampleRate: 44100, channels: 2, bitrate: 160000 } });`,
		`["Picture: H.264 High, 1920 × 1080, 30 a second, 6.0 Mbit/s, a key frame every 2 s, with B-frames.",`+
			`"Sound: AAC, 44.1 kHz, stereo, 160 kbit/s.","The sound is 0.2 s behind the picture.","It arrives at 90 % of its normal speed.",`+
			`"Nothing has arrived for 3 s.","Sent by OBS."]`)
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
	b.waitText(".recordings li:first-child", "still recording, 1.0 MB") // newest first
	b.waitText(".recordings li:last-child", "1 min 5 s, 2.5 MB")
	if got := eval[string](b, `new URL(document.querySelector(".recordings li:last-child a").href).pathname`); got != "/recordings/blue/a.flv" {
		t.Errorf("the link leads to %s", got)
	}
	b.wait(`document.querySelectorAll(".recordings li button").length === 1`) // one that is still written has no end
	b.expect("404")
	b.click(".recordings li button")
	b.waitText(".recording-dialog .error", "This browser cannot play the recording.")
}

// record puts a recording of room blue into a folder: ten seconds of green, ten of red.
func record(t *testing.T, dir, name string) {
	t.Helper()
	needFFmpeg(t)
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "color=c=0x00c000:s=320x180:r=25:d=10", "-f", "lavfi", "-i", "color=c=0xc00000:s=320x180:r=25:d=10",
		"-f", "lavfi", "-i", "sine=duration=20", "-filter_complex", "[0][1]concat[v]", "-map", "[v]", "-map", "2", "-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p",
		"-preset", "ultrafast", "-g", "50", "-c:a", "aac", "-f", "flv", "pipe:1")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	tags, err := media.NewFLVReader(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	flv := media.FLV{File: true}
	var file []byte
	for m, err := tags.Next(); err == nil; m, err = tags.Next() {
		file = flv.Append(file, m)
	}
	file = flv.End(file)
	if err := os.MkdirAll(filepath.Join(dir, "blue"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blue", name), file, 0o600); err != nil {
		t.Fatal(err)
	}
}

// testRecordingDialog plays a recording in the room page during a broadcast, seeks by
// keyboard and pointer, and returns to live.
func testRecordingDialog(t *testing.T, browser context.Context) {
	dir := t.TempDir()
	record(t, dir, "main-2026-01-02T03-04-05Z.flv")
	recorder, err := media.OpenRecorder(media.RecorderConfig{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { recorder.Close() })
	h := newHouse(t)
	h.stopWeb()
	h.recorder = recorder
	h.startWeb()
	h.room("blue", "Blue")
	h.publish("blue", "main", lavfi("color=c=0x0000c0:s=320x180:r=25")...)
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.waitText(".player-state", "Live")
	b.click(".recordings summary")
	b.waitText(".recordings li", "20 s")
	b.do(chromedp.Focus(chromedp.CSS(".recordings li button")))
	b.press(kb.Enter)
	b.wait(`(window.video = document.querySelector(".recording-dialog[open] video")) !== null && video.videoWidth === 320 && video.currentTime > 0.5 && !video.paused`)
	b.wait(pixel + ` === "0 2 0" && document.activeElement === video`)
	b.waitText(".player-state", "Paused")
	if d := eval[float64](b, `video.duration`); d < 19.5 || d > 20.5 {
		t.Errorf("lasts %v s", d)
	}
	b.audit("recording")
	b.press(" ")
	b.wait(`video.paused`)
	from := eval[float64](b, `video.currentTime`)
	b.press(kb.ArrowRight)
	b.wait(fmt.Sprintf(`Math.abs(video.currentTime - %v - 5) < 0.5 && !video.seeking`, from))
	eval[bool](b, `(video.currentTime = 16.5, true)`) // as the pointer does on the browser's own controls
	b.wait(`!video.seeking && ` + pixel + ` === "2 0 0"`)
	b.press(kb.ArrowLeft)
	b.wait(`!video.seeking && video.currentTime < 12`)
	b.press(kb.ArrowLeft)
	b.wait(`!video.seeking && video.currentTime < 7 && ` + pixel + ` === "0 2 0"`)
	b.press(" ")
	b.wait(`!video.paused && video.currentTime > 7`)
	b.press(kb.Escape)
	b.wait(`!document.querySelector(".recording-dialog").open && !video.src && document.activeElement.matches(".recordings li button")`)
	b.waitText(".player-state", "Live")
	b.click(".recordings li button") // by pointer
	b.wait(`video.currentTime > 0.2 && !video.paused`)
	b.click(".recording-dialog form button")
	b.waitText(".player-state", "Live")
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
		r.loop(c, 60, r.ctx)
	})
	p.still = append(bytes.Clone(c.init), c.fragments[0]...)
	b := newTab(t, browser, h)
	b.base = base
	b.open("/")
	b.wait(`document.querySelectorAll(".card").length === 300`)
	b.wait(`document.querySelector(".card-picture video")?.videoWidth === 320`)
	seen := `document.querySelectorAll("video").length`
	b.wait(seen + ` > 2`)
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
