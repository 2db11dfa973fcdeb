// @ts-check
// One card of the lobby: its parts, and how they show a room.

import { count, isNew, mood, spoken } from "./rooms.js";

/** @typedef {import("./rooms.js").Entry} Entry */

const WIDTH = 120, HEIGHT = 30, FLOOR = 2;
/** A part of the past that is narrower is not drawn. */
const STUB = 2;

/**
 * Draws activity as a line with light under it, and a dotted line for time about which
 * nobody knows anything. The server draws the same (web/card.go).
 * @param {Element} svg
 * @param {[x: number, y: number][]} points
 */
function drawSpark(svg, points) {
  const at = points.map(([x, y]) => ({ x: (x * WIDTH).toFixed(1), y: (HEIGHT - FLOOR - y * (HEIGHT - FLOOR - 2)).toFixed(1) }));
  const line = at.map(({ x, y }) => `${x} ${y}`).join("L");
  const [first] = at;
  svg.querySelector(".spark-past")?.setAttribute("d", Number(first.x) > STUB ? `M0 ${HEIGHT - FLOOR}H${first.x}` : "");
  svg.querySelector(".spark-line")?.setAttribute("d", `M${line}`);
  svg.querySelector(".spark-area")?.setAttribute("d", `M${line}L${WIDTH} ${HEIGHT}H${first.x}Z`);
}

/** @param {number} seconds */
const lasting = (seconds) => seconds < 60 ? count(seconds, "second", "seconds") : count(Math.floor(seconds / 60), "minute", "minutes");

/** A card on the page. It writes only what has changed. */
export class Card {
  /** @type {Map<string, any>} */ #shown = new Map();

  /** @param {HTMLElement} item */
  constructor(item) {
    this.item = item;
    /** @param {string} selector @returns {any} */
    const part = (selector) => item.querySelector(selector);
    this.link = part(".card-title a");
    this.count = part(".count");
    this.word = part(".count-word");
    this.topic = part(".card-topic");
    this.watching = part(".watching");
    this.fresh = part(".fresh");
    this.onair = part(".onair");
    this.lock = part(".lock");
    this.full = part(".full");
    this.tags = part(".tags");
    this.life = part(".card-life");
    this.spark = part(".spark");
  }

  /**
   * @param {Entry} room
   * @param {number} silent for how many seconds a stale room has not reported
   * @param {[x: number, y: number][]} points
   * @param {(tag: string) => string} tagHref
   * @param {number} now by the server's clock
   */
  show(room, silent, points, tagHref, now) {
    const stale = room.state === "stale";
    this.#once("name", room.name, (name) => {
      this.item.dataset.name = name;
      this.link.href = `room/${encodeURIComponent(name)}`;
    });
    this.#once("stale", stale, (on) => this.item.classList.toggle("stale", on));
    this.#once("title", room.title || room.name, (title) => { this.link.textContent = title; });
    this.#once("spoken", spoken(room, now), (words) => this.link.setAttribute("aria-label", words));
    this.#once("users", room.users, (n) => {
      this.count.textContent = n;
      this.word.textContent = n === 1 ? "person" : "people";
    });
    this.#once("topic", room.topic, (topic) => { this.topic.textContent = topic; });
    this.#once("watching", room.live ? room.viewers : 0, (n) => {
      this.watching.hidden = n === 0;
      this.watching.textContent = `${n} watching`;
    });
    this.#once("fresh", !isNew(room, now), (off) => { this.fresh.hidden = off; });
    this.#once("onair", !room.live, (off) => { this.onair.hidden = off; });
    this.#once("lock", !room.locked, (off) => { this.lock.hidden = off; });
    this.#once("full", !(room.capacity > 0 && room.users >= room.capacity), (off) => { this.full.hidden = off; });
    this.#once("tags", room.tags.map((tag) => `${tag} ${tagHref(tag)}`).join("\n"), () => this.#tags(room.tags, tagHref));
    this.#once("life", !stale ? mood(room, now) : silent > 0 ? `Out of touch for ${lasting(silent)}` : "Out of touch", (words) => { this.life.textContent = words; });
    drawSpark(this.spark, points);
  }

  /** The room has closed, under somebody's pointer. */
  close() {
    this.#shown.clear();
    this.item.classList.add("stale");
    this.life.textContent = "Closed";
  }

  /** Tells its position among all rooms, since they are not all on the page. @param {number} nth @param {number} all */
  place(nth, all) {
    this.#once("nth", nth, () => this.item.setAttribute("aria-posinset", String(nth)));
    this.#once("all", all, () => this.item.setAttribute("aria-setsize", String(all)));
  }

  /** @param {string[]} tags @param {(tag: string) => string} href */
  #tags(tags, href) {
    this.tags.replaceChildren(...tags.map((tag) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = href(tag);
      link.dataset.tag = tag;
      link.textContent = tag;
      item.append(link);
      return item;
    }));
    this.tags.hidden = tags.length === 0;
  }

  /** @template T @param {string} what @param {T} value @param {(value: T) => void} write */
  #once(what, value, write) {
    if (this.#shown.get(what) === value) return;
    this.#shown.set(what, value);
    write(value);
  }
}
