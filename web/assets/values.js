// @ts-check
// Values as JavaScript has them and as frames of the bridge carry them, and calls by
// name.

/**
 * An information object: what the server says about a connection or a call.
 * @typedef {{level: string, code: string, description?: string,
 *   application?: {reason?: string, retryAfter?: number, perhaps?: boolean}}} Info
 */

/** The error with which a request fails. Its info is the server's status. */
export class StatusError extends Error {
  /** @param {Info} info */
  constructor(info) {
    super(info.description || info.code);
    this.name = "StatusError";
    this.info = info;
  }
}

/** The answer to people who want something of the server without a connection. */
export const NO_CONNECTION = "There is no connection right now.";

/** Says why a request failed. @param {any} err */
export function explain(err) {
  return err instanceof StatusError ? err.info.application?.reason || err.message : String(err);
}

/**
 * Turns a value into one that JSON can carry: dates and bytes get their marks.
 * @param {any} value
 * @returns {any}
 */
export function encode(value) {
  if (value === undefined || value === null) return null;
  if (typeof value !== "object") return value;
  if (value instanceof Date) return { $date: value.getTime() };
  if (value instanceof Uint8Array) return { $bytes: btoa(Array.from(value, (b) => String.fromCharCode(b)).join("")) };
  if (Array.isArray(value)) return value.map(encode);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, encode(part)]));
}

/**
 * The reverse of encode, in place. A typed object keeps its $class.
 * @param {any} value what JSON.parse made
 * @returns {any}
 */
export function decode(value) {
  if (value === null || typeof value !== "object") return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && typeof value.$date === "number") return new Date(value.$date);
  if (keys.length === 1 && typeof value.$bytes === "string") {
    return Uint8Array.from(atob(value.$bytes), (c) => c.charCodeAt(0));
  }
  for (const key of keys) value[key] = decode(value[key]);
  return value;
}

/**
 * Calls a method that the other side has named, unless every object has it.
 * @param {any} target
 * @param {string} method
 * @param {any[]} args
 */
export function invoke(target, method, args) {
  if (method in Object.prototype || typeof target?.[method] !== "function") {
    throw new StatusError(callFailed(`Method not found (${method}).`));
  }
  return target[method](...args);
}

/** @param {string} description @returns {Info} */
export const callFailed = (description) => ({ level: "error", code: "NetConnection.Call.Failed", description });
