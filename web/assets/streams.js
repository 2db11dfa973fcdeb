// @ts-check
// The broadcasts of a room: the player, the choice of streams, and what is on air, in
// words.

import { Player } from "./player.js";

export class Streams {
  /** @type {string[]} */ #streams = [];
  /** Streams whose publisher is away, and expected back. @type {string[]} */ #away = [];
  #chosen = "";

  /** @param {HTMLElement} root @param {string} room */
  constructor(root, room) {
    this.root = root;
    /** @param {string} selector @returns {any} */
    const part = (selector) => root.querySelector(selector);
    this.onair = part(".onair");
    this.onstage = part(".onstage-words");
    this.choice = part(".streams");
    this.box = part(".player");
    this.player = new Player(this.box, room);
    const theatre = part(".theatre");
    theatre.addEventListener("click", () => {
      const on = document.body.classList.toggle("in-theatre");
      theatre.setAttribute("aria-pressed", String(on));
    });
  }

  /**
   * @param {{streams?: string[], away?: Record<string, number>}} state slots of the shared object "room":
   *   streams that are on air or expected back, and since when the latter are away
   */
  update({ streams: all = [], away = {} }) {
    this.#streams = all.filter((name) => !Object.hasOwn(away, name));
    this.#away = all.filter((name) => Object.hasOwn(away, name));
    if (!all.includes(this.#chosen)) this.#choose(this.#streams[0] ?? all[0] ?? "");
    else this.player.away(this.#away.includes(this.#chosen));
    this.#buttons(all);
    this.#words();
  }

  /** @param {string} name "" for none */
  #choose(name) {
    this.#chosen = name;
    this.box.hidden = name === "";
    document.body.classList.toggle("pictured", name !== "");
    if (name) this.player.watch(name);
    else this.player.close();
    this.player.away(this.#away.includes(name));
  }

  #words() {
    const { onstage } = this, live = this.#streams.length > 0;
    const words = live ? this.#streams.join(", ") : this.#away.length > 0 ? "The broadcaster has stepped away" : "Nobody is broadcasting";
    if (onstage.textContent !== words) onstage.textContent = words;
    this.onair.hidden = !live;
  }

  /** One button for each stream, if there are several. @param {string[]} all */
  #buttons(all) {
    this.choice.hidden = all.length < 2;
    const old = new Map([...this.choice.querySelectorAll("button")].map((button) => [button.textContent, button]));
    for (const [name, button] of old) if (!all.includes(name)) button.remove();
    for (const name of all) {
      const button = old.get(name) ?? document.createElement("button");
      button.setAttribute("aria-pressed", String(name === this.#chosen));
      if (old.has(name)) continue;
      button.type = "button";
      button.className = "chip";
      button.textContent = name;
      button.addEventListener("click", () => {
        this.#choose(name);
        for (const other of this.choice.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
      });
      this.choice.append(button);
    }
  }
}
