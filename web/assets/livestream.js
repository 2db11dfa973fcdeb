// @ts-check
// The pictures of a room as they come over /ws/live: a socket that comes back
// by itself. Knows no page.
//
//   const live = new LiveStream("blue", "main");
//   live.onInit = (mime) => …; live.onData = (bytes) => …;
//   live.start();

import { address } from "./netconnection.js";
import { Backoff } from "./reconnect.js";

/**
 * The states of a stream:
 * - connecting: asked for, nothing heard yet
 * - waiting: nobody publishes it; the server will say when somebody does
 * - flowing: the init segment and pictures have come
 * - lost: the connection is gone, and the next attempt is near
 * - unsupported: it cannot be turned into MP4
 * - refused: we may not watch, and do not ask again
 * @typedef {"connecting"|"waiting"|"flowing"|"lost"|"unsupported"|"refused"|"stopped"} Flow
 */

/** If a stream that has flowed sends nothing for so many ms, its connection is dead. */
const SILENCE = 5_000;

/** The close code of a server that does not let us watch (RFC 6455 §7.4.1, policy violation). */
const REFUSED = 1008;
/** Close codes whose reason says when to come back, in ms. */
const RESTART = new Set([1012, 1013]);

export class LiveStream {
  /** The stream begins again: the next data is the init segment. @type {(mime: string) => void} */
  onInit = () => {};
  /** The init segment, or a fragment. @type {(bytes: ArrayBuffer) => void} */
  onData = () => {};
  /** The state has changed; detail is the codec, or the reason, in words. @type {(flow: Flow, detail: string) => void} */
  onFlow = () => {};

  /** @type {Flow} */ flow = "stopped";
  /** The codec or reason that belongs to flow. */
  detail = "";

  #patient = false;

  /** @type {WebSocket|null} */ #socket = null;
  #backoff;
  #retry = /** @type {any} */ (0);
  #check = /** @type {any} */ (0);
  #heard = 0;
  /** The last status before the server closed. */
  #farewell = "";

  /**
   * @param {string} room
   * @param {string} stream
   * @param {{backoff?: Backoff, url?: string}} [options]
   */
  constructor(room, stream, { backoff = new Backoff(), url } = {}) {
    this.url = url ?? address(`live/${encodeURIComponent(room)}/${encodeURIComponent(stream)}`);
    this.#backoff = backoff;
  }

  /** Asks for the stream from its last key frame on, and forgets everything before. */
  start() {
    this.#drop();
    this.#tell("connecting");
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#heard = Date.now();
    this.#farewell = "";
    socket.onmessage = ({ data }) => { if (socket === this.#socket) this.#receive(data); };
    socket.onclose = (event) => { if (socket === this.#socket) this.#ended(event); };
    this.#check = setInterval(() => this.#listen(), SILENCE / 5);
  }

  /** Whether the publisher is known to be away, so that nothing is expected. */
  get patient() { return this.#patient; }
  set patient(on) {
    this.#patient = on;
    this.#heard = Date.now();
  }

  /** Tries now instead of later, if the connection is lost. */
  hurry() { if (this.flow === "lost") this.start(); }

  /** The data could not be used: asks again, after a while. @param {string} why */
  again(why) {
    this.#drop();
    this.#later(0, why);
  }

  stop() {
    this.#drop();
    this.#tell("stopped");
  }

  /** @param {any} data */
  #receive(data) {
    this.#heard = Date.now();
    if (typeof data !== "string") {
      if (this.flow === "flowing") this.onData(data);
      return;
    }
    const frame = JSON.parse(data);
    if (frame.type === "init") {
      this.#backoff.up();
      this.#tell("flowing");
      this.onInit(String(frame.mime));
    } else if (frame.type === "end") this.#tell("waiting");
    else if (frame.type === "unsupported") this.#tell("unsupported", String(frame.codec ?? ""));
    else if (frame.type === "status") this.#farewell = frame.info?.description || frame.info?.code || "";
  }

  /** @param {CloseEvent} event */
  #ended(event) {
    this.#drop();
    if (event.code === REFUSED && this.#farewell) return this.#tell("refused", this.#farewell);
    this.#later(RESTART.has(event.code) ? Number(event.reason) || 0 : 0, event.reason);
  }

  /** @param {number} hint @param {string} why */
  #later(hint, why) {
    this.#retry = setTimeout(() => this.start(), this.#backoff.down(hint));
    this.#tell("lost", why);
  }

  /** While the publisher is away, silence is all right. */
  #listen() {
    const waits = this.#patient || this.flow === "waiting" || this.flow === "unsupported" || this.flow === "refused";
    if (!waits && Date.now() - this.#heard > SILENCE) this.again("No pictures have come for a while.");
  }

  /** @param {Flow} flow */
  #tell(flow, detail = "") {
    if (this.flow === flow && this.detail === detail) return;
    this.flow = flow;
    this.detail = detail;
    this.onFlow(flow, detail);
  }

  #drop() {
    clearTimeout(this.#retry);
    clearInterval(this.#check);
    const socket = this.#socket;
    this.#socket = null;
    // a socket that is closed before it is open would write to the console
    if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket?.close();
  }
}
