package web_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"foyer/room"
	"foyer/server/amf"
)

const texts = `[...document.querySelectorAll(".message .text")].map((e) => e.textContent).join("|")`

func (b *tab) waitTexts(want string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`%s === %q`, texts, want))
}

func testJoinAndTalk(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "The Blue Room")
	ann, bob := newTab(t, browser, h), newTab(t, browser, h)
	bob.open("/room/blue")
	bob.waitText("h1", "The Blue Room")
	bob.waitText(".hush", "Nothing has been said")
	ann.open("/room/blue")
	ann.join("ann")
	bob.waitText(".person", "ann") // as a spectator sees it
	ann.say("hello")
	ann.waitTexts("hello")
	bob.waitTexts("hello")
	bob.join("bob")
	bob.say("hello ann")
	ann.waitTexts("hello|hello ann")
	bob.waitText(".message.mine", "hello ann")
	if eval[bool](bob, `document.querySelector(".message").classList.contains("mine")`) {
		t.Error("what ann said is marked as bob's")
	}
	// Only new messages are read out.
	if got := eval[string](bob, `document.querySelector("[role=log]").innerText`); got == "" || eval[bool](bob, `document.querySelector(".past").closest("[aria-live]") !== null`) {
		t.Errorf("the log holds %q", got)
	}
	ann.waitText(".person .via", "web")
	guest := h.guest("room/blue", amf.String("carl"))
	guest.say("from afar")
	ann.waitTexts("hello|hello ann|from afar")
	ann.waitText(".person .via", "rtmp")
	h.ask("blue", "topic", amf.String("Monk"))
	ann.waitText(".topic", "Monk")
	ann.waitText(".said", "Monk")

	guest.say("tall" + strings.Repeat("\n.", 200))
	ann.wait(`document.querySelector(".tall").clientHeight < 300`)
	ann.click(".message .all")
	ann.wait(`document.querySelector(".message:last-child .text").clientHeight > 4000 && !document.querySelector(".message .all, .tall")`)

	ann.click(".rename")
	ann.fill("#nick", "anna")
	ann.press(kb.Enter)
	bob.waitText(".person", "anna")
	ann.wait(`document.querySelector("#say").checkVisibility()`)
	ann.click(".rename")
	ann.fill("#nick", "x")
	eval[bool](ann, `(document.querySelector("#nick").value = "Rene\u0301", true)`) // shown as the room writes it, and still her own
	ann.press(kb.Enter)
	ann.waitText(".person.me", "Ren\u00e9")
	ann.click(".composer .leave")
	bob.wait(`document.querySelectorAll(".person").length === 2`)
	ann.wait(`document.querySelector("#nick").checkVisibility()`)
}

// testOverTLS: pages come over HTTP/2, and the WebSocket beside it over HTTP/1.1.
func testOverTLS(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "The Blue Room")
	srv := httptest.NewUnstartedServer(h.handler)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	ann := newTab(t, browser, h)
	ann.base = srv.URL
	do(ann, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
	ann.open("/room/blue")
	ann.join("ann")
	ann.say("hello")
	ann.waitTexts("hello")
	if got := eval[string](ann, `performance.getEntriesByType("navigation")[0].nextHopProtocol`); got != "h2" {
		t.Errorf("the page came over %s", got)
	}
	h.handler.Close() // before srv, which does not know of sockets
	ann.expect("WebSocket")
}

func testNickTaken(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	h.guest("room/blue", amf.String("ann"))
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.waitText(".link-state", "Connected")
	b.fill("#nick", "ANN")
	b.press(kb.Enter)
	b.waitText("#nick-error", "Somebody here has that name already.")
	b.wait(`document.activeElement.id === "nick" && document.activeElement.getAttribute("aria-invalid") === "true"`)
	b.waitText(".link-state", "Connected") // still a spectator
	b.fill("#nick", "bob")
	b.press(kb.Enter)
	b.waitText(".person.me", "bob")
	b.do(chromedp.Reload())
	b.waitText(".person.me", "bob") // in again, under the earlier name of this tab
	h.ask("blue", "kick", amf.String("bob"), amf.String("enough"))
	b.waitText(".gone", "You were sent out. “enough”")
	b.wait(`!document.querySelector("#say").checkVisibility()`)
	b.waitText(".link-state", "Not connected")
	b.click(".gone button")
	b.waitText(".link-state", "Connected")
	h.ask("blue", "ban", amf.String("bob"), amf.Number(600), amf.String("spam"))
	b.fill("#nick", "bob")
	b.press(kb.Enter)
	b.waitText("#nick-error", "banned until")
	h.ask("blue", "lock", amf.Bool(true))
	b.waitText(".lock", "Locked")
	b.fill("#nick", "carl")
	b.press(kb.Enter)
	b.waitText("#nick-error", "The door is locked right now.")
}

func testHistory(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	for i := range 14 {
		g := h.guest("room/blue", amf.String(fmt.Sprintf("guest%d", i)))
		for j := range 5 {
			g.say(fmt.Sprintf("m%d", 5*i+j+1))
		}
	}
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.waitText(".message", "m70")
	b.wait(`document.querySelectorAll(".past .message").length === 50`)
	b.wait(`document.querySelectorAll(".fresh .message").length === 0`)
	b.wait(`(({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight < 2)(document.querySelector(".scroll"))`)
	eval[bool](b, `(document.querySelector(".scroll").scrollTop = 0, true)`)
	b.click(".older button")
	b.wait(`document.querySelectorAll(".past .message").length === 70`)
	b.wait(`!document.querySelector(".older").checkVisibility()`)
	b.wait(`document.querySelector(".scroll").scrollTop > 300`) // the message that one reads stays in its place

	b.do(chromedp.Reload())
	b.wait(`document.querySelectorAll(".past .message").length === 50`)
	b.do(chromedp.Focus(chromedp.CSS(".older button")))
	b.press(kb.Enter)
	b.wait(`document.activeElement.matches(".message") && document.activeElement.textContent.endsWith("m1")`)

	late := h.guest("room/blue", amf.String("late"))
	late.say("one more")
	b.waitText(".pill", "1 new message")
	late.say("and another")
	b.waitText(".pill", "2 new messages")
	b.click(".pill button")
	b.wait(`!document.querySelector(".pill").checkVisibility()`)
	b.wait(`(({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight < 2)(document.querySelector(".scroll"))`)

	b.do(chromedp.Reload())
	b.waitText(".past .message", "and another")
}

// A message that comes while somebody begins to scroll up does not take them back to the
// end, although the scroll event is still to come.
func testReading(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	const load = `const { Chat } = await import("/assets/chat.js");
		const page = document.querySelector(".talk"), root = page.cloneNode(true), scroll = root.querySelector(".scroll");
		for (const list of root.querySelectorAll(".past, .fresh")) list.replaceChildren();
		root.querySelector(".pill").hidden = true;
		page.replaceWith(root);
		const chat = new Chat(root, String);
		const message = (id) => ({ id, at: Date.now(), user: { id: "u" + id, nick: "n", role: "user" }, text: "t" + id });
		for (let id = 1; id <= 60; id++) chat.add(message(id));
		await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
		const end = scroll.scrollHeight - scroll.clientHeight, seen = () => [scroll.scrollTop, root.querySelector(".pill").hidden];`
	b.same("said", load+`scroll.scrollTop = 0; chat.add(message(61)); return [end > 300, seen()];`, `[true,[0,false]]`)
	b.same("found", load+`scroll.scrollTop = 0; chat.addPast([message(61), message(62)], "below"); return [end > 300, seen()];`, `[true,[0,false]]`)
	b.same("noted", load+`scroll.scrollTop = 0; chat.notice("hello"); return [end > 300, seen()];`, `[true,[0,true]]`)
	b.same("at the end", load+`chat.add(message(61)); return [end > 300, seen()[0] > end, seen()[1]];`, `[true,true,true]`)
}

func testRejectedMessage(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.join("ann")
	// At once, however slow the test is, and more than a slow room allows. The hints are
	// noted, because they may be gone before the test looks.
	eval[bool](b, `(() => {
		const box = document.querySelector("#say"), text = (selector) => document.querySelector(selector).textContent;
		window.shown = [];
		new MutationObserver(() => shown.push([text("#say-error"), text(".countdown"), box.value]))
			.observe(box.form, { subtree: true, childList: true, characterData: true });
		for (let i = 0; i < 30; i++) {
			box.value = "m" + i;
			box.form.requestSubmit();
		}
		box.value = "one too many";
		box.form.requestSubmit();
		return true;
	})()`)
	b.wait(`shown.some(([error, countdown, box]) => error.startsWith("That was too fast.") && /again in \d+ s/.test(countdown) && /(^|\n)one too many$/.test(box))`)
	b.wait(`document.querySelector(".countdown").closest("[aria-live], [role=alert], [role=status], [role=log]") === null`)
	b.wait(`document.querySelector("#say-error").textContent === ""`)
	b.press(kb.Enter)
	b.waitText(".message", "one too many")
	b.wait(`document.querySelector("#say").value === ""`)

	h.ask("blue", "slow", amf.Number(30))
	b.waitText("#say-hint", "one message every 30 s")
	b.say("slowly")
	b.waitText("#say-error", "Slow mode")
	b.wait(`document.querySelector("#say").value === "slowly"`)
	h.ask("blue", "slow", amf.Number(0))
	eval[bool](b, `(document.querySelector("#say").value = "x".repeat(501), true)`)
	b.wait(`document.querySelector("#say-hint").textContent === ""`)
}

func testMarkupIsText(t *testing.T, browser context.Context) {
	const evil = `<img src=x onerror="document.title='pwned'"> javascript:alert(1) see https://example.org/a?b=1&c. <b>`
	h := newHouse(t)
	h.room("blue", "<script>document.title='pwned'</script>")
	g := h.guest("room/blue", amf.String("<i>eve</i>"))
	g.say(evil)
	h.ask("blue", "topic", amf.String("<u>topic</u>"))
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.waitTexts(evil)
	b.waitText(".who", "<i>eve</i>")
	b.waitText(".person", "<i>eve</i>")
	b.waitText(".topic", "<u>topic</u>")
	b.same("links", `return [...document.querySelectorAll(".text a")].map((a) => [a.getAttribute("href"), a.rel, a.target]);`,
		`[["https://example.org/a?b=1&c","noopener noreferrer nofollow","_blank"]]`)
	b.open("/")
	b.waitText(".card-title", "<script>")
	b.waitText(".link-state", "Up to date")
	b.same("nothing of it ran", `return [document.title, document.querySelectorAll("main img, main script, main u, main i").length];`, `["Lobby · foyer",0]`)
}

// testStackedAccents: accents without number paint over no other line.
func testStackedAccents(t *testing.T, browser context.Context) {
	stack := strings.Repeat("\u0301", 30) + strings.Repeat("\u0323", 30)
	h := newHouse(t)
	h.room("blue", "Blue")
	bob := h.guest("room/blue", amf.String("bob"))
	bob.say("above")
	bob.say("plain\nplain\nplain")
	bob.say("below")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.waitText(".message", "below")
	b.scheme("light") // nothing moves
	before := b.lines()
	eval[bool](b, fmt.Sprintf(`(async () => { const { linked } = await import("/assets/links.js");
		const text = document.querySelectorAll(".message .text")[1];
		text.replaceChildren(...linked("plain\npl%sain\nplain")); return true; })()`, stack))
	after := b.lines()
	for i, line := range []string{"above", "the first line", "", "the third line", "below"} {
		if line != "" && !bytes.Equal(before[i], after[i]) {
			t.Errorf("accents paint over %s", line)
		}
	}
	if bytes.Equal(before[2], after[2]) {
		t.Error("the accents are not seen at all")
	}
}

// lines are the pictures of five lines: the first message, three of the second, the third one.
func (b *tab) lines() (pictures [5][]byte) {
	b.t.Helper()
	eval[bool](b, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	boxes := eval[[][4]int](b, `(() => { const [one, two, three] = [...document.querySelectorAll(".message .text")].map((e) => e.getBoundingClientRect());
		const row = (r, i, n) => [r.left, r.top + i * r.height / n, r.right, r.top + (i + 1) * r.height / n].map(Math.round);
		return [row(one, 0, 1), row(two, 0, 3), row(two, 1, 3), row(two, 2, 3), row(three, 0, 1)]; })()`)
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	page, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		b.t.Fatal(err)
	}
	for i, box := range boxes {
		for y := box[1]; y < box[3]; y++ {
			for x := box[0]; x < box[2]; x++ {
				r, g, b, _ := page.At(x, y).RGBA()
				pictures[i] = append(pictures[i], byte(r), byte(g), byte(b))
			}
		}
	}
	return pictures
}

func testRightToLeft(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "חדר כחול")
	h.guest("room/blue", amf.String("דנה")).say("שלום 12:30")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.waitTexts("שלום 12:30")
	b.waitText(".person", "דנה")
	b.same("directions", `return [".title", ".message .text", ".message", ".person"].map((s) => getComputedStyle(document.querySelector(s)).direction);`, `["rtl","rtl","ltr","ltr"]`)
	b.wait(`document.querySelector(".who").getBoundingClientRect().right <= document.querySelector(".when").getBoundingClientRect().left`)
}

func testModerator(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	h.guest("room/blue", amf.String("bob")).say("rubbish")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.waitText(".link-state", "Connected")
	b.click(".credential summary")
	b.fill("#credential", "wrong")
	b.fill("#nick", "mod")
	b.press(kb.Enter)
	b.waitText("#nick-error", "That isn’t a valid pass.")
	b.fill("#credential", token)
	b.press(kb.Enter)
	b.waitText(".person.me", "moderator")
	b.wait(`sessionStorage.length + localStorage.length > 0 && !(JSON.stringify(sessionStorage) + JSON.stringify(localStorage)).includes("token")`)

	b.fill("#mod-topic", "Order")
	b.press(kb.Enter)
	b.waitText(".topic", "Order")
	b.fill("#mod-title", "The Blue Room")
	b.press(kb.Enter)
	b.waitText("h1", "The Blue Room")
	b.fill("#mod-slow", "7")
	b.press(kb.Enter)
	b.waitText("#say-hint", "every 7 s")
	b.fill("#mod-keep", "100")
	b.fill("#mod-days", "7")
	b.press(kb.Enter)
	b.waitText(".talk", "kept for 7 days, at most 100 messages")
	b.click(".lock-switch")
	b.waitText(".lock", "Locked")
	b.click(".record-switch[aria-pressed=false]")
	b.waitText(".recorded", "Recorded")
	b.click(".record-switch[aria-pressed=true]")
	b.wait(`!document.querySelector(".recorded").checkVisibility()`)

	b.click(".message .what")
	b.waitText("dialog[open] h2", "bob")
	b.press(kb.Escape)
	// A dialog that closes gives the focus back one task later: wait for that before we
	// move it.
	b.wait(`!document.querySelector("dialog").open`)
	eval[bool](b, `new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true))))`)
	b.do(chromedp.Focus(chromedp.CSS(`.message[tabindex="0"]`)))
	b.press(kb.Enter)
	b.waitText("dialog[open] h2", "bob")
	b.waitText("dialog blockquote", "rubbish")
	b.click("[data-do=remove]")
	b.wait(`document.querySelectorAll(".message").length === 0 && !document.querySelector("dialog").open`)
	b.click(".person:not(.me) button")
	b.wait(`!document.querySelector("[data-do=remove]").checkVisibility()`)
	b.fill("#menu-reason", "rubbish")
	b.click("[data-do=kick]")
	b.waitText(".said", "bob was kicked: rubbish")
	b.wait(`document.querySelectorAll(".person").length === 1`)
}

func testRoomRestarts(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.join("ann")
	b.say("before")
	b.waitTexts("before")
	b.expect("WebSocket connection to")
	h.drain()
	b.waitText(".link-state", "The server is restarting. Trying again…")
	h.stopWeb()
	h.stopHost()
	h.startHost()
	h.room("blue", "Blue, again")
	h.guest("room/blue", amf.String("bob")).say("after")
	h.startWeb()
	b.waitText(".link-state", "Connected")
	b.waitTexts("before|after")
	b.waitText(".divider", "The room was restarted")
	b.waitText(".person.me", "ann")
	b.waitText("h1", "Blue, again")
	b.say("I am back")
	b.waitTexts("before|after|I am back")
}

// testRoomKeepsHistory: the history of a room outlives a restart. The page shows no break, has
// every message once, and none that was removed.
func testRoomKeepsHistory(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.stopWeb()
	h.stopHost()
	h.memory = new(room.Memory)
	h.startHost()
	h.startWeb()
	h.room("blue", "Blue")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.join("ann")
	b.say("before")
	b.say("rubbish")
	b.waitTexts("before|rubbish")
	b.expect("WebSocket connection to")
	h.stopWeb()
	h.stopHost()
	b.waitText(".link-state", "Connection lost")
	h.startHost()
	h.guest("room/blue", amf.String("bob")).say("after")
	h.ask("blue", "remove", amf.Number(2))
	h.startWeb()
	b.waitText(".link-state", "Connected")
	b.waitTexts("before|after")
	b.waitText("h1", "Blue")
	b.say("I am back")
	b.waitTexts("before|after|I am back")
	b.wait(`document.querySelectorAll(".divider:not(.day)").length === 0`)
}

func testMoved(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	h.room("jazz", "All That Jazz")
	h.guest("room/jazz", amf.String("Bob"))
	mod, ann, bob := newTab(t, browser, h), newTab(t, browser, h), newTab(t, browser, h)
	ann.open("/room/blue")
	ann.join("ann")
	bob.open("/room/blue")
	bob.join("bob")
	mod.open("/room/blue")
	mod.wait(`document.querySelector(".link-state").classList.contains("up")`)
	mod.fill("#nick", "mina")
	mod.click(".credential summary")
	mod.fill("#credential", token)
	mod.press(kb.Enter)
	mod.fill("#mod-move", "blue")
	mod.press(kb.Enter)
	mod.waitText(".moderate .error", "This is the room blue already.")
	mod.fill("#mod-move", "jazz")
	mod.press(kb.Enter)
	mod.waitText(".said", "mina sends everybody to the room jazz.")
	ann.waitPage("/room/jazz")
	ann.waitText("h1", "All That Jazz")
	ann.waitText(".person.me", "ann")
	// Somebody has this name in that room: the page is a spectator there, and says so at
	// once.
	bob.waitPage("/room/jazz")
	bob.waitText("#nick-error", "Somebody here has that name already.")
	mod.wait(`document.querySelectorAll(".person").length === 1 && location.pathname === "/room/blue"`)
}

func testConnectionBreaks(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	bob := h.guest("room/blue", amf.String("bob"))
	bob.say("one")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.join("ann")
	b.waitTexts("one")
	b.expect("WebSocket connection to")
	h.stopWeb()
	b.waitText(".link-state", "Connection lost")
	b.fill("#say", "into the void")
	b.press(kb.Enter)
	b.waitText("#say-error", "There is no connection right now.")
	b.wait(`document.querySelector("#say").value === "into the void"`)
	bob.say("two")
	bob.say("three")
	h.ask("blue", "remove", amf.Number(1))
	h.guest("room/blue", amf.String("carl"))
	h.startWeb()
	b.waitText(".link-state", "Connected")
	b.wait(`document.querySelector("#say-error").textContent === "" && document.querySelector("#say").value === "into the void"`)
	b.waitTexts("two|three") // each missed message is there once, and no removed one
	b.waitText(".person", "carl")
	b.waitText(".person.me", "ann")
	b.wait(`document.querySelectorAll(".divider:not(.day)").length === 0`)
	bob.say("four")
	b.waitTexts("two|three|four")
	b.wait(`document.querySelector("[role=log]").innerText.includes("four") && !document.querySelector("[role=log]").innerText.includes("two")`)
}

// testAnswerIsLost: the connection breaks before the answer to say, once before the room has
// the message and once after it. The message is said once, and nothing stays in the box.
func testAnswerIsLost(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	b := newTab(t, browser, h)
	b.open("/room/blue")
	b.join("ann")
	eval[bool](b, `(() => {
		const send = WebSocket.prototype.send;
		window.fates = [];
		window.keys = [];
		WebSocket.prototype.send = function (data) {
			const frame = JSON.parse(data), fate = frame.method === "say" ? fates.shift() : undefined;
			if (frame.method === "say") keys.push(frame.args[1].key);
			if (fate !== "lost") send.call(this, data);
			if (fate) this.close(); // what comes now is not heard
		};
		return true;
	})()`)
	for _, fate := range []string{"lost", "unanswered"} {
		eval[bool](b, fmt.Sprintf(`(window.fates = [%q], window.keys = [], true)`, fate))
		b.say(fate)
		b.waitText(".message.mine", fate)
		b.waitText(".link-state", "Connected")
		b.wait(`document.querySelector(".waiting").textContent === "" && document.querySelector("#say").value === "" && document.querySelector("#say-error").textContent === ""`)
		if fate == "lost" {
			b.same("one key", `return [keys.length, keys[0] === keys[1] && keys[0].length === 32];`, `[2,true]`)
		}
	}
	b.say("after")
	b.waitTexts("lost|unanswered|after")
}

// testTabTitle: the title of a hidden tab counts what other people say.
func testTabTitle(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.room("blue", "Blue")
	bob := h.guest("room/blue", amf.String("bob"))
	bob.say("old")
	b := newTab(t, browser, h)
	const hide = `Object.defineProperty(document, "hidden", { configurable: true, get: () => true });`
	b.open("/room/blue")
	b.script(hide)
	b.join("ann")
	b.waitText(".message", "old")
	b.wait(`document.title === "Blue · foyer"`) // it was said before
	bob.say("one")
	b.wait(`document.title === "(1) Blue · foyer"`)
	b.say("mine")
	b.waitText(".message", "mine")
	bob.say("two")
	b.wait(`document.title === "(2) Blue · foyer"`)
	h.ask("blue", "title", amf.String("Green"))
	b.wait(`document.title === "(2) Green · foyer"`)
	b.expect("WebSocket connection to")
	h.stopWeb()
	bob.say("three")
	h.startWeb()
	b.wait(`document.title === "(3) Green · foyer"`) // it was said while we were away
	b.script(`delete document.hidden; document.dispatchEvent(new Event("visibilitychange"));`)
	b.wait(`document.title === "Green · foyer"`)
	bob.say("four")
	b.waitText(".message", "four")
	b.wait(`document.title === "Green · foyer"`)
	b.same("beyond counting", `const { TabTitle } = await import("/assets/tabtitle.js"); const title = new TabTitle(); title.name("x"); `+hide+` title.came(99); title.came(1); return document.title;`, `"(99+) x"`)
}
