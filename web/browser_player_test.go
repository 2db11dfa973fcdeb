package web_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/gorilla/websocket"
)

func testPlayerPlays(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, h264+","+aac, colours, sine)
	b, p := project(t, browser, func(r *reel) {
		r.loop(c, 60, r.ctx)
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
		r.loop(c, 60, r.ctx)
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
	<-p.asked // it begins again, at live
	eval[bool](b, `(document.querySelector(".play").focus(), true)`)
	b.press(" ")
	b.waitText(".player-state", "Paused") // the button counts once, not twice
	b.press("f")
	b.wait(`document.fullscreenElement === player.root`)
	b.waitText(".full", "Exit full screen")
	b.press("f")
	b.wait(`document.fullscreenElement === null`)
}

func testPlayerAgain(t *testing.T, browser context.Context) {
	first := makeClip(t, 20, h264+","+aac, colours, sine)
	second := makeClip(t, 20, "avc1.42c00c,"+aac, "color=c=0xc00000:s=160x90:r=25", sine) // smaller, red, and from time 0 again
	third := makeClip(t, 20, h264, "color=c=0x0000c0:s=320x180:r=25")                     // blue, and silent
	away, leave := context.WithCancel(t.Context())
	back, comeBack := context.WithCancel(t.Context())
	silent, hush := context.WithCancel(t.Context())
	b, p := project(t, browser, func(r *reel) {
		r.loop(first, 60, away)
		r.tell(`{"type":"end"}`)
		select {
		case <-back.Done():
		case <-r.ctx.Done():
		}
		r.loop(second, 60, silent)
		r.loop(third, 60, r.ctx) // without an end before
	})
	b.waitText(".player-state", "Live")
	leave()
	b.waitText(".player-state", "The broadcaster has stepped away")
	b.waitText(".calm", "The broadcaster has stepped away")
	b.script(`await new Promise((r) => setTimeout(r, 5500));`) // longer than the player tolerates silence
	comeBack()
	b.waitText(".player-state", "Live")
	b.wait(`video.videoWidth === 160 && ` + pixel + ` === "2 0 0"`)
	b.wait(behind + ` <= 1.5`)
	hush()
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
		select {
		case <-rush:
			r.run(c, 100, 1200, 1000) // 40 s at once
		case <-r.ctx.Done():
		}
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
		r.loop(c, 60, r.ctx)
	})
	b.waitText(".player-state", "Live")
	// A browser may pause a video that nobody sees.
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
			quiet.Store(time.Now().UnixNano())
			r.run(c, 0, 50, 50) // and then nothing, without a goodbye
		default:
			select {
			case silence <- time.Since(time.Unix(0, quiet.Load())):
			default:
			}
			r.loop(c, 60, r.ctx)
		}
	})
	b.waitText(".player-state", "Live")
	select {
	case d := <-silence:
		if d < 5*time.Second {
			t.Errorf("a silent connection was given up after %v, want 5 s", d)
		}
	case <-time.After(patience):
		t.Fatal("a silent connection is never given up")
	}
	b.waitText(".player-state", "Live")
	b.wait(`!video.paused && ` + behind + ` < 1.5`)
}

func testPlayerCannot(t *testing.T, browser context.Context) {
	b, _ := project(t, browser, func(r *reel) { r.tell(`{"type":"init","mime":"video/mp4; codecs=\"vvc1.1.L51.CQA.O1+3,mp4a.40.2\""}`) })
	b.waitText(".calm", "This room sends VVC, which this browser can’t play.")
	b.waitText(".calm", "/live/blue/main.flv")
	b.wait(`document.querySelector(".play").disabled`)

	b, _ = project(t, browser, func(r *reel) { r.tell(`{"type":"unsupported","codec":"VP6"}`) })
	b.waitText(".calm", "This room sends VP6, which this browser can’t play.")

	b, p := project(t, browser, func(r *reel) {
		r.tell(`{"type":"status","info":{"level":"error","code":"NetConnection.Connect.Rejected","description":"You are banned until tomorrow."}}`)
		r.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "You are banned until tomorrow."))
	})
	b.waitText(".calm", "You can’t watch this: You are banned until tomorrow.")
	b.script(`await new Promise((r) => setTimeout(r, 1500));`)
	if n := len(p.asked); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func testPlayerSoundOnly(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, aac, sine)
	c.mime = strings.Replace(c.mime, "video/", "audio/", 1)
	b, _ := project(t, browser, func(r *reel) {
		r.loop(c, 100, r.ctx)
	})
	b.waitText(".player-state", "Live")
	b.waitText(".calm", "Sound only")
	b.wait(`video.currentTime > 0.5 && !video.paused`)
}

// testPlayerMuted: a browser wants a tap before it makes noise.
func testPlayerMuted(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, h264+","+aac, colours, sine)
	b, _ := project(t, browser, func(r *reel) {
		r.loop(c, 60, r.ctx)
	})
	b.waitText(".player-state", "Live")
	b.waitText(".tap", "Tap for sound")
	b.wait(`video.muted && !video.paused`)
	b.do(chromedp.Click(chromedp.CSS(".tap")))
	b.wait(`!video.muted && !video.paused && !document.querySelector(".tap").checkVisibility()`)
}

// testPlayerParts tests the decisions of the player, without a video.
func testPlayerParts(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const m = await import("/assets/liveedge.js"); const at = (behind, rate = 1) => m.follow(20 - behind, [{ start: 0, end: 20 }], rate);`
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

// testPlayerVolume: volume and mute are as people left them, and the picture goes into a small
// window where the browser has one.
func testPlayerVolume(t *testing.T, browser context.Context) {
	c := makeClip(t, 20, h264+","+aac, colours, sine)
	b, _ := project(t, browser, func(r *reel) {
		r.loop(c, 60, r.ctx)
	})
	b.waitText(".player-state", "Live")
	const another = `await (async () => { const { Player } = await import("/assets/player.js");
		const root = [...document.querySelectorAll(".player")].at(-1).cloneNode(true), { video } = new Player(root, "blue");
		return [video.volume, video.muted]; })()`
	b.wait(`video.muted`) // since the browser wants it, not we
	b.same("at first", `return `+another+`;`, `[1,false]`)
	b.do(chromedp.Click(chromedp.CSS(".tap")))
	b.wait(`!video.muted`)
	eval[bool](b, `(() => { const slider = document.querySelector(".volume input"); slider.value = "35"; slider.dispatchEvent(new Event("input", { bubbles: true })); return true; })()`)
	b.wait(`localStorage.getItem("foyer.volume") !== null && Math.abs(video.volume - 0.35) < 0.001`)
	b.same("quieter", `return `+another+`;`, `[0.35,false]`)
	b.click(".mute")
	b.wait(`video.muted`)
	b.same("muted", `await new Promise((done) => setTimeout(done, 50)); return `+another+`;`, `[0.35,true]`)
	b.same("nonsense", `const before = localStorage.getItem("foyer.volume"), got = [];
		for (const kept of ["{", "null", '{"volume":7,"muted":"x"}', '{"volume":null}']) { localStorage.setItem("foyer.volume", kept); got.push(`+another+`); await new Promise((done) => setTimeout(done, 20)); }
		localStorage.setItem("foyer.volume", before); return got.map(String);`, `["1,false","1,false","1,false","1,false"]`)

	b.same("where the browser has it", `return document.pictureInPictureEnabled === !player.root.querySelector(".small-window").hidden;`, `true`)
	b.script(`window.small = []; HTMLVideoElement.prototype.requestPictureInPicture = async function () { small.push("in");
			Object.defineProperty(document, "pictureInPictureElement", { configurable: true, get: () => this }); this.dispatchEvent(new Event("enterpictureinpicture")); };
		document.exitPictureInPicture = async () => { small.push("out"); delete document.pictureInPictureElement; video.dispatchEvent(new Event("leavepictureinpicture")); };
		player.root.querySelector(".small-window").hidden = false;`)
	b.click(".small-window")
	b.wait(`small.join() === "in" && document.querySelector(".small-window").ariaPressed === "true"`)
	b.click(".small-window")
	b.wait(`small.join() === "in,out" && document.querySelector(".small-window").ariaPressed === "false"`)
	b.click(".small-window")
	b.script(`player.watch("side");`)
	b.wait(`small.join() === "in,out,in"`) // another stream stays in it
	b.script(`player.close();`)
	b.wait(`small.join() === "in,out,in,out"`)
}
