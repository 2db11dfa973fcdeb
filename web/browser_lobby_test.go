package web_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// names returns the names of the cards on the page, in order.
const names = `[...document.querySelectorAll(".rooms > .card")].map((c) => c.dataset.name).join(" ")`

func (b *tab) waitNames(want string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`%s === %q`, names, want))
}

// listed lists rooms that only the lobby knows.
func (h *house) listed(name string, status lobby.Status) guest {
	h.t.Helper()
	g := h.guest("lobby", amf.String(name), amf.String(secret))
	g.report(status)
	return g
}

func testLobbyFollows(t *testing.T, browser context.Context) {
	h := newHouse(t)
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText("h1", "Nobody is here yet")
	b.waitText(".empty", "No rooms are open right now.")
	b.click(".ways summary")
	b.waitText(".ways", "foyer join")
	b.waitText(".link-state", "Up to date")

	h.room("blue", "The Blue Room")
	b.waitText(".card-title", "The Blue Room")
	h.guest("room/blue", amf.String("ann"))
	h.ask("blue", "topic", amf.String("Monk"))
	b.waitText(".card-topic", "Monk")
	b.waitText(".card-count", "1")
	b.waitText("h1", "1 person in 1 room")
	if got, want := eval[string](b, `document.querySelector(".card a").getAttribute("aria-label")`), "The Blue Room, 1 person"; len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("the link is called %q, want %q first", got, want)
	}
	b.wait(`document.querySelector(".spark-line").getAttribute("d").startsWith("M")`)

	h.stopWeb()
	b.expect("WebSocket connection to")
	b.wait(`/This list is [1-9]\d* s old/.test(document.querySelector(".link-state").textContent)`)
	b.waitText(".card-title", "The Blue Room") // the last picture stays
	h.startWeb()
	b.waitText(".link-state", "Up to date")
}

func testLobbySearch(t *testing.T, browser context.Context) {
	h := newHouse(t)
	for i, name := range []string{"amber", "blue", "coral"} {
		h.listed(name, lobby.Status{Epoch: 1, Title: "Room " + name, Users: 3 - i, Activity: float64(i) / 4, Live: i == 1, Tags: []string{"jazz", name}})
	}
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".link-state", "Up to date")
	b.waitNames("coral blue amber")
	address := func(want string) {
		t.Helper()
		if got := eval[string](b, `location.search`); got != want {
			t.Errorf("the address ends in %q, want %q", got, want)
		}
	}
	b.fill("#q", "BLU")
	b.waitNames("blue")
	address("?q=BLU")
	b.fill("#q", "nowhere")
	b.waitText(".empty", "No room matches")
	b.click(".empty-found a")
	b.waitNames("coral blue amber")
	address("")
	eval[bool](b, `(() => { const s = document.querySelector("#sort"); s.value = "users"; s.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`)
	b.waitNames("amber blue coral")
	b.click("#live")
	b.waitNames("blue")
	address("?sort=users&live=1")
	b.click("#live")
	b.waitNames("amber blue coral")
	b.click(`[data-name="coral"] [data-tag="coral"]`)
	b.waitNames("coral")
	address("?tag=coral&sort=users")

	b.do(chromedp.Reload())
	b.waitText(".link-state", "Up to date")
	b.waitNames("coral")
	b.click(".tag-chosen a")
	b.waitNames("amber blue coral")
}

func testLobbyWithoutScript(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.listed("amber", lobby.Status{Epoch: 1, Title: "Amber", Users: 1, Activity: 0.9, Tags: []string{"jazz"}})
	h.listed("blue", lobby.Status{Epoch: 1, Title: "Blue & <b>", Users: 9, Activity: 0.1})
	b := newTab(t, browser, h)
	do(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	shows := func(want ...string) {
		t.Helper()
		cards, err := chromedp.Run(b.ctx, chromedp.Nodes(chromedp.CSSAll(".rooms > .card .card-title a"), chromedp.AtLeast(0)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, card := range cards {
			got = append(got, card.AttributeValue("href"))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	b.open("/")
	shows("./room/amber", "./room/blue")
	for selector, want := range map[string]string{".headline": "10 people in 2 rooms", ".card-life": "Buzzing"} {
		if got, err := chromedp.Run(b.ctx, chromedp.TextContent(chromedp.CSS(selector))); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", selector, got, err, want)
		}
	}
	b.open("/?sort=users")
	shows("./room/blue", "./room/amber")
	b.open("/?tag=jazz")
	shows("./room/amber")
	b.open("/")
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "blue"))
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(chromedp.CSS(".finder button"))); err != nil {
		t.Fatal(err)
	}
	shows("./room/blue")
	says := func(selector, want string) {
		t.Helper()
		got, err := chromedp.Run(b.ctx, chromedp.TextContent(chromedp.CSS(selector)))
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, %v, want %q", selector, got, err, want)
		}
	}
	says(".card-title a", "Blue & <b>")
	b.open("/room/blue")
	says("h1", "Blue & <b>")
	says(".people noscript p", "9 people have joined.")
	says(".talk noscript", "foyer join rtmp://127.0.0.1/room/blue --nick you")
	if got, err := chromedp.Run(b.ctx, chromedp.TextContent(chromedp.CSS(".link-state"))); err != nil || got != "" {
		t.Errorf("the page says %q, %v", got, err)
	}
}

func testLobbyStale(t *testing.T, browser context.Context) {
	h := newHouse(t)
	g := h.listed("blue", lobby.Status{Epoch: 1, Title: "Blue", Users: 4, Activity: 0.5})
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".link-state", "Up to date")
	b.wait(`!document.querySelector(".card").classList.contains("stale")`)
	g.Leave(rtmp.ErrClosed) // without a goodbye
	b.wait(`document.querySelector(".card").classList.contains("stale")`)
	b.waitText("h1", "Nobody is here yet") // the counts of stale rooms are left out
	b.wait(`/Out of touch for [1-9]\d* second/.test(document.querySelector(".card-life").textContent)`)
	b.wait(`document.querySelector(".card a").getAttribute("href") === "room/blue"`)
	h.listed("blue", lobby.Status{Epoch: 2, Title: "Blue again"})
	b.waitText(".card-title", "Blue again")
	b.wait(`!document.querySelector(".card").classList.contains("stale")`)
}

// far is a directory with one room of another node.
type far struct {
	fresh chan func(bool) // the only watcher, since there is one lobby
}

func (far) Put(string, []byte) {}
func (far) Delete(string)      {}
func (f far) Watch(changed func(string, []byte), fresh func(bool)) (stop func()) {
	changed("blue", []byte(`{"name":"blue","state":"live","title":"Far and blue","users":3,"node":"two","http":"http://two.example/room/blue","live":true,"streams":["main"]}`))
	fresh(true)
	f.fresh <- fresh
	return func() {}
}

// The page says that its server has lost sight of the other servers.
func testLobbyOutOfSight(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.stopHost()
	f := far{make(chan func(bool), 1)}
	h.far = f
	h.startHost()
	h.stopWeb()
	h.startWeb()
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".link-state", "Up to date")
	b.waitText(".card-title", "Far and blue")
	if n := eval[int](b, farAsked); n != 0 {
		t.Errorf("asked %d times for a picture that nobody here has", n)
	}
	fresh := <-f.fresh
	fresh(false)
	b.wait(`/^Other servers are out of reach: their rooms are shown as of [1-9]\d* s ago$/.test(document.querySelector(".link-state").textContent)`)
	fresh(true)
	b.waitText(".link-state", "Up to date")
}

// farAsked is how often the page has asked for the picture of far's room.
const farAsked = `performance.getEntriesByType("resource").filter((e) => e.name.endsWith("/live/blue/main.mp4")).length`

// mute stands for other nodes that do not answer.
type mute struct{}

func (mute) Ask(context.Context, string, string, []byte) ([]byte, error) { return nil, io.EOF }
func (mute) Answer(string, func([]byte) []byte) (stop func(), err error) { return func() {}, nil }

// If its server asks other nodes, the page asks for pictures of their rooms. A card
// without a picture is fine.
func testLobbyFarPicture(t *testing.T, browser context.Context) {
	h := newHouse(t)
	h.stopHost()
	h.far, h.near = far{make(chan func(bool), 1)}, mute{}
	h.startHost()
	h.stopWeb()
	h.startWeb()
	b := newTab(t, browser, h)
	b.expect("Failed to load resource: the server responded with a status of 404")
	b.open("/")
	b.waitText(".card-title", "Far and blue")
	b.wait(farAsked + ` > 0 && document.querySelector(".card-picture") !== null`)
	b.wait(`document.querySelector(".card-picture").childElementCount === 0`)
}

func testLobbyOrder(t *testing.T, browser context.Context) {
	h := newHouse(t)
	one := h.listed("one", lobby.Status{Epoch: 1, Activity: 0.9, Users: 1})
	h.listed("two", lobby.Status{Epoch: 1, Activity: 0.5, Users: 2})
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".link-state", "Up to date")
	b.waitNames("one two")
	b.do(chromedp.Focus(chromedp.CSS(`[data-name="one"] a`)))
	one.report(lobby.Status{Epoch: 1, Seq: 1, Activity: 0.1, Users: 7})
	b.waitText(`[data-name="one"] .count`, "7") // the news comes at once
	b.script(`await new Promise((r) => setTimeout(r, 3200));`)
	b.waitNames("one two") // but nothing moves under the pointer
	eval[bool](b, `(document.activeElement.blur(), true)`)
	b.waitNames("two one")
}

// testLobbyClosing: a room that closes stays, greyed, while somebody points at it.
func testLobbyClosing(t *testing.T, browser context.Context) {
	h := newHouse(t)
	one := h.listed("one", lobby.Status{Epoch: 1, Activity: 0.9})
	h.listed("two", lobby.Status{Epoch: 1, Activity: 0.5})
	three := h.listed("three", lobby.Status{Epoch: 1})
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText(".link-state", "Up to date")
	slash := input.DispatchKeyEventParams{Key: "/", Code: "Slash", WindowsVirtualKeyCode: 191, Text: "/"}
	b.key(slash)
	b.wait(`document.activeElement.id === "q" && document.activeElement.value === ""`)
	b.key(slash)
	b.wait(`document.querySelector("#q").value === "/" && document.querySelectorAll(".card").length === 0`)
	b.waitText(".empty", "No room matches “/”.")
	b.press(kb.Backspace)
	b.waitNames("one two three")
	b.do(chromedp.Focus(chromedp.CSS(`[data-name="one"] a`)))
	one.Leave(rtmp.ErrGoodbye)
	three.Leave(rtmp.ErrGoodbye)
	b.waitNames("one two")
	b.waitText(`[data-name="one"].stale .card-life`, "Closed")
	b.waitText("h1", "0 people in 1 room")
	eval[bool](b, `(document.activeElement.blur(), true)`)
	b.waitNames("two")
}

func testLobbyThousand(t *testing.T, browser context.Context) {
	h := newHouse(t)
	for i := range 1000 {
		h.listed(fmt.Sprintf("room%03d", i), lobby.Status{Epoch: 1, Title: fmt.Sprintf("Room %d", i), Activity: float64(i) / 1000, Users: i % 10})
	}
	b := newTab(t, browser, h)
	b.open("/")
	b.waitText("h1", "4500 people in 1000 rooms")
	// Cards that are near the screen are on the page, and tell their positions among all.
	b.wait(`document.querySelectorAll(".card").length === 120`)
	b.wait(`[...document.querySelectorAll(".card")].every((c, i) => c.ariaPosInSet === String(i + 1) && c.ariaSetSize === "1000")`)
	b.waitText(".rooms-more", "880 more rooms")
	eval[bool](b, `(document.querySelector(".card:last-child").scrollIntoView(), true)`)
	b.wait(`document.querySelectorAll(".card").length === 240 && document.querySelector(".card:last-child").dataset.name === "room760"`)
	eval[bool](b, `(scrollTo(0, 0), true)`)
	b.script(`await new Promise((r) => setTimeout(r, 100));`) // the list does not grow when its end is out of sight
	eval[bool](b, `(document.querySelector(".rooms-more button").focus({ preventScroll: true }), document.activeElement.click(), true)`)
	b.wait(`document.activeElement.closest(".card")?.ariaPosInSet === "241"`) // the focus continues where the list did
	eval[bool](b, `(document.activeElement.blur(), true)`)
	slow := b.script(`let worst = 0;
		const observer = new PerformanceObserver((list) => { for (const e of list.getEntries()) worst = Math.max(worst, e.duration); });
		observer.observe({ type: "longtask" });
		for (const text of ["room 99", "", "room 5", ""]) {
			const box = document.querySelector("#q"); box.value = text;
			box.dispatchEvent(new Event("input", { bubbles: true }));
			await new Promise((r) => setTimeout(r, 250));
		}
		observer.disconnect();
		return Math.round(worst);`)
	t.Logf("longest task while searching 1,000 rooms: %s ms", slow)
	b.fill("#q", "room 999")
	b.waitNames("room999")
	b.wait(`document.querySelector(".rooms-more").hidden`)
}
