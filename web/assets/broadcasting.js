// @ts-check
// The section that only the people who run a room see: what its publishers send and what
// they should change. With the admin token, it also shows the server and key for a
// broadcast. The key is fetched only on request, since screens are shared.

import { inFull, inShort } from "./ingest.js";
import { explain } from "./netconnection.js";

/** How often the full report is renewed while it is open, in ms. */
const EVERY = 5_000;

/** How long a second press that ends a broadcast may take, in ms. */
const SURE = 4_000;

export class Broadcasting {
  /** Calls a method of the room. @type {(method: string, ...args: any[]) => Promise<any>} */
  ask = async () => {};

  #token = "";
  #timer = /** @type {any} */ (0);
  /** Reports from the shared object "room". @type {Record<string, any>} */ #short = {};
  /** The boxes on the page, by stream. @type {Map<string, Element>} */ #boxes = new Map();
  /** Reports from the API, while they are on the page. @type {Record<string, any>} */ #full = {};

  /** @param {HTMLElement} root @param {string} room */
  constructor(root, room) {
    this.root = root;
    this.base = new URL(`../api/v1/rooms/${encodeURIComponent(room)}/`, import.meta.url);
    /** @param {string} selector @returns {any} */
    const part = (selector) => root.querySelector(selector);
    this.box = part("details");
    this.setup = part(".broadcasting-setup");
    this.server = part(".broadcasting-server");
    this.key = part(".broadcasting-key");
    this.error = part("details .error");
    this.problem = part(".broadcasting-error");
    this.ingest = part(".ingest");
    this.box.addEventListener("toggle", () => this.#open(this.box.open));
  }

  /** Takes the credential of a moderator; "" hides everything again. @param {string} token */
  use(token) {
    this.root.hidden = !token;
    if (token === this.#token) return;
    this.#token = token;
    this.box.open = false;
    this.#open(false);
    this.#draw();
  }

  /** @param {Record<string, any>} short the room's report of each stream */
  update(short = {}) {
    this.#short = short;
    this.#draw();
  }

  /** @param {boolean} on */
  async #open(on) {
    clearInterval(this.#timer);
    this.setup.hidden = true;
    this.server.textContent = this.key.textContent = this.error.textContent = "";
    this.#full = {};
    if (!on || !this.#token) return this.#draw();
    const token = this.#token;
    const { server, key } = await this.#ask("key") ?? {};
    if (token !== this.#token || !this.box.open) return;
    if (!key) {
      this.error.textContent = "Only people who join with the server's admin token can see the key.";
      return;
    }
    this.server.textContent = server;
    this.key.textContent = key;
    this.setup.hidden = false;
    this.#look();
    this.#timer = setInterval(() => { if (!document.hidden) this.#look(); }, EVERY);
  }

  async #look() {
    const { streams = [] } = await this.#ask("ingest") ?? {};
    if (!this.box.open) return;
    this.#full = Object.fromEntries(streams.map((/** @type {any} */ report) => [report.stream, report]));
    this.#draw();
  }

  #draw() {
    const names = Object.keys(this.#short).sort();
    if (names.join() !== [...this.#boxes.keys()].join()) {
      const old = this.#boxes;
      this.#boxes = new Map(names.map((name) => [name, old.get(name) ?? this.#box(name)]));
      this.ingest.replaceChildren(...this.#boxes.values());
    }
    for (const [name, box] of this.#boxes) {
      const full = this.#full[name], { advice = [] } = full ?? this.#short[name];
      const lines = [...(full ? inFull(full) : [inShort(this.#short[name])]).map((text) => line(text, "")), ...advice.map((/** @type {string} */ text) => line(text, "advice"))];
      const old = [...box.querySelectorAll("p")];
      if (old.map((p) => p.textContent).join("\n") === lines.map((p) => p.textContent).join("\n")) continue;
      for (const p of old) p.remove();
      box.append(...lines);
    }
  }

  /** The part of a box that stays while the figures of a stream change, and keeps the focus. @param {string} name */
  #box(name) {
    const box = document.createElement("section"), title = document.createElement("h3");
    title.textContent = name;
    box.append(title, this.#ender(name));
    return box;
  }

  /** A button that ends a broadcast when it is pressed twice. @param {string} name */
  #ender(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = "End this broadcast";
    let sure = false;
    button.addEventListener("click", async () => {
      if (!sure) {
        sure = true;
        button.textContent = "Press again to end it";
        setTimeout(() => {
          sure = false;
          button.textContent = "End this broadcast";
        }, SURE);
        return;
      }
      try { await this.ask("release", name); } catch (err) { this.problem.textContent = explain(err); }
    });
    return button;
  }

  /** @param {string} what @returns {Promise<any>} null when there is none */
  async #ask(what) {
    try {
      const answer = await fetch(new URL(what, this.base), { headers: { Authorization: `Bearer ${this.#token}` } });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null; // the next request may succeed
    }
  }
}

/** @param {string} text @param {string} kind */
function line(text, kind) {
  const p = document.createElement("p");
  p.className = kind;
  p.textContent = text;
  return p;
}
