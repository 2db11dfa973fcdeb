// @ts-check
// The lobby page. The server has rendered it. From then on it follows two shared
// objects: "rooms", and "view", which says how old the rooms of other servers are.

import { Card } from "./card.js";
import { addCopyButtons } from "./clipboard.js";
import { SharedObject } from "./netconnection.js";
import { Pictures } from "./pictures.js";
import { Link, restarts } from "./reconnect.js";
import { Past, SAMPLE, count, entry, find, formatQuery } from "./rooms.js";
import { SearchForm } from "./searchform.js";

/** @typedef {import("./rooms.js").Entry} Entry */

/** The order changes at most this often, and never while somebody points at a card. */
const CALM = 3_000;
/** The headline is read out at most this often. */
const TELL = 15_000;
/** How many cards are written in one animation frame. */
const BATCH = 80;
/** How many cards are on the page at first, and how many come with each step towards its end. */
const SLICE = 120;

/** @param {string} selector @returns {any} */
const the = (selector) => document.querySelector(selector);
const list = the(".rooms"), headline = the(".headline"), linkState = the(".link-state"), more = the(".rooms-more");

const search = new SearchForm(the(".finder"));
/** @type {Map<string, Entry>} */ const rooms = new Map();
/** @type {Map<string, Card>} */ const cards = new Map();
/** When each room was first seen stale. @type {Map<string, number>} */ const staleSince = new Map();
/** Cards to write, those that wait longest first. @type {Set<string>} */ const dirty = new Set();
/** The rooms that match the query, in order. @type {string[]} */ let order = [];
/** How many of them are on the page, and which one gets the focus when it appears. */
let shown = SLICE, focusNext = "";
const past = new Past(), pictures = new Pictures();
/** When the server lost sight of the other servers, by its clock. */
let unreachableSince = 0;
let known = false, restarting = false, lastOrder = 0, lostAt = 0, drawing = 0, sorting = /** @type {any} */ (0), telling = /** @type {any} */ (0);

const object = SharedObject.getRemote("rooms", "lobby");
object.onSync = (changes) => {
  for (const { code, name } of changes) {
    if (code === "clear") rooms.clear();
    else if (code === "delete" && name !== undefined) rooms.delete(name);
    else if (name !== undefined) take(name);
  }
  known = true;
  arrange();
};

const view = SharedObject.getRemote("view", "lobby");
view.onSync = () => {
  unreachableSince = view.data.fresh === false ? Number(view.data.at) || 0 : 0;
  tellState();
};

const link = new Link("lobby");
link.onUp = (nc) => {
  lostAt = 0;
  restarting = false;
  object.connect(nc);
  view.connect(nc);
  nc.request("trends").then(seed, () => {});
  tellState();
};
link.onDown = (info) => {
  lostAt ||= Date.now();
  restarting ||= restarts(info);
  tellState();
};
link.onEnd = (info) => link.onDown(info, 0);

/** The difference between our clock and the server's. */
const ahead = Date.now() - Number(list.dataset.at);

/** Takes the lobby's record of the last ten minutes. @param {{at: number, step: number, rooms: Record<string, string>}} trends */
function seed({ at, step, rooms: noted }) {
  for (const [name, trend] of Object.entries(noted)) {
    past.seed(name, trend, Math.min(at + ahead, Date.now()), step);
    dirty.add(name);
  }
  draw();
}

/** Takes a room out of the shared object. @param {string} name */
function take(name) {
  const room = entry(object.data[name], name);
  const now = Date.now();
  rooms.set(name, room);
  if (room.state !== "stale") staleSince.delete(name);
  else if (!staleSince.has(name)) staleSince.set(name, now);
  past.note(name, room.activity, now);
  dirty.add(name);
}

/**
 * Decides which rooms are on the page. They come and go at once, but the order waits for
 * a quiet moment, and a room that closes under a pointer stays until it leaves.
 */
function arrange(now = false) {
  const wanted = find(rooms.values(), search.query).map((room) => room.name);
  const set = new Set(wanted);
  const calm = now || order.length === 0 || (Date.now() - lastOrder >= CALM && !touched());
  if (calm) {
    lastOrder = Date.now();
    order = wanted;
  } else {
    const had = new Set(order);
    order = [...order.filter((name) => set.has(name) || closing(name)), ...wanted.filter((name) => !had.has(name))];
    clearTimeout(sorting);
    if (order.some((name, i) => name !== wanted[i])) sorting = setTimeout(arrange, CALM);
  }
  const page = new Set(order.slice(0, shown));
  for (const [name, card] of cards) {
    if (page.has(name)) continue;
    pictures.set(card.item, name, "");
    card.item.remove();
    cards.delete(name);
  }
  draw();
}

/** Whether a room has closed while somebody points at its card or has the focus in it. @param {string} name */
function closing(name) {
  const card = rooms.has(name) ? undefined : cards.get(name);
  if (!card?.item.matches(":hover, :focus-within")) return false;
  card.close();
  return true;
}
for (const event of ["pointerleave", "focusout"]) {
  list.addEventListener(event, () => { if (order.some((name) => !rooms.has(name))) setTimeout(arrange); });
}

/** Puts one more slice of cards on the page. */
function grow() {
  if (cards.size < shown) return;
  shown += SLICE;
  draw();
}

/** Whether somebody points at a card or has the focus in one. */
const touched = () => list.matches(":hover") || list.contains(document.activeElement) && document.activeElement !== list;

function draw() {
  if (drawing === 0 && known) drawing = requestAnimationFrame(drawBatch);
}

/** Puts cards in their places and writes those that have changed, some in each frame. */
function drawBatch() {
  drawing = 0;
  const page = order.slice(0, shown);
  let left = BATCH;
  let next = list.firstElementChild;
  for (const [i, name] of page.entries()) {
    let card = cards.get(name);
    if (!card) {
      if (left <= 0) continue;
      left -= 1;
      card = newCard(name);
      showCard(card, name);
    }
    if (card.item === next) next = next.nextElementSibling;
    else list.insertBefore(card.item, next);
    card.place(i + 1, order.length);
  }
  for (const name of dirty) {
    const card = cards.get(name);
    if (card && left <= 0) break;
    dirty.delete(name);
    if (!card) continue;
    left -= 1;
    showCard(card, name);
  }
  if (dirty.size > 0 || page.some((name) => !cards.has(name))) draw();
  else finish();
  tellCounts();
}

/** All cards are in their places and up to date. */
function finish() {
  for (const item of [...list.children]) if (!cards.has(item.dataset.name)) item.remove();
  cards.get(focusNext)?.link.focus();
  focusNext = "";
  end.unobserve(more); // so that it is seen again if it is still near
  end.observe(more);
}

/** @param {string} name */
function newCard(name) {
  const item = the(`.rooms > [data-name="${CSS.escape(name)}"]`) ?? the(".card-template").content.firstElementChild.cloneNode(true);
  const card = new Card(item);
  cards.set(name, card);
  dirty.delete(name);
  return card;
}

/** @param {Card} card @param {string} name */
function showCard(card, name) {
  const room = rooms.get(name);
  if (!room) return;
  const now = Date.now();
  const silent = Math.round((now - (staleSince.get(name) ?? now)) / 1000);
  card.show(room, silent, past.points(name, room.activity, now), (tag) => formatQuery({ ...search.query, tag }) || "?", now - ahead);
  pictures.set(card.item, name, room.live && room.state === "live" && isHere(room) ? room.streams[0] ?? "" : "");
}

/** Whether this server has the room's pictures. A server that has all pictures names no node. @param {Entry} room */
const isHere = ({ node, http }) => !http || !node || ["", node].includes(document.body.dataset.node ?? "");

function tellCounts() {
  const sure = [...rooms.values()].filter((room) => room.state !== "stale"); // nobody knows who is in the stale ones
  const people = sure.reduce((sum, room) => sum + room.users, 0);
  const words = sure.length === 0 ? "Nobody is here yet" : `${count(people, "person", "people")} in ${count(sure.length, "room", "rooms")}`;
  if (headline.textContent !== words) {
    headline.textContent = words;
    telling ||= setTimeout(tellHeadline, TELL);
  }
  the(".empty").hidden = order.length > 0;
  more.hidden = order.length <= shown;
  if (!more.hidden) more.firstElementChild.textContent = count(order.length - shown, "more room", "more rooms");
  for (const part of document.querySelectorAll(".empty-found")) /** @type {HTMLElement} */ (part).hidden = rooms.size === 0;
  the("h2.empty-found").textContent = search.query.text ? `No room matches “${search.query.text}”.` : "No room matches.";
  for (const part of document.querySelectorAll(".empty-none")) /** @type {HTMLElement} */ (part).hidden = rooms.size > 0;
}

/** Reads the headline out. */
function tellHeadline() {
  telling = 0;
  the(".told").textContent = headline.textContent;
}

function tellState() {
  const up = lostAt === 0 && link.up;
  const age = Math.max(0, Math.round((Date.now() - (lostAt || unreachableSince + ahead)) / 1000));
  linkState.className = `link-state ${up && !unreachableSince ? "up" : lostAt || up ? "down" : ""}`;
  if (up) linkState.textContent = unreachableSince ? `Other servers are out of reach: their rooms are shown as of ${age} s ago` : "Up to date";
  else linkState.textContent = !lostAt ? "Connecting…" : link.why || `${restarting ? "The server is restarting" : "Connection lost"}. This list is ${age} s old`;
  // The loss of the connection is read out, but the seconds after it are not.
  linkState.setAttribute("aria-live", (lostAt || unreachableSince) && age > 0 && !link.why ? "off" : "polite");
}

search.onChange = () => {
  shown = SLICE;
  for (const name of rooms.keys()) dirty.add(name);
  arrange(true);
};

list.addEventListener("click", (/** @type {any} */ event) => {
  const tag = event.target.dataset.tag;
  if (tag === undefined || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  search.choose(tag);
});
the(".opener").addEventListener("submit", (/** @type {any} */ event) => {
  event.preventDefault();
  location.assign(`room/${encodeURIComponent(event.target.elements.name.value)}`);
});
the(".empty-found a").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault();
  search.clear();
});

// Every second, update what counts seconds. Every ten seconds, update the sparklines.
setInterval(() => {
  if (lostAt || unreachableSince) tellState();
  for (const [name] of staleSince) {
    if (!rooms.has(name)) staleSince.delete(name);
    else dirty.add(name);
  }
  draw();
}, 1_000);
setInterval(() => {
  const now = Date.now();
  for (const room of rooms.values()) {
    if (link.up) past.note(room.name, room.activity, now);
    dirty.add(room.name);
  }
  past.keep(rooms);
  draw();
}, SAMPLE);

const end = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) grow(); }, { rootMargin: "100%" });
more.addEventListener("click", () => {
  focusNext = order[cards.size] ?? "";
  grow();
});

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || document.activeElement?.matches("input, select, textarea")) return;
  event.preventDefault();
  the("#q").focus();
});

document.documentElement.classList.add("scripted");
for (const part of document.querySelectorAll("#open, .to-open")) /** @type {HTMLElement} */ (part).hidden = false;
addCopyButtons(the(".ways"), (text) => { the(".told").textContent = text; });
const drawn = [...list.children].map((item) => [item.dataset.name, item.dataset.trend ?? ""]);
seed({ at: Number(list.dataset.sampled), step: SAMPLE, rooms: Object.fromEntries(drawn) });
search.restore();
link.start();
