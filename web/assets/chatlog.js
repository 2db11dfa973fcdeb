// @ts-check
// The messages of a room as this page has them: in order, and with a note where some are
// missing. Knows no page.

/** @typedef {import("./netconnection.js").NetConnection} NetConnection */
/** @typedef {{id: number, at: number, user: {id: string, nick: string, role: string}, text: string}} Message */
/** @typedef {{epoch: number, messages: Message[], complete: boolean, more: boolean, last: number}} Page */

/** How many messages a page of history has, how many after a gap, and how far back the log looks for messages that were removed meanwhile. */
const PAGE = 50, MOST = 200, OVERLAP = 150;
/** How many pages are loaded after a gap. Beyond that, a note says that messages are missing. */
const PAGES = 5;
/** How often the server is asked before a note says that messages are missing. */
const TRIES = 3;

export class ChatLog {
  /** Earlier messages, to be shown above or below all others. @type {(messages: Message[], where: "above"|"below") => void} */
  onPast = () => {};
  /** A new message. @type {(message: Message) => void} */
  onMessage = () => {};
  /** @type {(key: string) => void} */
  onRemoved = () => {};
  /** Messages are missing here, or the room has lost what was said. @type {(why: "missing"|"restarted") => void} */
  onGap = () => {};
  /** Whether there are older messages. @type {(more: boolean) => void} */
  onMore = () => {};

  /** How many ms to wait after a failure, up to twice as many. */
  pause = 1_000;

  #epoch = 0;
  /** How often ids have begun again. */ #era = 1;
  /** @type {Set<number>} */ #ids = new Set();
  #newest = 0;
  #oldest = 0;
  /** Messages that came while history was being loaded. @type {Message[]|null} */ #waiting = null;
  /** @type {NetConnection|null} */ #nc = null;
  #failed = 0;

  /** The key of a message on the page. @param {number} id */
  key(id) { return `${this.#era}-${id}`; }

  /**
   * Loads missing messages: the latest ones the first time, and later those that were
   * said while there was no connection.
   * @param {NetConnection} nc
   */
  async catchUp(nc) {
    this.#nc = nc;
    this.#waiting ??= [];
    try {
      if (this.#epoch === 0) await this.#begin(nc);
      else await this.#resume(nc);
      this.#failed = 0;
    } catch {
      if (nc !== this.#nc || !nc.connected) return; // the next connection tries again
      if (++this.#failed < TRIES) return void setTimeout(() => this.#again(nc), this.pause * (1 + Math.random()));
      this.#giveUp();
    }
    if (nc !== this.#nc) return;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const message of waiting) this.receive(message);
  }

  /** @param {NetConnection} nc */
  #again(nc) {
    if (nc === this.#nc && nc.connected) this.catchUp(nc);
  }

  /** Shows new messages, although some before them are missing. */
  #giveUp() {
    this.#failed = 0;
    const [first] = this.#waiting ?? [];
    if (!first || this.#newest === 0 || first.id <= this.#newest + 1) return;
    this.onGap("missing");
    this.#newest = first.id - 1;
  }

  /** @param {NetConnection} nc */
  async #begin(nc) {
    /** @type {Page} */ const page = await nc.request("history", { limit: PAGE });
    if (nc !== this.#nc) return;
    this.#epoch = page.epoch;
    this.#below(page.messages.filter(({ id }) => id > this.#newest));
    this.onMore(page.more);
  }

  /** @param {NetConnection} nc */
  async #resume(nc) {
    let after = Math.max(this.#oldest - 1, this.#newest - OVERLAP, 0);
    for (let i = 0; ; i++) {
      /** @type {Page} */ const page = await nc.request("history", { after, epoch: this.#epoch, limit: MOST });
      if (nc !== this.#nc) return;
      if (page.epoch !== this.#epoch || page.last < this.#newest) return this.#restart(nc);
      this.#forget(after, page);
      if (!page.complete && (page.messages[0]?.id ?? 0) > this.#newest + 1) this.onGap("missing");
      this.#below(page.messages.filter(({ id }) => id > this.#newest));
      if (!page.more) return;
      after = page.messages.at(-1)?.id ?? after;
      if (i === PAGES) return this.#skip(nc);
    }
  }

  /** The room counts from the beginning again. The page keeps its messages above a note about it. @param {NetConnection} nc */
  async #restart(nc) {
    if (this.#newest > 0) {
      this.#era++;
      this.onGap("restarted");
    }
    this.onMore(false);
    this.#reset();
    await this.#begin(nc);
  }

  /** Too many messages were missed, so only the latest ones are loaded. @param {NetConnection} nc */
  async #skip(nc) {
    /** @type {Page} */ const page = await nc.request("history", { limit: PAGE });
    if (nc !== this.#nc || page.epoch !== this.#epoch) return;
    const fresh = page.messages.filter(({ id }) => id > this.#newest);
    if (fresh.length > 0 && fresh[0].id > this.#newest + 1) this.onGap("missing");
    this.#below(fresh);
  }

  /** Removes the messages that were removed while we were away. @param {number} after @param {Page} page */
  #forget(after, page) {
    const kept = new Set(page.messages.map(({ id }) => id));
    const first = page.complete ? after + 1 : page.messages[0]?.id ?? Infinity;
    const last = page.more ? page.messages.at(-1)?.id ?? 0 : this.#newest;
    for (const id of this.#ids) if (id >= first && id <= last && !kept.has(id)) this.removed(id);
  }

  /** Loads a page of older messages. */
  async older() {
    const nc = this.#nc, epoch = this.#epoch;
    if (!nc?.connected || epoch === 0) return;
    /** @type {Page} */ const page = await nc.request("history", { before: this.#oldest, limit: PAGE });
    if (nc !== this.#nc || page.epoch !== epoch || epoch !== this.#epoch) return;
    const fresh = page.messages.filter(({ id }) => id < this.#oldest);
    for (const { id } of fresh) this.#ids.add(id);
    if (fresh.length > 0) this.#oldest = fresh[0].id;
    this.onPast(fresh, "above");
    this.onMore(page.more && fresh.length > 0);
  }

  /** @param {Message} message from the room */
  receive(message) {
    if (this.#waiting) this.#waiting.push(message);
    else if (message.id > this.#newest + 1 && this.#newest > 0 && this.#nc?.connected) {
      this.#waiting = [message]; // at least one is missing: ask for it
      this.catchUp(this.#nc);
    } else if (message.id > this.#newest) {
      this.#keep(message.id);
      this.onMessage(message);
    }
  }

  /** @param {number} id */
  removed(id) {
    this.#waiting = this.#waiting?.filter((message) => message.id !== id) ?? null;
    if (this.#ids.delete(id)) this.onRemoved(this.key(id));
  }

  /** The page has dropped all messages before one. They can be loaded again. @param {string} key */
  prunedTo(key) {
    const [era, id] = key.split("-").map(Number);
    if (era !== this.#era) return;
    for (const old of this.#ids) if (old < id) this.#ids.delete(old);
    this.#oldest = id;
    this.onMore(true);
  }

  /** @param {Message[]} messages */
  #below(messages) {
    for (const { id } of messages) this.#keep(id);
    if (messages.length > 0) this.onPast(messages, "below");
  }

  /** @param {number} id */
  #keep(id) {
    this.#ids.add(id);
    this.#newest = Math.max(this.#newest, id);
    this.#oldest = this.#oldest === 0 ? id : Math.min(this.#oldest, id);
  }

  #reset() {
    this.#ids.clear();
    this.#epoch = this.#newest = this.#oldest = 0;
  }
}
