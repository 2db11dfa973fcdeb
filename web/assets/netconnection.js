// @ts-check
// NetConnection and SharedObject as Flash programmers know them, over the
// WebSocket bridge. Nothing here knows of a page: it works in a worker, too.
//
//   const nc = new NetConnection();
//   nc.onStatus = (info) => {
//     if (info.code === "NetConnection.Connect.Success") nc.call("say", null, "hello");
//   };
//   nc.client = { message: (msg) => console.log(msg.text) };
//   nc.connect("room/blue", "ann");

import { objectKey } from "./sharedobject.js";
import { StatusError, callFailed, decode, encode, invoke } from "./values.js";

export { SharedObject } from "./sharedobject.js";
export { NO_CONNECTION, StatusError, decode, encode, explain } from "./values.js";

/**
 * @typedef {import("./values.js").Info} Info
 * @typedef {import("./sharedobject.js").SharedObject} SharedObject
 *
 * The responder of a call: a function, or an object with onResult and onStatus.
 * @typedef {{onResult?: (value: any) => void, onStatus?: (info: Info) => void}} Answers
 * @typedef {((value: any) => void) | Answers} Responder
 */

/**
 * The WebSocket address of an instance: "room/blue" is on the server from which this
 * module came.
 * @param {string} uri
 */
export function address(uri) {
  const url = /^wss?:/.test(uri) ? new URL(uri) : new URL(`../ws/${uri.replace(/^\/?(ws\/)?/, "")}`, import.meta.url);
  if (url.protocol !== "ws:" && url.protocol !== "wss:") url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** Close codes whose reason says when to come back, in ms (RFC 6455 §7.4, IANA: service restart, try again later). */
const RESTART = new Set([1012, 1013]);

/** The server asks us to connect again: it restarts, or wants us elsewhere (Enhanced RTMP v2). */
export const RECONNECT = "NetConnection.Connect.ReconnectRequest";
/** The flag in capsEx of a client that understands this. */
const CAN_RECONNECT = 1;

/** A connection to an instance of an application. */
export class NetConnection {
  /** The methods that the server may call, by name. @type {any} */
  client = {};
  /** @type {(info: Info) => void} */
  onStatus = () => {};
  /** Whether onStatus acts on NetConnection.Connect.ReconnectRequest. Set it before connect, and the server will ask. */
  reconnects = false;
  /** The address given to connect. */
  uri = "";
  /** When the last frame came, as Date.now(). */
  heard = 0;

  /** @type {WebSocket|null} */ #socket = null;
  #connected = false;
  #last = 0;
  /** @type {Map<number, Answers>} */ #calls = new Map();
  /** @type {Map<string, SharedObject>} */ #objects = new Map();
  /** The last status before the socket closes. @type {Info|null} */ #farewell = null;

  get connected() { return this.#connected; }
  get isConnected() { return this.#connected; }

  /**
   * Connects. onStatus hears the result, NetConnection.Connect.Success, .Rejected or
   * .Failed, and later .Closed.
   * @param {string} uri
   * @param {...any} args the user arguments, for onConnect of the application
   */
  connect(uri, ...args) {
    this.close();
    this.uri = uri;
    this.#farewell = null;
    const socket = new WebSocket(address(uri));
    this.#socket = socket;
    socket.onopen = () => this.#write({ type: "connect", args: encode(args), ...(this.reconnects && { capsEx: CAN_RECONNECT }) });
    socket.onmessage = ({ data }) => { if (socket === this.#socket) this.#receive(data); };
    socket.onclose = (event) => { if (socket === this.#socket) this.#ended(event); };
  }

  /**
   * Calls a method of the instance. Without a responder, no answer is wanted.
   * @param {string} method
   * @param {Responder|null} [responder]
   * @param {...any} args
   */
  call(method, responder, ...args) {
    const wants = typeof responder === "function" ? { onResult: responder } : responder;
    if (!this.#connected) return wants?.onStatus?.(callFailed("Not connected."));
    if (!wants) return this.#write({ type: "call", method, args: encode(args) });
    this.#calls.set(++this.#last, wants);
    this.#write({ type: "call", id: this.#last, method, args: encode(args) });
  }

  /**
   * Calls a method of the instance and waits for the answer.
   * @param {string} method
   * @param {...any} args
   * @returns {Promise<any>} fails with a StatusError
   */
  request(method, ...args) {
    return new Promise((resolve, reject) => {
      this.call(method, { onResult: resolve, onStatus: (info) => reject(new StatusError(info)) }, ...args);
    });
  }

  /** Ends the connection. If there was one, onStatus hears NetConnection.Connect.Closed. */
  close() {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = null;
    socket.close(1000);
    this.#ended(null);
  }

  /** @param {string} name @param {SharedObject|null} object null detaches it */
  attach(name, object) {
    if (object) this.#objects.set(name, object);
    else this.#objects.delete(name);
  }

  /** @param {object} frame */
  send(frame) { if (this.#connected) this.#write(frame); }

  /** @param {object} frame */
  #write(frame) { this.#socket?.send(JSON.stringify(frame)); }

  /** @param {any} data */
  #receive(data) {
    this.heard = Date.now();
    const frame = JSON.parse(data);
    if (frame.type === "status") this.#status(frame.info);
    else if (frame.type === "so") this.#objects.get(objectKey(frame.name, frame.persistent))?.apply(frame);
    else if (frame.type === "call") this.#serve(frame);
    else if (frame.type === "result" || frame.type === "error") this.#answered(frame);
  }

  /** @param {Info} info */
  #status(info) {
    if (info.code === "NetConnection.Connect.Success") this.#connected = true;
    else if (info.code.startsWith("NetConnection.Connect.") && info.code !== RECONNECT) {
      // The socket closes after it, so it is told only once. A rejection is told
      // at once.
      this.#farewell = info;
      if (this.#connected) return;
    }
    this.onStatus(info);
  }

  /** @param {any} frame */
  #answered({ id, type, value, info }) {
    const responder = this.#calls.get(id);
    this.#calls.delete(id);
    if (type === "result") responder?.onResult?.(decode(value));
    else if (responder?.onStatus) responder.onStatus(info);
    else if (responder) this.onStatus(info);
  }

  /** @param {any} frame */
  async #serve({ id, method, args }) {
    try {
      const value = await invoke(this.client, method, decode(args ?? []));
      if (id !== undefined) this.#write({ type: "result", id, value: encode(value) });
    } catch (err) {
      if (!(err instanceof StatusError)) console.error(err);
      if (id === undefined) return;
      this.#write({ type: "error", id, info: err instanceof StatusError ? err.info : callFailed("") });
    }
  }

  /** @param {CloseEvent|null} event null when this side closed */
  #ended(event) {
    const was = this.#connected;
    this.#socket = null;
    this.#connected = false;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#objects.clear();
    for (const responder of calls) responder.onStatus?.(callFailed("Connection closed."));
    const retry = event && RESTART.has(event.code) && Number(event.reason);
    const hint = retry ? { application: { retryAfter: retry } } : {};
    const farewell = this.#farewell ?? { level: "status", code: "NetConnection.Connect.Closed", description: event?.reason };
    if (was) this.onStatus({ ...farewell, ...hint });
    else if (event && !this.#farewell) {
      this.onStatus({ level: "error", code: "NetConnection.Connect.Failed", description: event.reason, ...hint });
    }
  }
}
