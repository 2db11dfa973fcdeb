package web_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Modules are tested where they run: a page of the house imports them.

func modules(t *testing.T, browser context.Context) *tab {
	t.Helper()
	b := newTab(t, browser, newHouse(t))
	b.open("/nothing-here")
	b.expect("404")
	return b
}

// same compares the result of a script, as JSON.
func (b *tab) same(name, body, want string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.script(body)); diff != "" {
		b.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func testValues(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	for _, c := range []struct{ name, value, want string }{
		{"null", `null`, `null`},
		{"undefined", `undefined`, `null`},
		{"number", `1.5`, `1.5`},
		{"not a number", `NaN`, `null`},
		{"infinity", `-Infinity`, `null`},
		{"string", `"ü\u0000"`, `"ü\u0000"`},
		{"date", `new Date(1234)`, `{"$date":1234}`},
		{"bytes", `new Uint8Array([0, 255, 16])`, `{"$bytes":"AP8Q"}`},
		{"nested", `{a: [undefined, {b: new Date(1)}], c: true}`, `{"a":[null,{"b":{"$date":1}}],"c":true}`},
		{"typed", `{$class: "flash.Point", x: 1}`, `{"$class":"flash.Point","x":1}`},
	} {
		b.same("encode "+c.name, `const m = await import("/assets/netconnection.js"); return m.encode(`+c.value+`);`, c.want)
	}
	for _, c := range []struct{ name, json, check string }{
		{"date", `{"d":{"$date":1234}}`, `v.d instanceof Date && v.d.getTime() === 1234`},
		{"bytes", `[{"$bytes":"AP8Q"}]`, `v[0] instanceof Uint8Array && v[0].join() === "0,255,16"`},
		{"typed object", `{"$class":"P","x":1}`, `v.$class === "P" && v.x === 1`},
		{"date with company is an object", `{"$date":1,"x":2}`, `v.$date === 1 && v.x === 2`},
		{"prototype stays", `{"__proto__":{"x":{"$date":1}}}`, `({}).x === undefined && v.x === undefined && Object.getPrototypeOf(v) === Object.prototype`},
	} {
		b.same("decode "+c.name, "const m = await import('/assets/netconnection.js'); const v = m.decode(JSON.parse(`"+c.json+"`)); return "+c.check+";", "true")
	}
	b.same("address", `const { address } = await import("/assets/netconnection.js");
		const ws = "ws://" + location.host + "/ws/";
		return [["room/blue", ws + "room/blue"], ["/ws/lobby", ws + "lobby"], ["wss://h/ws/x", "wss://h/ws/x"]].filter(([a, b]) => address(a) !== b);`, `[]`)
}

func testBackoff(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const { Backoff } = await import("/assets/reconnect.js"); let now = 0;
		const worst = (o) => new Backoff({ random: () => 1, now: () => now, ...o });`
	b.same("grows to its ceiling", load+`const b = worst({ most: 3000 }); return [1, 2, 3, 4, 5].map(() => b.down());`, `[500,1000,2000,3000,3000]`)
	b.same("full jitter", load+`const b = worst({ random: () => 0 }); return [b.down(), b.down()];`, `[0,0]`)
	b.same("a hint is the least", load+`const b = worst({ random: () => 0 }); return b.down(1234);`, `1234`)
	b.same("short luck resets nothing", load+`const b = worst(); b.down(); b.down(); b.up(); now += 9999; return b.down();`, `2000`)
	b.same("ten stable seconds do", load+`const b = worst(); b.down(); b.down(); b.up(); now += 10000; return b.down();`, `500`)
	b.same("failing after that grows again", load+`const b = worst(); b.up(); now += 10000; b.down(); now += 60000; return b.down();`, `1000`)
}

func testSharedObject(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const { SharedObject } = await import("/assets/netconnection.js");
		const sent = [], lists = [], codes = [];
		const nc = { uri: "x" + Math.random(), attach() {}, send: (frame) => sent.push(frame) };
		const so = SharedObject.getRemote("o", nc); so.connect(nc);
		so.onSync = (list) => lists.push(list); so.onStatus = (info) => codes.push(info.code);
		const hear = (version, ...events) => so.apply({ version, events });`
	b.same("first use", load+`return sent;`,
		`[{"type":"so","name":"o","persistent":false,"version":0,"events":[{"event":"use"}]}]`)
	b.same("snapshot", load+`hear(7, {event: "useSuccess"}, {event: "clear"}, {event: "change", slot: "a", value: {"$date": 5}});
		return [lists, so.data.a instanceof Date, so.version];`, `[[[{"code":"clear"},{"code":"change","name":"a"}]],true,7]`)
	b.same("connecting again asks for the difference", load+`hear(7, {event: "clear"}); so.connect(nc); return sent.at(-1).version;`, `7`)
	b.same("own change", load+`so.setProperty("a", 1); hear(8, {event: "success", slot: "a"}); return [sent.at(-1).events, lists, so.data];`,
		`[[{"event":"requestChange","slot":"a","value":1}],[[{"code":"success","name":"a"}]],{"a":1}]`)
	b.same("conflict", load+`so.setProperty("a", 1); hear(8, {event: "change", slot: "a", value: 2}); return [lists, so.data.a];`,
		`[[[{"code":"reject","name":"a","oldValue":1}]],2]`)
	b.same("no right", load+`hear(1, {event: "change", slot: "a", value: 0}); so.setProperty("a", 1); so.setProperty("b", 1);
		hear(1, {event: "status", code: "SharedObject.NoWriteAccess", level: "error"}); return [codes, so.data];`,
		`[["SharedObject.NoWriteAccess"],{"a":0,"b":1}]`)
	b.same("not stored", load+`hear(1, {event: "change", slot: "a", value: 0}); so.setProperty("a", 1);
		hear(1, {event: "status", code: "SharedObject.Flush.Failed", level: "error"}); return [codes, so.data];`,
		`[["SharedObject.Flush.Failed"],{"a":0}]`)
	b.same("no use", load+`so.setProperty("a", 1); hear(0, {event: "status", code: "SharedObject.NoReadAccess", level: "error"}); return so.data;`, `{"a":1}`)
	b.same("remove", load+`hear(1, {event: "change", slot: "a", value: 3}); hear(2, {event: "remove", slot: "a"}); return [lists[1], so.data];`,
		`[[{"code":"delete","name":"a","oldValue":3}],{}]`)
	b.same("removing", load+`so.setProperty("a"); return sent.at(-1).events;`, `[{"event":"requestRemove","slot":"a"}]`)
	b.same("send", load+`const got = []; so.client = { hi: (x) => got.push(x) }; hear(1, {event: "send", method: "hi", args: [4]}); return got;`, `[4]`)
	b.same("send of what every object has", load+`hear(1, {event: "send", method: "constructor", args: []}); return lists;`, `[]`)
	b.same("slots named as what every object has", load+`hear(1, {event: "change", slot: "__proto__", value: 1}, {event: "change", slot: "constructor", value: 2});
		return [Object.keys(so.data), ({}).constructor === Object];`, `[["__proto__","constructor"],true]`)
	b.same("one object for one name", load+`return [SharedObject.getRemote("o", nc) === so, SharedObject.getRemote("o", nc, true) === so];`, `[true,false]`)
}

// chatLog is a script with a room of its own: its history answers as room/PROTOCOL.md
// says.
const chatLog = `const { ChatLog } = await import("/assets/chatlog.js");
	const room = { epoch: 1, kept: [], forgotten: 0, asked: 0 };
	const message = (id) => ({ id, at: id, user: { id: "u", nick: "n", role: "user" }, text: "t" + id });
	const say = (...ids) => room.kept.push(...ids.map(message));
	const nc = () => ({ connected: true, async request(method, { after, before, limit = 50, epoch }) {
		room.asked += 1;
		room.named = epoch;
		let found = room.kept.filter(({ id }) => after === undefined || id > after).filter(({ id }) => before === undefined || id < before);
		const more = found.length > limit;
		found = after === undefined ? found.slice(-limit) : found.slice(0, limit);
		return { epoch: room.epoch, messages: found, complete: after === undefined ? true : after >= room.forgotten, more, last: room.last };
	} });
	const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
	const seen = []; const log = new ChatLog();
	log.onPast = (messages, where) => seen.push(where + " " + messages.map(({ id }) => id));
	log.onMessage = ({ id }) => seen.push("said " + id);
	log.onRemoved = (key) => seen.push("removed " + key);
	log.onGap = (why) => seen.push(why);`

func testChatLog(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	b.same("first look", chatLog+`say(1, 2); await log.catchUp(nc()); log.receive(message(3)); return seen;`, `["below 1,2","said 3"]`)
	b.same("said while loading", chatLog+`say(1); say(2); const c = log.catchUp(nc()); log.receive(message(2)); log.receive(message(3)); await c; return seen;`,
		`["below 1,2","said 3"]`)
	b.same("gap is closed", chatLog+`say(1, 2); await log.catchUp(nc()); say(3, 4); await log.catchUp(nc()); return seen;`, `["below 1,2","below 3,4"]`)
	b.same("gap of several pages", chatLog+`say(1); await log.catchUp(nc()); say(...range(2, 450)); await log.catchUp(nc());
		return [seen.length, seen.slice(1).join().replace(/below /g, "") === range(2, 450).join()];`, `[4,true]`)
	b.same("gap that cannot be closed is admitted", chatLog+`say(1, 2); await log.catchUp(nc()); room.kept = []; room.forgotten = 9; say(10, 11); await log.catchUp(nc()); return seen;`,
		`["below 1,2","missing","below 10,11"]`)
	b.same("a removed message is no gap", chatLog+`say(1, 2); await log.catchUp(nc()); say(4); await log.catchUp(nc()); return seen;`, `["below 1,2","below 4"]`)
	b.same("more than one cares to read", chatLog+`say(1); await log.catchUp(nc()); say(...range(2, 3000)); await log.catchUp(nc());
		return [seen.at(-2), seen.at(-1) === "below " + range(2951, 3000), room.asked];`, `["missing",true,8]`)
	b.same("removed meanwhile", chatLog+`say(1, 2, 3); await log.catchUp(nc()); room.kept.splice(1, 1); await log.catchUp(nc()); return seen;`,
		`["below 1,2,3","removed 1-2"]`)
	b.same("forgotten is not removed", chatLog+`say(1, 2, 3); await log.catchUp(nc()); room.kept.splice(0, 1); room.forgotten = 1; await log.catchUp(nc()); return seen;`,
		`["below 1,2,3"]`)
	b.same("room started again", chatLog+`say(1, 2); await log.catchUp(nc()); room.epoch = 2; room.kept = []; say(1); await log.catchUp(nc()); log.receive(message(2)); return seen;`,
		`["below 1,2","restarted","below 1","said 2"]`)
	b.same("room started again before anything was said", chatLog+`await log.catchUp(nc()); room.epoch = 2; say(1); await log.catchUp(nc()); return seen;`,
		`["below 1"]`)
	b.same("room that goes on after a restart", chatLog+`say(1, 2); await log.catchUp(nc()); say(3); room.last = 3; await log.catchUp(nc()); log.receive(message(4)); return seen;`,
		`["below 1,2","below 3","said 4"]`)
	b.same("the last message was removed", chatLog+`say(1, 2); await log.catchUp(nc()); room.kept.pop(); room.last = 2; await log.catchUp(nc()); log.receive(message(3)); return seen;`,
		`["below 1,2","removed 1-2","said 3"]`)
	b.same("the last message was lost", chatLog+`say(1, 2); await log.catchUp(nc()); room.kept.pop(); room.last = 1; await log.catchUp(nc()); log.receive(message(2)); log.removed(2); return seen;`,
		`["below 1,2","restarted","below 1","said 2","removed 2-2"]`)
	b.same("ids go with their epoch", chatLog+`say(1); await log.catchUp(nc()); await log.catchUp(nc()); return room.named;`, `1`)
	b.same("one got lost on the way", chatLog+`say(1); await log.catchUp(nc()); say(2, 3); log.receive(message(3)); await new Promise((r) => setTimeout(r)); return seen;`,
		`["below 1","below 2,3"]`)
	const failing = chatLog + `log.pause = 0; let failures = 0; const at = nc(), answer = at.request;
		at.request = async (...args) => { if (failures-- > 0) { room.asked += 1; throw new Error("not now"); } return answer(...args); };
		const rest = async () => { for (let i = 0; i < 20; i++) await new Promise((r) => setTimeout(r)); };
		say(1); await log.catchUp(at); room.asked = 0; `
	b.same("history is away for a moment", failing+`failures = 2; say(2, 3, 4); log.receive(message(3)); log.receive(message(4)); await rest(); return [seen, room.asked];`,
		`[["below 1","below 2,3,4"],3]`)
	b.same("history stays away", failing+`failures = 1e9; log.receive(message(3)); log.receive(message(4)); await rest(); log.receive(message(5)); return [seen, room.asked];`,
		`[["below 1","missing","said 3","said 4","said 5"],3]`)
	b.same("history was away at first", chatLog+`log.pause = 0; const at = nc(), answer = at.request; let away = true;
		at.request = async (...args) => { if (away) throw new Error("not now"); return answer(...args); };
		await log.catchUp(at); for (let i = 0; i < 20; i++) await new Promise((r) => setTimeout(r));
		say(1, 2); log.receive(message(2)); away = false; await log.catchUp(nc()); return seen;`, `["said 2"]`)
	b.same("the connection ends while history is asked for", failing+`failures = 1; say(2, 3); at.connected = false; log.receive(message(2)); at.connected = true;
		const asked = log.catchUp(at); log.receive(message(3)); at.connected = false; await asked; await log.catchUp(nc()); return seen;`,
		`["below 1","said 2","below 3"]`)
	b.same("what the page forgot is older again", chatLog+`log.onMore = (more) => seen.push(more); say(1, 2, 3); await log.catchUp(nc());
		log.prunedTo(log.key(3)); await log.older(); return seen;`, `["below 1,2,3",false,true,"above 1,2",false]`)
	b.same("older", chatLog+`say(...range(1, 70)); await log.catchUp(nc()); await log.older(); return [seen[1], seen.length];`,
		`["above 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20",2]`)
}

func testComposer(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const { Composer } = await import("/assets/composer.js");
		const form = document.createElement("form");
		form.innerHTML = '<textarea></textarea><button class="main"></button><p class="waiting"></p><p id="say-error"></p><p id="say-hint"></p><p class="countdown"></p>';
		document.body.append(form);
		const composer = new Composer(form), said = [], keys = [], rest = () => new Promise((done) => setTimeout(done));
		let fate = () => ({});
		composer.say = async (text, key) => { said.push(text); keys.push(key); const info = fate(text); if (info) throw { info }; };
		const breaks = () => ({ description: "Connection closed." }), refuses = (application) => () => ({ description: "Not stored.", application });
		const send = async (text) => { composer.box.value = text; form.dispatchEvent(new Event("submit", { cancelable: true })); await rest(); };
		const both = (one, two) => { send(one); return send(two); };
		const again = async () => { await composer.again(); await rest(); };
		const shown = () => [composer.box.value, form.querySelector(".waiting").textContent.slice(0, 12), form.querySelector("#say-error").textContent.slice(0, 12)];`
	b.same("accepted", load+`fate = () => null; await send("hello"); await again(); return [said, shown(), /^[0-9a-f]{32}$/.test(keys[0])];`, `[["hello"],["","",""],true]`)
	b.same("refused", load+`fate = refuses({ reason: "No." }); await send("hello"); composer.heard("hello"); fate = () => null; await again(); return [said, shown()];`,
		`[["hello"],["hello","","No."]]`)
	b.same("refused, and said again", load+`fate = refuses({ reason: "No." }); await send("hello"); await send("hello"); return keys[0] !== keys[1];`, `true`)
	b.same("broken before it arrived", load+`fate = breaks; await send("hello"); const late = shown(); fate = () => null; await again(); await again();
		return [late, said, keys[0] === keys[1], shown()];`, `[["","Your message",""],["hello","hello"],true,["","",""]]`)
	b.same("broken after it arrived", load+`fate = breaks; await send("hello"); composer.heard("hello"); await again(); return [said, shown()];`, `[["hello"],["","",""]]`)
	b.same("heard, and then broken", load+`fate = () => { composer.heard("hello"); return breaks(); }; await send("hello"); await again(); return [said, shown()];`, `[["hello"],["","",""]]`)
	b.same("two under way", load+`fate = breaks; await both("one", "two"); const late = shown(); composer.heard("one"); fate = () => null; await again();
		return [late, said, keys[1] === keys[2], shown()];`, `[["","2 messages a",""],["one","two","two"],true,["","",""]]`)
	b.same("twice the same", load+`fate = breaks; await both("ok", "ok"); composer.heard("ok"); fate = () => null; await again(); return [said, keys[0] !== keys[1], keys[1] === keys[2]];`,
		`[["ok","ok","ok"],true,true]`)
	b.same("written meanwhile", load+`fate = breaks; await send("one"); fate = () => ({ description: "There is no connection right now." }); await send("two"); composer.box.value = "three";
		const late = said.length; fate = () => null; await again(); return [late, said.slice(late), shown()];`, `[2,["one","two"],["three","",""]]`)
	b.same("broken again", load+`fate = breaks; await send("one"); await again(); await again(); fate = () => null; await again(); return [said.length, new Set(keys).size, shown()];`, `[4,1,["","",""]]`)
	b.same("no connection", load+`fate = () => ({ description: "There is no connection right now." }); await send("one"); return shown();`, `["one","","There is no "]`)
	b.same("perhaps", load+`fate = refuses({ reason: "No.", perhaps: true, retryAfter: 1 }); await send("hello"); fate = () => null; await new Promise((done) => setTimeout(done, 50));
		return [said, keys[0] === keys[1], shown()];`, `[["hello","hello"],true,["","",""]]`)
	b.same("perhaps, for good", load+`fate = refuses({ reason: "No.", perhaps: true, retryAfter: 1 }); await send("hello"); await new Promise((done) => setTimeout(done, 100)); const late = composer.box.value; composer.heard("hello");
		return [said.length, new Set(keys).size, late, composer.box.value];`, `[4,1,"hello",""]`)
	b.same("left meanwhile", load+`fate = breaks; await send("hello"); composer.giveUp(); const late = shown(); fate = () => null; await again(); await send("hello");
		return [late, said, keys[0] === keys[1], shown()];`, `[["hello","","This message"],["hello","hello"],true,["","",""]]`)
	b.same("a composition", load+`fate = () => null; composer.box.value = "か";
		const press = (init) => composer.box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...init }));
		const kept = [press({ keyCode: 229 }), press({ keyCode: 13, isComposing: true }), press({ keyCode: 13, shiftKey: true }), said.length];
		return [kept, press({ keyCode: 13 }), said];`, `[[true,true,true,0],false,["か"]]`)
}

func testWords(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	for said, want := range map[string]string{
		"Nickname is already in use.":                            "Somebody here has that name already. Choose another one.",
		"Nickname has too many marks on a letter.":               "Some characters of that name can’t be used here. Choose letters and digits.",
		"The message is longer than 500 characters: it has 512.": "That’s 12 characters too long. Shorten it and say it again.",
		"You were kicked":                                        "You were sent out.",
		"You were kicked: Please calm down:\n(now)":              "You were sent out. “Please calm down:\n(now)”",
		"You are banned until 2026-01-02 03:04:05 UTC: spam":     "You are banned until Friday. “spam”",
		"You are banned until tomorrow.":                         "You are banned until tomorrow.",
		"Slow mode: wait for 3 s.":                               "Slow mode: wait for 3 s.",
	} {
		b.same(said, fmt.Sprintf(`const { inWords } = await import("/assets/words.js"); return inWords(%q, 0).replace(/until .*day.*?[AP]M/, "until Friday");`, said), fmt.Sprintf("%q", want))
	}
	b.same("today", `const { inWords } = await import("/assets/words.js"), said = "You are banned until 2026-01-02 12:04:05 UTC";
		return !/day/.test(inWords(said, Date.UTC(2026, 0, 2, 12))) && /Friday/.test(inWords(said, Date.UTC(2026, 0, 9)));`, "true")
}

func testLinks(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const { linked } = await import("/assets/links.js");
		const show = (text) => linked(text).map((part) => typeof part === "string" ? part : part.localName === "a" ? "<" + part.textContent + ">" : "{" + part.textContent + "}").join("");`
	for _, c := range []struct{ text, want string }{
		{"see https://example.org/a?b=1&c.", "see <https://example.org/a?b=1&c>."},
		{"https://en.wikipedia.org/wiki/Foyer_(architecture)", "<https://en.wikipedia.org/wiki/Foyer_(architecture)>"},
		{"(https://example.org/Foyer_(a))", "(<https://example.org/Foyer_(a)>)"},
		{"(see https://example.org/a), or [https://example.org/a[1]].", "(see <https://example.org/a>), or [<https://example.org/a[1]>]."},
		{"{https://example.org/{id}}!?", "{<https://example.org/{id}>}!?"},
		{"https://example.org/a(b and c)", "<https://example.org/a(b> and c)"},
		{"https://example.org/(a]", "<https://example.org/(a>]"},
		{"「https://example.org/a」。", "「<https://example.org/a>」。"},
		{"HTTP://Example.org and hTTpS://example.org/X", "<HTTP://Example.org> and <hTTpS://example.org/X>"},
		{"“https://example.org/a”, 'https://example.org/b'", "“<https://example.org/a>”, '<https://example.org/b>'"},
		{"https://example.org/ä/日本?q=é", "<https://example.org/ä/日本?q=é>"},
		{"http:// https://( ftp://example.org javascript:alert(1)", "http:// https://( ftp://example.org javascript:alert(1)"},
		{"https://a.example,https://b.example", "<https://a.example,https://b.example>"},
		{"", ""},
		{"Rene\u0301 ti\u1ebfng Vi\u1ec7t \u0e1b\u0e35\u0e48 \u05e9\u05b8\u05bc\u05c1", "Rene\u0301 ti\u1ebfng Vi\u1ec7t \u0e1b\u0e35\u0e48 \u05e9\u05b8\u05bc\u05c1"},
		{"z" + strings.Repeat("\u0335", 30) + "a\u0300\u0301\u0302lgo", "{z" + strings.Repeat("\u0335", 30) + "}{a\u0300\u0301\u0302}lgo"},
		{"\u0301\u0301\u0301a\n" + strings.Repeat("\u0301", 9), "{\u0301\u0301\u0301}a\n{" + strings.Repeat("\u0301", 9) + "}"},
		{"\u0e1b" + strings.Repeat("\u0e48", 9), "{\u0e1b" + strings.Repeat("\u0e48", 9) + "}"},
	} {
		b.same(c.text, fmt.Sprintf("%s return show(%q);", load, c.text), fmt.Sprintf("%q", c.want))
	}
	b.same("a long text", load+`const start = performance.now(); linked("https://x.org/" + "(".repeat(20000) + ")".repeat(20000) + ".".repeat(20000)); return performance.now() - start < 2000;`, "true")
}

func testRooms(t *testing.T, browser context.Context) {
	b := modules(t, browser)
	const load = `const m = await import("/assets/rooms.js");
		const all = [["b", {activity: 0.1, users: 5, since: 1, tags: ["Jazz"]}], ["a", {activity: 0.9, users: 1, since: 3, live: true, title: "Zed"}],
			["c", {activity: 1, users: 2, since: 2, state: "stale", topic: "Monk"}]].map(([name, slot]) => m.entry(slot, name));
		const names = (search) => m.find(all, m.parseQuery(search)).map(({ name }) => name).join("");`
	for _, c := range []struct{ search, want string }{
		{"", "abc"}, {"?sort=users", "bca"}, {"?sort=newest", "acb"}, {"?sort=name", "bca"}, {"?sort=bogus", "abc"},
		{"?q=zED", "a"}, {"?q=monk", "c"}, {"?q=jazz", "b"}, {"?tag=jazz", "b"}, {"?tag=jaz", ""}, {"?live=1", "a"}, {"?q=none", ""},
	} {
		b.same("find "+c.search, load+`return names("`+c.search+`");`, `"`+c.want+`"`)
	}
	b.same("pinned", load+`return m.find([...all, m.entry({pinned: true}, "z")], m.parseQuery("?sort=users"))[0].name;`, `"z"`)
	b.same("address", load+`return ["?q=a+b&tag=x&sort=name&live=1", "", "?sort=users"].filter((s) => m.formatQuery(m.parseQuery(s)) !== s);`, `[]`)
	b.same("ten minutes", load+`const past = new m.Past(); for (let s = 0; s <= 1200; s += 10) past.note("a", 0.5, s * 1000);
		const points = past.points("a", 1, 1200000); return [points.length, points[0], points.at(-1)];`, `[62,[0,0.5],[1,1]]`)
	b.same("what the lobby noted", load+`const past = new m.Past(); past.note("r", 0.5, 1000); past.note("r", 0.25, 40000); past.seed("r", "0z", 30000);
		return past.points("r", 1, 600000 + 30000);`, `[[0,1],[0.01666666666666672,0.25],[1,1]]`)
	b.same("moods", load+`const now = 1e9, at = (slot) => m.mood(m.entry({ since: 1, ...slot }, "x"), now);
		return [{}, { activity: 0.1, lastActive: now - 130000 }, { activity: 0.1, messagesPerMinute: 1 }, { activity: 0.9 }, { since: now - 250000 }, { since: now - 1 },
			{ since: now - 250000, activity: 0.3 }, { restarting: true }].map(at);`,
		`["Silent","Quiet for 2 minutes","Quiet, 1 message a minute","Buzzing","Opened 4 minutes ago","Opened just now","Talking","Restarting"]`)
	b.same("spoken", load+`return m.spoken(m.entry({title: "Jazz", users: 1, viewers: 3, since: 1, live: true, locked: true, capacity: 1}, "blue"), 1e9);`,
		`"Jazz, on air, 1 person, 3 watching, silent, locked, full"`)
}
