// @ts-check
// A connection that comes back by itself. Knows no page.

import { NO_CONNECTION, NetConnection, RECONNECT, StatusError } from "./netconnection.js";

/** @typedef {import("./netconnection.js").Info} Info */

/** The time before the next attempt: random, below a growing ceiling. */
export class Backoff {
  #attempt = 0;
  #up = NaN;

  /** @param {{first?: number, most?: number, stable?: number, random?: () => number, now?: () => number}} [options] ms */
  constructor({ first = 500, most = 20_000, stable = 10_000, random = Math.random, now = Date.now } = {}) {
    this.first = first;
    this.most = most;
    this.stable = stable;
    this.random = random;
    this.now = now;
  }

  /** The connection is up. That counts only after it has lasted. */
  up() { this.#up = this.now(); }

  /**
   * The connection is down, or never came up.
   * @param {number} [hint] how long the server asked us to wait, in ms
   * @returns {number} how long to wait, in ms
   */
  down(hint = 0) {
    if (this.now() - this.#up >= this.stable) this.#attempt = 0;
    this.#up = NaN;
    const ceiling = Math.min(this.most, this.first * 2 ** this.#attempt);
    this.#attempt += 1;
    return hint + this.random() * ceiling;
  }
}

/** Whether a status says that the server restarts and asks us to come back. @param {Info} info */
export const restarts = ({ code }) => code === RECONNECT || code === "NetConnection.Connect.AppShutdown";

/**
 * Asks the server why its WebSockets do not open for this page. A browser does not tell that to a script.
 * @returns {Promise<string>} in words for people; "" when the server does not know
 */
async function whyUnreachable() {
  try {
    const url = new URL(`../api/v1/reach?origin=${encodeURIComponent(location.origin)}`, import.meta.url);
    const answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    const { why, detail } = await answer.json();
    return String((answer.ok ? why : answer.status === 429 && detail) || "");
  } catch {
    return "";
  }
}

/** After so many ms of silence, the other side is asked for a sign of life. */
const QUIET = 20_000;
/** How many ms that may take, or an attempt to connect. */
const PATIENCE = 10_000;

/**
 * Keeps a NetConnection to one instance. It connects, notices silence, comes back after
 * a loss, and changes who we are without a gap.
 */
export class Link {
  /** @type {NetConnection|null} */ nc = null;
  /** A connection is up and can be used. @type {(nc: NetConnection) => void} */
  onUp = () => {};
  /** The connection is lost; the next attempt is in so many ms. @type {(info: Info, wait: number) => void} */
  onDown = () => {};
  /** The connection has ended for good: the server refused us or sent us away. @type {(info: Info) => void} */
  onEnd = () => {};

  /** Why there has never been a connection, in words for people; "" when that is not known. */
  why = "";

  #backoff = new Backoff();
  #wasUp = false;
  #retry = /** @type {any} */ (0);
  #check = /** @type {any} */ (0);
  /** @type {any[]} */ #args = [];

  /** @param {string} uri @param {any} client what the server may call */
  constructor(uri, client = {}) {
    this.uri = uri;
    this.client = client;
    addEventListener("online", () => this.hurry());
  }

  get up() { return this.nc?.connected ?? false; }

  /** Connects, and does so again after each loss. @param {...any} args */
  start(...args) {
    this.#args = args;
    this.#attempt();
  }

  /** Tries now instead of later, if it is waiting. Otherwise it asks for a sign of life. */
  hurry() {
    if (this.#retry) this.#attempt();
    else if (this.up) this.#probe();
  }

  /**
   * Connects with other arguments. The old connection stays until the new one is
   * accepted.
   * @param {...any} args
   * @returns {Promise<Info|null>} null when accepted, else why not
   */
  become(...args) {
    return new Promise((resolve) => {
      const next = this.#open(args, (info) => {
        if (info.code !== "NetConnection.Connect.Success") return resolve(info);
        this.#args = args;
        this.#drop();
        this.#adopt(next);
        resolve(null);
      });
    });
  }

  /**
   * Calls a method of the instance and waits for the answer.
   * @param {string} method
   * @param {...any} args
   */
  async request(method, ...args) {
    if (this.nc?.connected) return this.nc.request(method, ...args);
    throw new StatusError({ level: "error", code: "NetConnection.Call.Failed", description: NO_CONNECTION });
  }

  /** Sets the arguments for the next time that it connects. @param {...any} args */
  remember(...args) { this.#args = args; }

  /** Ends the connection for good. */
  stop() { this.#drop(); }

  #attempt() {
    this.#drop();
    const nc = this.#open(this.#args, (info) => {
      if (info.code === "NetConnection.Connect.Success") this.#adopt(nc);
      else this.#lost(info);
    });
    this.nc = nc;
  }

  /** @param {any[]} args @param {(info: Info) => void} settled */
  #open(args, settled) {
    const nc = new NetConnection();
    nc.client = this.client;
    nc.reconnects = true;
    const late = setTimeout(() => finish({ level: "error", code: "NetConnection.Connect.Failed", description: "No answer." }), PATIENCE);
    /** @param {Info} info */
    const finish = (info) => {
      clearTimeout(late);
      nc.onStatus = () => {};
      if (info.code !== "NetConnection.Connect.Success") nc.close();
      settled(info);
    };
    nc.onStatus = finish;
    nc.connect(this.uri, ...args);
    return nc;
  }

  /** @param {NetConnection} nc */
  #adopt(nc) {
    this.nc = nc;
    this.#wasUp = true;
    this.why = "";
    nc.onStatus = (info) => {
      if (nc === this.nc && (info.code === RECONNECT || !nc.connected)) this.#lost(info);
    };
    this.#backoff.up();
    this.#check = setInterval(() => {
      if (Date.now() - nc.heard > QUIET) this.#probe();
    }, QUIET / 4);
    this.onUp(nc);
  }

  /** Any answer is a sign of life, even an error. */
  #probe() {
    const nc = this.nc;
    const asked = Date.now();
    nc?.request("FCPing").catch(() => {});
    setTimeout(() => { if (nc === this.nc && nc && nc.connected && nc.heard < asked) nc.close(); }, PATIENCE);
  }

  /** @param {Info} info */
  #lost(info) {
    this.#drop();
    if (info.code === "NetConnection.Connect.Rejected") return this.onEnd(info);
    let hint = info.application?.retryAfter ?? 0;
    if (info.code === RECONNECT) hint *= 1 + Math.random(); // all clients are asked at once
    const wait = this.#backoff.down(hint);
    this.#retry = setTimeout(() => this.#attempt(), wait);
    if (this.#wasUp) this.onDown(info, wait);
    else this.#explain(info, wait);
  }

  /** @param {Info} info @param {number} wait */
  async #explain(info, wait) {
    const why = await whyUnreachable();
    if (this.#wasUp) return;
    this.why = why;
    this.onDown(info, wait);
  }

  #drop() {
    clearTimeout(this.#retry);
    clearInterval(this.#check);
    this.#retry = 0;
    const nc = this.nc;
    this.nc = null;
    if (nc) {
      nc.onStatus = () => {};
      nc.close();
    }
  }
}
