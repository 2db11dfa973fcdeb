// @ts-check
// SharedObject as Flash programmers know it.

import { StatusError, decode, encode, invoke } from "./values.js";

/**
 * @typedef {import("./values.js").Info} Info
 * @typedef {import("./netconnection.js").NetConnection} NetConnection
 *
 * One entry of the list that onSync gets.
 * @typedef {{code: "clear"|"change"|"reject"|"success"|"delete", name?: string, oldValue?: any}} Sync
 */

/** @param {string} name @param {boolean} persistent */
export const objectKey = (name, persistent) => `${persistent ? "p" : "t"}/${name}`;

/** Statuses that refuse a use; any other status answers a change. */
const refusedUse = new Set(["NoReadAccess", "BadPersistence", "ObjectCreationFailed"].map((why) => `SharedObject.${why}`));

/** A remote shared object: slots that all its users see. */
export class SharedObject {
  /** @type {Map<string, SharedObject>} */ static #known = new Map();

  /** The slots. Read them here, and write them with setProperty. @type {Record<string, any>} */
  data = Object.create(null);
  /** The latest version that we have. After a new connection we ask only for the difference. */
  version = 0;
  /** The methods that others call by send, by name. @type {any} */
  client = {};
  /** @type {(list: Sync[]) => void} */
  onSync = () => {};
  /** @type {(info: Info) => void} */
  onStatus = () => {};

  /** @type {NetConnection|null} */ #nc = null;
  /** Slots that were set here and have not been answered, in order. @type {Map<string, {tried: any, before: any}>} */ #asked = new Map();

  /** @param {string} name @param {boolean} persistent */
  constructor(name, persistent) {
    this.name = name;
    this.persistent = persistent;
  }

  /**
   * Returns the remote shared object of that name, the same one for the same address.
   * @param {string} name
   * @param {NetConnection|string} where a connection or its uri
   * @param {boolean} [persistence]
   */
  static getRemote(name, where, persistence = false) {
    const key = `${typeof where === "string" ? where : where.uri} ${objectKey(name, persistence)}`;
    const object = this.#known.get(key) ?? new SharedObject(name, persistence);
    this.#known.set(key, object);
    return object;
  }

  /**
   * Starts to use the object over a connection that is up. With another connection
   * later, the object keeps what it has and is brought up to date.
   * @param {NetConnection} nc
   */
  connect(nc) {
    this.#nc = nc;
    this.#asked.clear();
    nc.attach(objectKey(this.name, this.persistent), this);
    this.#request({ event: "use" });
  }

  /** @param {string} slot @param {any} [value] null removes the slot */
  setProperty(slot, value = null) {
    this.#asked.delete(slot);
    this.#asked.set(slot, { tried: value, before: this.data[slot] });
    this.#keep(slot, value);
    this.#request(value === null ? { event: "requestRemove", slot } : { event: "requestChange", slot, value: encode(value) });
  }

  /** Calls a method of all users' clients, ours too. @param {string} method @param {...any} args */
  send(method, ...args) { this.#request({ event: "send", method, args: encode(args) }); }

  /** Stops using the object. */
  close() {
    this.#request({ event: "release" });
    this.#nc?.attach(objectKey(this.name, this.persistent), null);
    this.#nc = null;
  }

  /** @param {any} frame what the server sent about this object */
  apply(frame) {
    this.version = frame.version;
    const list = /** @type {Sync[]} */ (frame.events.flatMap((/** @type {any} */ event) => this.#event(event)));
    if (list.length > 0) this.onSync(list);
  }

  /** @param {any} event @returns {Sync[]} */
  #event({ event, slot, value, method, args, code, level }) {
    const asked = this.#asked.get(slot);
    const oldValue = asked ? asked.tried : this.data[slot];
    switch (event) {
      case "clear":
        this.data = Object.create(null);
        return [{ code: "clear" }];
      case "change":
        this.#asked.delete(slot);
        this.#keep(slot, decode(value));
        return [{ code: asked ? "reject" : "change", name: slot, oldValue }];
      case "success":
        this.#asked.delete(slot);
        return [{ code: "success", name: slot }];
      case "remove":
        this.#asked.delete(slot);
        this.#keep(slot, null);
        return [{ code: "delete", name: slot, oldValue }];
      case "send":
        try { invoke(this.client, method, decode(args ?? [])); } catch (err) { if (!(err instanceof StatusError)) console.error(err); }
        return [];
      case "status":
        if (!refusedUse.has(code)) this.#refused(slot);
        this.onStatus({ level, code });
    }
    return [];
  }

  /** Takes back a change that was refused. Answers come in order. @param {string} [slot] */
  #refused(slot = this.#asked.keys().next().value) {
    const asked = slot === undefined ? undefined : this.#asked.get(slot);
    if (slot === undefined || !asked) return;
    this.#asked.delete(slot);
    this.#keep(slot, asked.before);
  }

  /** @param {string} slot @param {any} value */
  #keep(slot, value) {
    if (value === null || value === undefined) delete this.data[slot];
    else this.data[slot] = value;
  }

  /** @param {object} event */
  #request(event) {
    this.#nc?.send({ type: "so", name: this.name, persistent: this.persistent, version: this.version, events: [event] });
  }
}
