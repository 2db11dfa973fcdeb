package web_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A publisher is an ffmpeg that broadcasts a picture that it makes itself.
type publisher struct {
	cmd  *exec.Cmd
	done chan error
}

// publish starts a publisher into a room. Its picture has one colour.
func (h *house) publish(room, stream string, args ...string) *publisher {
	h.t.Helper()
	needFFmpeg(h.t)
	all := append([]string{"-re", "-loglevel", "error"}, args...)
	all = append(all, "-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25",
		"-c:a", "aac", "-ar", "48000", "-f", "flv", fmt.Sprintf("rtmp://%s/room/%s/%s?key=%s", h.rtmp, room, stream, streamKey(room)))
	p := &publisher{exec.Command("ffmpeg", all...), make(chan error, 1)}
	p.cmd.Stderr = h.t.Output()
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }() // ends with the process, which stop ends
	h.t.Cleanup(p.stop)
	return p
}

// stop ends a publisher without a goodbye.
func (p *publisher) stop() {
	if p.cmd.Process != nil {
		p.cmd.Process.Signal(os.Kill)
		<-p.done
		p.cmd.Process = nil
	}
}

func lavfi(sources ...string) (args []string) {
	for _, s := range sources {
		args = append(args, "-f", "lavfi", "-i", s)
	}
	return args
}

// watchRoom opens the page of a room that is on air.
func watchRoom(t *testing.T, browser context.Context, h *house, room string) *tab {
	t.Helper()
	b := newTab(t, browser, h)
	b.open("/room/" + room)
	b.wait(`(window.video = document.querySelector(".player video")) !== null`)
	return b
}

// testLive tests the whole way: an encoder, this server, a browser.
func testLive(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	b := watchRoom(t, browser, h, "blue")
	b.waitText(".onstage", "Nobody is broadcasting")
	first := h.publish("blue", "main", lavfi(colours, sine)...)
	b.waitText(".player-state", "Live")
	b.wait(`video.videoWidth === 320 && video.videoHeight === 180 && video.currentTime > 1`)
	if got := eval[string](b, pixel); got != "0 2 0" {
		t.Errorf("the picture is %s, want green", got)
	}
	b.wait(behind + ` <= 1.5`)

	// A late visitor sees something at once.
	late := newTab(t, browser, h)
	late.open("/room/blue")
	took := eval[float64](late, `new Promise((done) => { const v = document.querySelector(".player video");
		const look = () => v.readyState >= 2 ? done(performance.now()) : setTimeout(look, 5); look(); })`)
	t.Logf("first picture %.0f ms after the page was asked for", took)

	// The publisher dies. Another one with the same key continues with other pictures.
	first.stop()
	b.wait(`/stepped away|Nobody/.test(document.querySelector(".onstage").textContent)`) // with a grace time, or without
	second := h.publish("blue", "main", lavfi("color=c=0xc00000:s=160x90:r=25", sine)...)
	b.waitText(".player-state", "Live")
	b.wait(`video.videoWidth === 160 && ` + pixel + ` === "2 0 0"`)
	late.wait(`document.querySelector(".player video").videoWidth === 160`)
	b.wait(behind + ` <= 1.5`)
	second.stop()
	b.wait(`/stepped away|Nobody/.test(document.querySelector(".onstage").textContent)`)
	h.publish("blue", "main", lavfi("color=c=0x0000c0:s=320x180:r=25", sine)...)
	b.wait(`video.videoWidth === 320 && !video.paused && ` + pixel + ` === "0 0 2"`)
	if n := eval[int](b, `performance.getEntriesByType("navigation").length`); n != 1 {
		t.Errorf("the page was loaded %d times", n)
	}
}

func testLiveSoundOnly(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	h.publish("blue", "main", lavfi(sine)...)
	b := watchRoom(t, browser, h, "blue")
	b.waitText(".player-state", "Live")
	b.waitText(".calm", "Sound only")
	b.wait(`video.currentTime > 1 && !video.paused && ` + behind + ` <= 1.5`)
}

// testLiveLobby: a card shows the last picture of a room.
func testLiveLobby(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	h.publish("blue", "main", lavfi(colours)...)
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".onair", "On air")
	b.wait(`(window.video = document.querySelector(".card-picture video"))?.videoWidth === 320 && ` + pixel + ` === "0 2 0"`)
	b.do(chromedp.Focus(chromedp.CSS(`.card-title a`)))
	b.wait(`[...document.querySelectorAll(".card-picture video")].some((v) => !v.paused && v.currentTime > 0.2)`)
	eval[bool](b, `(document.activeElement.blur(), true)`)
	b.wait(`document.querySelectorAll(".card-picture video").length === 1`)
}

// testLiveBroadcasting: anyone who holds the admin token sees what the encoder sends,
// and the key.
func testLiveBroadcasting(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	h.publish("blue", "main", lavfi(colours, sine)...)
	b := watchRoom(t, browser, h, "blue")
	b.waitText(".link-state", "Connected")
	b.wait(`!document.querySelector(".broadcasting").checkVisibility()`)
	b.click(".credential summary")
	b.fill("#credential", token)
	b.fill("#nick", "ann")
	b.press(kb.Enter)
	b.waitText(".person.me", "ann")
	b.waitText(".ingest", "H.264")
	b.waitText(".ingest", "320 × 180")
	b.wait(`document.querySelector(".broadcasting-key").textContent === ""`)
	b.click(".broadcasting summary")
	b.waitText(".broadcasting-key", "live?key="+streamKey("blue"))
	b.waitText(".broadcasting-server", "/room/blue")
	b.waitText(".ingest", "without B-frames")
	b.audit("broadcasting")
	b.wait(`document.querySelector(".ingest button").checkVisibility()`)
	// A press counts only for a while, and the next lines may come too late to see it.
	press := `(() => { const button = document.querySelector(".ingest button"); button.click(); return button.textContent; })()`
	if got := eval[string](b, press); got != "Press again to end it" {
		t.Errorf("a press, and the button says %q", got)
	}
	b.waitText(".onstage-words", "main") // a single press may be a mistake
	b.do(chromedp.Focus(chromedp.CSS(".ingest button")))
	eval[bool](b, `(window.said = document.querySelector(".ingest").textContent, true)`)
	b.wait(`document.querySelector(".ingest").textContent.replace(/Press.*it|End.*cast/, "") !== said.replace(/Press.*it|End.*cast/, "")`) // new figures
	b.wait(`document.activeElement.matches(".ingest button")`)
	b.waitText(".ingest button", "End this broadcast") // the first press is long ago
	b.waitText(".onstage-words", "main")
	eval[string](b, press+` && `+press)
	b.waitText(".onstage", "Nobody is broadcasting")
	b.wait(`document.querySelector(".ingest").textContent === "" || !document.querySelector(".ingest button")`)
	b.click(".composer .leave")
	b.wait(`!document.querySelector(".broadcasting").checkVisibility() && document.querySelector(".broadcasting-key").textContent === ""`)
}

// testLiveTracks: a publisher comes back without sound, then with it, and then without a
// picture, and the page plays all of that.
func testLiveTracks(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	first := h.publish("blue", "main", lavfi(colours, sine)...)
	b := watchRoom(t, browser, h, "blue")
	b.waitText(".player-state", "Live")
	b.wait(`video.currentTime > 1`)
	for _, next := range []struct {
		inputs []string
		plays  string
	}{
		{lavfi("color=c=0xc00000:s=160x90:r=25"), `video.videoWidth === 160 && ` + pixel + ` === "2 0 0"`},
		{lavfi("color=c=0x0000c0:s=320x180:r=25", sine), `video.videoWidth === 320 && ` + pixel + ` === "0 0 2"`},
		{lavfi(sine), `document.querySelector(".calm").textContent.includes("Sound only")`},
	} {
		first.stop()
		b.wait(`/stepped away|Nobody/.test(document.querySelector(".onstage").textContent)`)
		first = h.publish("blue", "main", next.inputs...)
		b.waitText(".player-state", "Live")
		b.wait(next.plays)
		eval[bool](b, `(window.from = video.currentTime, true)`)
		b.wait(`video.currentTime > from + 3 && !video.paused && ` + behind + ` <= 1.5`) // for longer than the player has buffered
	}
}
