// @ts-check
// The state of a room's connection, in words, in the head of the page.

/** After so many ms without a connection, the page says that nothing is lost. */
const LONG = 30_000;

export class LinkState {
  /** Whether the server has said that it restarts. */
  restarting = false;
  /** Whether we have left for good. */
  ended = false;

  #lostAt = 0;
  #next = 0;

  /** @param {HTMLElement} root @param {import("./reconnect.js").Link} link */
  constructor(root, link) {
    this.root = root;
    this.link = link;
    setInterval(() => this.show(), 1_000);
  }

  /** Whether the connection has been lost. */
  get lost() { return this.#lostAt > 0; }

  /** There is a connection, or a first one is asked for. */
  found() {
    this.#lostAt = 0;
    this.restarting = false;
    this.show();
  }

  /** There is none. @param {number} wait ms to the next attempt */
  lose(wait) {
    this.#lostAt ||= Date.now();
    this.#next = Date.now() + wait;
    this.show();
  }

  #words() {
    if (this.ended) return "Not connected";
    if (this.link.up) return "Connected";
    if (!this.lost) return "Connecting…";
    if (this.link.why) return this.link.why;
    if (Date.now() - this.#lostAt > LONG) return "Still no answer from the server. Your messages are kept here.";
    return this.restarting ? "The server is restarting. Trying again…" : "Connection lost. Trying again…";
  }

  /** Shows it. The seconds to the next attempt are seen, but not read out. */
  show() {
    const words = this.#words(), left = Math.ceil((this.#next - Date.now()) / 1000);
    const waits = this.lost && !this.link.up && !this.link.why && !this.ended && left > 0;
    this.root.className = `link-state ${this.link.up ? "up" : this.lost ? "down" : ""}`;
    const [said, counted] = this.root.children;
    if (said.textContent !== words) said.textContent = words;
    counted.textContent = waits ? ` in ${left} s` : "";
  }
}
