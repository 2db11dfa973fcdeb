package web_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"foyer/lobby"
	"foyer/server/amf"
)

// focused names the element with the focus, as somebody without a mouse needs to know
// it.
const focused = `(() => { const e = document.activeElement; return e.id || e.className.split(" ")[0] || e.textContent.trim(); })()`

// tabTo presses Tab until an element has the focus, which must be visible.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	var path []string
	for range 40 {
		b.press(kb.Tab)
		path = append(path, eval[string](b, focused))
		if eval[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			if eval[bool](b, `(() => { const e = document.activeElement, own = getComputedStyle(e), after = getComputedStyle(e, "::after");
				return own.outlineStyle === "none" && after.outlineStyle === "none"; })()`) {
				b.t.Errorf("the focus on %s is not seen", selector)
			}
			return
		}
	}
	b.t.Fatalf("Tab does not reach %s: %s", selector, strings.Join(path, ", "))
}

func testKeyboard(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	h.guest("room/blue", amf.String("bob")).say("first")
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".link-state", "Up to date")
	b.press(kb.Tab)
	if got := b.text(":focus"); got != "Skip to the rooms" {
		t.Errorf("the first stop is %q", got)
	}
	b.press(kb.Enter)
	b.tabTo(".card-title a")
	if _, err := chromedp.RunResponse(b.ctx, chromedp.KeyEvent(kb.Enter)); err != nil { // waits for the new page
		t.Fatal(err)
	}
	b.waitText(".link-state", "Connected")
	b.waitTexts("first")
	b.tabTo("#nick")
	b.press("ann" + kb.Enter)
	b.wait(`document.activeElement.id === "say"`)
	b.press("hello" + kb.Enter)
	b.waitTexts("first|hello")
	b.wait(`document.activeElement.id === "say"`)
	b.press("two")
	b.press(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierShift))
	b.press("lines" + kb.Enter)
	b.waitTexts("first|hello|two\nlines")

	b.press(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift))
	b.wait(`document.activeElement.textContent.includes("lines")`) // one stop for all messages
	b.press(kb.Home)
	b.wait(`document.activeElement.textContent.includes("first")`)
	b.press(kb.ArrowDown)
	b.wait(`document.activeElement.textContent.includes("hello")`)
	b.press(kb.ArrowUp)
	b.press(kb.Enter)
	b.wait(`document.querySelector("dialog").open`)
	b.press(kb.Escape)
	b.wait(`!document.querySelector("dialog").open && document.activeElement.textContent.includes("first")`)
	b.press(kb.Enter)
	b.wait(`document.querySelector("dialog").open`)
	b.tabTo("[data-do=mention]")
	b.press(kb.Enter)
	b.wait(`document.activeElement.id === "say" && document.activeElement.value === "bob: "`)
}

// audit is a script that lists what a page lacks for people who do not see it as we do,
// and text whose colours are hard to read (WCAG 2.2: 1.3.1, 1.4.3, 2.4.2, 3.1.1, 4.1.2).
const audit = `
	for (const change of document.getAnimations()) try { change.finish(); } catch { } // a colour on its way is none
	const problems = [];
	const all = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
	const named = (e) => e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim();
	if (!document.documentElement.lang) problems.push("no language");
	if (!document.title) problems.push("no title");
	if (all("h1").length !== 1) problems.push(all("h1").length + " h1");
	if (all("main").length !== 1) problems.push(all("main").length + " main");
	for (const e of all("input:not([type=hidden]), select, textarea")) if (!e.labels.length || !e.labels[0].textContent.trim()) problems.push("no label: " + e.outerHTML);
	for (const e of all("a, button, summary")) if (!named(e)) problems.push("no name: " + e.outerHTML);
	for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) problems.push("no alt: " + e.outerHTML);
	for (const e of all("svg")) if (!e.hasAttribute("aria-hidden")) problems.push("svg is read out");
	for (const e of all("ul, ol")) for (const c of e.children) if (c.tagName !== "LI") problems.push("in a list: " + c.outerHTML);
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push("id twice: " + id);
	for (const e of document.querySelectorAll("[for], [aria-labelledby], [aria-describedby]"))
		for (const id of (e.htmlFor ?? e.getAttribute("aria-labelledby") ?? e.getAttribute("aria-describedby")).split(" "))
			if (id && !document.getElementById(id)) problems.push("points nowhere: " + id);
	let level = 0;
	for (const e of all("h1, h2, h3, h4")) { const n = Number(e.tagName[1]); if (n > level + 1) problems.push("heading skips: " + e.textContent); level = n; }
	if (document.querySelector("[style]:not(html)")) problems.push("style attribute: " + document.querySelector("[style]:not(html)").outerHTML);

	const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const paint = (...colours) => { context.clearRect(0, 0, 1, 1); for (const c of colours) { context.fillStyle = c; context.fillRect(0, 0, 1, 1); } return context.getImageData(0, 0, 1, 1).data; };
	const light = ([...rgb]) => { const [r, g, b] = rgb.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let texts = 0;
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.data.trim() || !e.checkVisibility({ opacityProperty: true }) || e.closest(".hidden, .skip, noscript, script, template, [aria-disabled=true]")) continue;
		const back = [];
		for (let a = e; a; a = a.parentElement) back.unshift(getComputedStyle(a).backgroundColor);
		const style = getComputedStyle(e);
		const [a, b] = [light(paint(...back)), light(paint(...back, style.color))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize);
		const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
		texts += 1;
		if (ratio < least) problems.push("contrast " + ratio.toFixed(2) + ": " + e.outerHTML.slice(0, 120));
	}
	if (texts < 5) problems.push("only " + texts + " texts looked at");
	return [...new Set(problems)];`

func (b *tab) audit(what string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.same(what+", "+scheme, audit, "[]")
	}
}

func testAccessible(t *testing.T, browser context.Context) {
	h := newHouse(t)
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".link-state", "Up to date")
	b.audit("empty lobby")

	h.room("blue", "Blue")
	h.ask("blue", "topic", amf.String("Monk"))
	h.ask("blue", "tags", amf.StrictArray{amf.String("jazz")})
	h.ask("blue", "lock", amf.Bool(true))
	bob := h.guest("room/blue", amf.String("mod"), amf.String(token))
	bob.say("see https://example.org")
	h.listed("live", lobby.Status{Epoch: 1, Title: "Live", Live: true, Users: 1, Capacity: 1, Spectators: 2})
	h.listed("stale", lobby.Status{Epoch: 1, Topic: "t", Tags: []string{"x"}}).Leave(nil)
	b.waitText(".card.stale .card-life", "Out of touch")
	b.waitText(".card-topic", "Monk")
	b.audit("lobby")
	b.click(`[data-name="blue"] [data-tag="jazz"]`)
	b.audit("lobby with a tag")

	b.open("/room/blue")
	b.waitText(".link-state", "Connected")
	b.waitText(".message", "example.org")
	b.click(".credential summary")
	b.audit("room, looking on")
	b.fill("#nick", "x")
	b.press(kb.Enter)
	b.waitText("#nick-error", "locked")
	b.audit("room, refused")
	b.fill("#credential", token)
	b.press(kb.Enter)
	b.waitText(".person.me", "moderator")
	b.say("mine")
	b.waitText(".message.mine", "mine")
	b.click(".person:not(.me) button")
	b.audit("room, moderator, menu open")
	b.press(kb.Escape)
	h.ask("blue", "kick", amf.String("x"), amf.String("why not"))
	b.waitText(".gone", "why not")
	b.audit("room, kicked")
	b.expect("404")
	b.open("/nothing")
	b.audit("missing")
}

func testNarrow(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", strings.Repeat("Donaudampfschiff", 6))
	h.ask("blue", "topic", amf.String(strings.Repeat("verylongword", 20)))
	g := h.guest("room/blue", amf.String(strings.Repeat("W", 32)))
	g.say(strings.Repeat("aaaaaaaaaa", 40))
	b := newTab(t, browser, h)
	fits := func(what string) {
		t.Helper()
		b.same(what, `return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && !e.closest(".hidden, .skip, svg") && e.getBoundingClientRect().right > innerWidth + 1)
			.map((e) => e.className || e.tagName).concat(document.documentElement.scrollWidth > innerWidth ? ["page"] : []);`, "[]")
	}
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	b.open("/")
	b.waitText(".card-title", "Donau")
	b.waitText(".link-state", "Up to date")
	fits("lobby")
	b.open("/room/blue")
	b.waitText(".message", "aaaa")
	fits("room")
	b.join("ann")
	fits("room, joined")
	bottom := `document.querySelector(".composer button.main").getBoundingClientRect().bottom`
	b.wait(bottom + ` <= innerHeight`)
	b.do(chromedp.EmulateViewport(360, 400, chromedp.EmulateMobile)) // a keyboard has come up
	b.wait(bottom + ` <= visualViewport.height && document.querySelector(".scroll").clientHeight > 30`)
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	b.do(chromedp.EmulateViewport(844, 390, chromedp.EmulateMobile)) // a phone on its side
	b.wait(bottom + ` <= innerHeight && document.querySelector(".scroll").clientHeight > 130`)
	b.wait(`document.querySelector(".title").clientHeight < 40`)
	fits("on its side")
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	b.click(".views [data-view=people]")
	b.wait(`document.querySelector(".people-list").checkVisibility() && !document.querySelector("#say").checkVisibility()`)
	fits("people")
	b.click(".views [data-view=about]")
	b.wait(`document.querySelector(".ways").checkVisibility() && !document.querySelector(".people-list").checkVisibility()`)
	fits("about")
	b.click(".views [data-view=chat]")
	b.wait(`document.querySelector("#say").checkVisibility()`)
	// With a finger a message itself opens its menu.
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulateTouch))
	b.click(".message .text")
	b.wait(`document.querySelector(".talk-menu").open`)
}
