// @ts-check
// The settings of a room that moderators change: title, topic, slow mode, history, lock,
// recording. A moderator can also send everybody to another room.

import { explain } from "./netconnection.js";

/** The fields of a form. @param {HTMLElement} form @returns {HTMLInputElement[]} */
const inputs = (form) => [...form.querySelectorAll("input")];

export class Settings {
  /** Calls a method of the room. @type {(method: string, ...args: any[]) => Promise<any>} */
  ask = async () => {};

  #locked = false;
  #recording = false;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.lock = /** @type {HTMLElement} */ (root.querySelector(".lock-switch"));
    this.record = /** @type {HTMLElement} */ (root.querySelector(".record-switch"));
    this.error = /** @type {HTMLElement} */ (root.querySelector(".error"));
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      const form = /** @type {HTMLFormElement} */ (event.target);
      const values = inputs(form).map(({ value, type }) => type === "number" ? Number(value) : value);
      this.#set(form.dataset.method ?? "", ...values);
    });
    this.lock.addEventListener("click", () => this.#set("lock", !this.#locked));
    this.record.addEventListener("click", () => this.#set("record", !this.#recording));
  }

  /**
   * Shows the settings, but not in a form in which somebody is typing.
   * @param {{title: string, topic: string, slow: number, keep: {count: number, days: number}, locked: boolean, recording?: boolean}} state
   *   recording: missing where nothing can be recorded
   */
  update({ locked, recording, keep, ...texts }) {
    for (const [method, ...values] of [["keep", keep.count, keep.days], ...Object.entries(texts)]) {
      const form = /** @type {HTMLElement} */ (this.root.querySelector(`[data-method=${method}]`));
      if (!inputs(form).includes(/** @type {any} */ (document.activeElement))) inputs(form).forEach((input, i) => { input.value = String(values[i]); });
    }
    this.#locked = locked;
    this.lock.setAttribute("aria-pressed", String(locked));
    this.#recording = recording === true;
    this.record.hidden = recording === undefined;
    this.record.setAttribute("aria-pressed", String(this.#recording));
  }

  /** @param {string} method @param {...any} values */
  async #set(method, ...values) {
    this.error.textContent = "";
    try {
      await this.ask(method, ...values);
    } catch (err) {
      this.error.textContent = explain(err);
    }
  }
}
