// @ts-check
// What a moderator sets: title, topic, slow mode, lock; and sending people elsewhere.

import { explain } from "./netconnection.js";

export class Panel {
  /** Calls a method of the room. @type {(method: string, ...args: any[]) => Promise<any>} */
  ask = async () => {};

  #locked = false;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.lock = /** @type {HTMLElement} */ (root.querySelector(".lock-switch"));
    this.error = /** @type {HTMLElement} */ (root.querySelector(".error"));
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      const form = /** @type {HTMLFormElement} */ (event.target);
      const { value, type } = /** @type {HTMLInputElement} */ (form.elements.namedItem("value"));
      this.#set(form.dataset.method ?? "", type === "number" ? Number(value) : value);
    });
    this.lock.addEventListener("click", () => this.#set("lock", !this.#locked));
  }

  /** Shows what is set, but not where somebody is typing. @param {{title: string, topic: string, slow: number, locked: boolean}} state */
  update({ locked, ...texts }) {
    for (const [method, value] of Object.entries(texts)) {
      const input = /** @type {HTMLInputElement} */ (this.root.querySelector(`[data-method=${method}] input`));
      if (input !== document.activeElement) input.value = String(value);
    }
    this.#locked = locked;
    this.lock.setAttribute("aria-pressed", String(locked));
  }

  /** @param {string} method @param {any} value */
  async #set(method, value) {
    this.error.textContent = "";
    try {
      await this.ask(method, value);
    } catch (err) {
      this.error.textContent = explain(err);
    }
  }
}
