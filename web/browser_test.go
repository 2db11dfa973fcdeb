package web_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a page may take to show what it should, on a machine
// that has much else to do.
const patience = 45 * time.Second

// TestBrowser drives the pages in Chromium, which takes minutes: only when
// FOYER_TEST_BROWSER is set, and in CI, where a missing Chromium is a failure.
func TestBrowser(t *testing.T) {
	if os.Getenv("FOYER_TEST_BROWSER") == "" && os.Getenv("CI") == "" {
		t.Skip("drives a browser for minutes: set FOYER_TEST_BROWSER=1")
	}
	browser := startBrowser(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context)
	}{
		{"values", testValues},
		{"backoff", testBackoff},
		{"shared object", testSharedObject},
		{"chat log", testChatLog},
		{"composer", testComposer},
		{"links", testLinks},
		{"words", testWords},
		{"stacked accents", testStackedAccents},
		{"rooms", testRooms},
		{"lobby follows", testLobbyFollows},
		{"lobby search", testLobbySearch},
		{"lobby without script", testLobbyWithoutScript},
		{"lobby stale", testLobbyStale},
		{"lobby out of sight", testLobbyOutOfSight},
		{"lobby far picture", testLobbyFarPicture},
		{"lobby order", testLobbyOrder},
		{"lobby thousand", testLobbyThousand},
		{"join and talk", testJoinAndTalk},
		{"over TLS", testOverTLS},
		{"nick taken", testNickTaken},
		{"history", testHistory},
		{"reading", testReading},
		{"rejected message", testRejectedMessage},
		{"tab title", testTabTitle},
		{"markup is text", testMarkupIsText},
		{"right to left", testRightToLeft},
		{"moderator", testModerator},
		{"room restarts", testRoomRestarts},
		{"room keeps its history", testRoomKeepsHistory},
		{"moved", testMoved},
		{"connection breaks", testConnectionBreaks},
		{"answer is lost", testAnswerIsLost},
		{"behind nginx", testBehindNginx},
		{"keyboard", testKeyboard},
		{"accessible", testAccessible},
		{"narrow", testNarrow},
		{"windows", testWindows},
		{"lobby windows", testLobbyWindows},
		{"lobby closing", testLobbyClosing},
		{"lobby pictures", testLobbyPictures},
		{"ingest words", testIngestWords},
		{"streams", testStreams},
		{"recordings", testRecordings},
		{"recording dialog", testRecordingDialog},
		{"live", testLive},
		{"live tracks", testLiveTracks},
		{"live sound only", testLiveSoundOnly},
		{"live lobby", testLiveLobby},
		{"live broadcasting", testLiveBroadcasting},
		{"hls.js", testHLSJS},
		{"player parts", testPlayerParts},
		{"player plays", testPlayerPlays},
		{"player keyboard", testPlayerKeyboard},
		{"player again", testPlayerAgain},
		{"player falls behind", testPlayerFallsBehind},
		{"player hidden", testPlayerHidden},
		{"player loses connection", testPlayerLosesConnection},
		{"player cannot", testPlayerCannot},
		{"player sound only", testPlayerSoundOnly},
		{"player muted", testPlayerMuted},
		{"player volume", testPlayerVolume},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.HasPrefix(c.name, "player ") {
				t.Parallel() // they mostly wait for pictures
			}
			c.test(t, browser)
		})
	}
}

// startBrowser starts one Chromium for all tests; each page is a profile of its own.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	if !hasBrowser() {
		if os.Getenv("CI") != "" {
			t.Fatal("no Chromium found, and CI is set")
		}
		t.Skip("no Chromium found: set CHROME to its path")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.DisableGPU, chromedp.NoSandbox, chromedp.UserDataDir(profile(t)), chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true))
	if path := os.Getenv("CHROME"); path != "" {
		opts = append(opts, chromedp.ExecPath(path))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	t.Cleanup(func() { chromedp.Cancel(ctx) })
	return ctx
}

func hasBrowser() bool {
	for _, name := range []string{os.Getenv("CHROME"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"} {
		if _, err := exec.LookPath(name); err == nil && name != "" {
			return true
		}
	}
	return false
}

// profile is a directory that is removed when Chromium is done with it: its
// children may write for a moment after it has ended.
func profile(t *testing.T) string {
	dir, err := os.MkdirTemp("", "foyer-browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}

// A tab is a page that somebody looks at. Any error in it fails the test.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex
	problems []string
	expected []string // parts of problems that are expected
}

// newTab opens a tab, with storage of its own, on the pages of h.
func newTab(t *testing.T, browser context.Context, h *house) *tab {
	t.Helper()
	b := &tab{t: t, base: h.url()}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	b.ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	b.do(chromedp.EmulateViewport(1280, 800))
	do(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	t.Cleanup(b.check)
	return b
}

// listen collects errors, including violations of the content policy.
func (b *tab) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.problems = append(b.problems, text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			b.problems = append(b.problems, fmt.Sprintf("console %s: %s", e.Type, e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			b.problems = append(b.problems, e.Entry.Text)
		}
	}
}

// expect names a part of a problem that is expected.
func (b *tab) expect(part string) { b.expected = append(b.expected, part) }

func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
problems:
	for _, p := range b.problems {
		for _, part := range b.expected {
			if strings.Contains(p, part) {
				continue problems
			}
		}
		b.t.Errorf("the page says: %s", p)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

// eval returns the value of an expression, or of its promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// script runs the body of an async function in the page and returns its result as JSON.
func (b *tab) script(body string) string {
	b.t.Helper()
	return eval[string](b, "(async () => { const result = await (async () => {"+body+"})(); return JSON.stringify(result) ?? 'undefined'; })()")
}

// wait returns when the expression is true.
func (b *tab) wait(expression string) {
	b.t.Helper()
	if !eval[bool](b, fmt.Sprintf(`new Promise((done) => {
		const end = Date.now() + %d;
		(function look() {
			let ok = false;
			try { ok = %s; } catch { }
			if (ok || Date.now() > end) done(Boolean(ok)); else setTimeout(look, 20);
		})();
	})`, patience.Milliseconds(), expression)) {
		b.t.Fatalf("did not come true: %s\nthe page shows:\n%s", expression, eval[string](b, `document.body.innerText`))
	}
}

// waitPage returns when the page has gone to a path by itself.
func (b *tab) waitPage(path string) {
	b.t.Helper()
	there := fmt.Sprintf(`location.pathname === %q && document.readyState === "complete"`, path)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		// A request that is open while the page is left ends with an error.
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](there)); err == nil && ok {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("the page never went to %s", path)
		}
	}
}

// waitText returns when an element has a text in it.
func (b *tab) waitText(selector, text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`, selector, text))
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q).innerText`, selector))
}

// press types keys into whatever has the focus.
func (b *tab) press(keys string, options ...chromedp.KeyOption) {
	b.t.Helper()
	text, enter := strings.CutSuffix(keys, kb.Enter)
	if text != "" {
		b.do(chromedp.KeyEvent(text, options...))
	}
	if enter {
		b.enter(options...)
	}
}

func (b *tab) enter(options ...chromedp.KeyOption) {
	b.t.Helper()
	b.key(input.DispatchKeyEventParams{Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, Text: "\r"}, options...)
}

// key presses a key as a keyboard does, where the character is part of it. A page that
// handles the key gets no character, but KeyEvent always sends one.
func (b *tab) key(key input.DispatchKeyEventParams, options ...chromedp.KeyOption) {
	b.t.Helper()
	key.Type = kb.KeyDown
	for _, o := range options {
		o(&key)
	}
	do(b, input.DispatchKeyEvent, key)
	key.Type, key.Text = kb.KeyUp, ""
	do(b, input.DispatchKeyEvent, key)
}

// fill types into a field like somebody who has clicked it.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`document.querySelector(%q).checkVisibility()`, selector))
	eval[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.focus(); e.select(); return true; })()`, selector))
	b.press(kb.Backspace + text)
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`document.querySelector(%q).checkVisibility()`, selector))
	eval[bool](b, fmt.Sprintf(`(document.querySelector(%q).click(), true)`, selector))
}

func (b *tab) join(nick string) {
	b.t.Helper()
	b.wait(`document.querySelector('.link-state').classList.contains('up')`)
	b.fill("#nick", nick)
	b.press(kb.Enter)
	b.wait(`document.querySelector('#say').checkVisibility()`)
	b.waitText(".person.me", nick)
}

func (b *tab) say(text string) {
	b.t.Helper()
	b.fill("#say", text)
	b.press(kb.Enter)
}

// scheme makes the page dark or light.
func (b *tab) scheme(name string) {
	b.t.Helper()
	do(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
}

// do sends the browser a command about the tab.
func do[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}
