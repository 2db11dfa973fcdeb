package web_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"foyer/lobby"
	"foyer/server/amf"
)

// windows are sizes of windows and the height that the messages have there beside a picture, in
// pixels: some lines of chat are always seen.
var windows = []struct {
	width, height int64
	messages      int
	mobile        bool
}{
	{1440, 900, 634, false},
	{1280, 800, 534, false},
	{832, 700, 400, false},
	{820, 640, 380, false},
	{800, 600, 362, false},
	{640, 512, 345, false}, // 1280 × 1024 at 200 %
	{390, 844, 358, true},
	{375, 553, 225, true},
	{844, 390, 213, true},
	{667, 375, 198, true},
}

// crowded opens a room with a picture, many messages and a name.
func crowded(t *testing.T, browser context.Context) *tab {
	t.Helper()
	h := newHouse(t)
	h.room("blue", "The Blue Room")
	h.ask("blue", "topic", amf.String("Open mic until ten. Put your name on the list in the chat."))
	for i := range 10 {
		g := h.guest("room/blue", amf.String(fmt.Sprintf("guest%d", i)))
		for j := range 4 {
			g.say(fmt.Sprintf("message %d, which has some words", 4*i+j))
		}
	}
	h.publish("blue", "main", lavfi(colours, sine)...)
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.join("ann")
	b.say("mine")
	b.waitText(".message", "mine")
	b.waitText(".player-state", "Live")
	return b
}

func (b *tab) resize(width, height int64, mobile bool) {
	b.t.Helper()
	if mobile {
		b.do(chromedp.EmulateViewport(width, height, chromedp.EmulateMobile, chromedp.EmulateTouch))
	} else {
		b.do(chromedp.EmulateViewport(width, height))
	}
	b.wait(fmt.Sprintf(`innerWidth === %d && innerHeight === %d`, width, height))
	eval[bool](b, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// sideways lists what is cut off at the right.
const sideways = `return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && !e.closest(".hidden, .skip, svg") && e.getBoundingClientRect().right > innerWidth + 1)
	.map((e) => e.className || e.tagName).concat(document.documentElement.scrollWidth > innerWidth ? ["page"] : []);`

// cut is a function that tells whether something is not wholly seen.
const cut = `const cut = (e) => { const r = e.getBoundingClientRect(); return !e.checkVisibility() || r.height < 1 || r.top < -1 || r.bottom > innerHeight + 1; };`

// testWindows: the picture gives way, and the chat does not, whatever the window.
func testWindows(t *testing.T, browser context.Context) {
	b := crowded(t, browser)
	const box = `"#say", ".composer button.main"`
	for _, w := range windows {
		b.resize(w.width, w.height, w.mobile)
		b.fits(fmt.Sprintf("%d×%d", w.width, w.height), w.height, w.messages, box)
	}
	b.tiny()
	b.resize(800, 600, false)
	b.click(".views [data-view=people]")
	b.click(".person .own:last-child") // just watch
	b.wait(`document.querySelector("#nick").checkVisibility()`)
	for _, w := range windows {
		b.resize(w.width, w.height, w.mobile)
		b.fits(fmt.Sprintf("%d×%d, watching", w.width, w.height), w.height, 0, `"#nick", ".join button.main"`)
	}
	b.resize(390, 844, true)
	b.same("what a finger presses", `return [...document.querySelectorAll("button, input, select, textarea")]
		.filter((e) => e.checkVisibility()).filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.outerHTML);`, "[]")
	for _, w := range windows { // a pass can be given in every window
		b.resize(w.width, w.height, w.mobile)
		b.script(`document.querySelector(".credential").open = false; document.querySelector(".views [data-view=about]").click();`)
		b.script(`[...document.querySelectorAll(".with-pass, .credential summary")].find((e) => e.checkVisibility()).click();`)
		b.wait(`document.querySelector("#credential").checkVisibility()`)
		eval[bool](b, `(document.querySelector("#credential").scrollIntoView({ block: "nearest" }), true)`)
		b.same("a pass", cut+`return cut(document.querySelector("#credential"));`, "false")
	}
}

// fits checks one window.
func (b *tab) fits(name string, height int64, messages int, box string) {
	b.t.Helper()
	got := eval[int](b, `document.querySelector(".scroll").clientHeight`)
	b.t.Logf("%s: %d px of messages, %d %%", name, got, 100*got/int(height))
	if got < messages || 100*got < 40*int(height) {
		b.t.Errorf("%s: the messages have %d px, want %d and 40 %%", name, got, messages)
	}
	b.same(name, sideways, "[]")
	b.same(name+", not seen at once", cut+`return [".screen", ".play", ".mute", ".full", ".views button", `+box+`].filter((s) => cut(document.querySelector(s)));`, "[]")
}

// tiny is 1280 × 1024 at 400 %: the page scrolls, nothing is cut off at the side, and everything
// can be reached. While somebody writes, the window has the talk alone.
func (b *tab) tiny() {
	b.t.Helper()
	b.resize(320, 256, false)
	eval[bool](b, `(document.activeElement.blur(), true)`)
	b.same("320×256", sideways, "[]")
	if got := eval[int](b, `document.documentElement.scrollHeight - innerHeight`); got < 100 || got > 300 {
		b.t.Errorf("320×256: the page scrolls by %d px", got)
	}
	for _, selector := range []string{".play", ".mute", ".full", ".views button", ".scroll", "#say", ".composer button.main"} {
		eval[bool](b, fmt.Sprintf(`(document.querySelector(%q).scrollIntoView({ block: "nearest" }), true)`, selector))
		b.same("320×256, "+selector, cut+fmt.Sprintf(`return cut(document.querySelector(%q));`, selector), "false")
	}
	eval[bool](b, `(document.querySelector("#say").focus(), true)`)
	b.same("320×256, writing", cut+`return [".scroll", "#say", ".composer button.main"].filter((s) => cut(document.querySelector(s)));`, "[]")
	b.same("320×256, writing: lines", `return document.querySelector(".scroll").clientHeight >= 152;`, "true")
}

// testLobbyWindows: all cards are built alike, so a row has no holes, and nothing is cut off.
func testLobbyWindows(t *testing.T, browser context.Context) {
	h := newHouse(t)
	long := strings.Repeat("a long title ", 6)
	h.listed("one", lobby.Status{Epoch: 1, Title: long, Topic: long + long, Tags: []string{"jazz", "late", "loud"}, Live: true, Viewers: 7, Locked: true, Capacity: 1, Users: 1})
	for i := range 7 {
		h.listed(fmt.Sprintf("room%d", i), lobby.Status{Epoch: 1})
	}
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".link-state", "Up to date")
	b.wait(`document.querySelectorAll(".card").length === 8`)
	b.waitText(".watching", "7 watching")
	const columns = `new Set([...document.querySelectorAll(".card")].map((c) => c.getBoundingClientRect().left)).size`
	for _, w := range []struct {
		width, height int64
		columns       int
	}{{1440, 900, 4}, {1280, 800, 4}, {820, 640, 2}, {640, 512, 2}, {390, 844, 1}, {844, 390, 2}, {320, 256, 1}} {
		b.resize(w.width, w.height, false)
		name := fmt.Sprintf("%d×%d", w.width, w.height)
		b.same(name, sideways, "[]")
		if got := eval[int](b, columns); got != w.columns {
			t.Errorf("%s: %d columns, want %d", name, got, w.columns)
		}
		b.same(name+": heights in a row", `const rows = {};
			for (const c of document.querySelectorAll(".card")) { const r = c.getBoundingClientRect(); (rows[r.top] ??= new Set()).add(Math.round(r.height)); }
			return Object.values(rows).filter((row) => row.size > 1).length;`, "0")
	}
	b.resize(390, 844, true)
	b.same("what a finger presses", `return [...document.querySelectorAll("button, select, input:not([type=checkbox]), .chip, .button")]
		.filter((e) => e.checkVisibility()).filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.outerHTML);`, "[]")
}
