// @ts-check
// The dialog with all that people can do about a message or a person.

import { explain } from "./netconnection.js";
import { copyText } from "./clipboard.js";

/** @typedef {{nick: string, text?: string, message?: number}} Subject message: its id */

export class Menu {
  /** Calls a method of the room. @type {(method: string, ...args: any[]) => Promise<any>} */
  ask = async () => {};
  /** @type {(nick: string) => void} */
  onMention = () => {};
  /** Something was done and should be said. @type {(text: string) => void} */
  onDone = () => {};

  /** @type {Subject} */ #subject = { nick: "" };
  /** The element that gets the focus back. @type {Element|null} */ #from = null;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    /** @param {string} selector @returns {any} */
    const part = (selector) => dialog.querySelector(selector);
    this.dialog = dialog;
    this.title = part("h2");
    this.quote = part("blockquote");
    this.plain = part(".menu-plain");
    this.moderation = part(".menu-mod");
    this.reason = part("[name=reason]");
    this.seconds = part("[name=seconds]");
    this.error = part(".error");
    dialog.addEventListener("click", (event) => {
      const action = /** @type {HTMLElement} */ (event.target).closest("[data-do]");
      if (event.target === dialog) dialog.close();
      else if (action) this.#do(/** @type {HTMLElement} */ (action).dataset.do ?? "");
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === this.reason) event.preventDefault();
    });
    dialog.addEventListener("close", () => {
      if (this.#from instanceof HTMLElement && this.#from.isConnected) this.#from.focus();
    });
  }

  /** @param {Subject} subject @param {{joined: boolean, moderator: boolean}} we */
  open(subject, we) {
    this.#subject = subject;
    this.#from = document.activeElement;
    this.title.textContent = subject.nick;
    this.quote.textContent = subject.text ?? "";
    this.error.textContent = "";
    this.reason.value = "";
    this.plain.querySelector("[data-do=mention]").hidden = !we.joined;
    this.plain.querySelector("[data-do=copy]").hidden = subject.text === undefined;
    this.moderation.hidden = !we.moderator;
    this.moderation.querySelector("[data-do=remove]").parentElement.hidden = subject.message === undefined;
    this.dialog.showModal();
  }

  /** @param {string} what */
  async #do(what) {
    const { nick, text = "", message } = this.#subject;
    const reason = this.reason.value.trim(), seconds = Number(this.seconds.value);
    /** @type {Record<string, () => any>} */
    const actions = {
      mention: () => { this.#from = null; this.onMention(nick); },
      copy: () => copyText(text, this.quote),
      remove: () => this.ask("remove", message),
      mute: () => this.ask("mute", nick, seconds),
      kick: () => this.ask("kick", nick, reason),
      ban: () => this.ask("ban", nick, seconds, reason),
    };
    try {
      await actions[what]();
      this.dialog.close();
      if (what === "mention") this.onMention("");
      if (what === "copy") this.onDone("Copied");
    } catch (err) {
      this.error.textContent = explain(err);
    }
  }
}
