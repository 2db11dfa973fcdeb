// @ts-check
// The box for writing messages. A message that the room refuses comes back into it.

import { StatusError } from "./netconnection.js";

/** A wait longer than this, in ms, may end before its time, so people may try earlier. */
const LONG = 60_000;

export class Composer {
  /** Says it. Fails with a StatusError. @type {(text: string) => Promise<any>} */
  say = async () => {};

  #until = 0;
  #timer = /** @type {any} */ (0);
  /** A message that the room may or may not have, because the connection broke or the store did not answer. */
  #doubtful = "";
  /** Text that came back and has not been edited since. */
  #back = "";

  /** @param {HTMLFormElement} form */
  constructor(form) {
    /** @param {string} selector @returns {any} */
    const part = (selector) => form.querySelector(selector);
    this.form = form;
    this.box = /** @type {HTMLTextAreaElement} */ (part("textarea"));
    this.button = part("button.main");
    this.error = part("#say-error");
    this.hint = part("#say-hint");
    this.countdown = part(".countdown");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.box.addEventListener("input", () => {
      this.#back = "";
      if (this.#until === 0) this.#complain("");
    });
  }

  /** @param {string} nick */
  mention(nick) {
    this.box.value = `${this.box.value}${this.box.value && !/\s$/.test(this.box.value) ? " " : ""}${nick}: `;
    this.box.focus();
  }

  /** @param {number} seconds between two messages; 0: not slowed */
  slow(seconds) { this.hint.textContent = seconds > 0 ? `Slow mode: one message every ${seconds} s` : ""; }

  /** We have received our own message, so it need not stay in the box. @param {string} text */
  heard(text) {
    if (this.#doubtful === "" || text.trim() !== this.#doubtful) return;
    this.#doubtful = "";
    if (this.box.value.trim() === text.trim()) this.box.value = "";
    this.#complain("");
  }

  /** A reason does not hold any more. @param {string} why */
  forgive(why) { if (this.error.textContent === why) this.#complain(""); }

  async #send() {
    const text = this.box.value.trim();
    if (text === "" || this.button.getAttribute("aria-disabled") === "true") return;
    this.box.value = this.#back = "";
    this.#complain("");
    try {
      await this.say(text);
    } catch (err) {
      this.#returned(text, /** @type {StatusError} */ (err));
    }
  }

  /** @param {string} text @param {StatusError} err */
  #returned(text, err) {
    // Text that came back earlier stays on top, and text typed meanwhile goes below.
    const rest = this.box.value.slice(this.#back.length).replace(/^\n/, "");
    this.#back = this.#back ? `${this.#back}\n${text}` : text;
    this.box.value = rest ? `${this.#back}\n${rest}` : this.#back;
    const { application, description } = err.info ?? {};
    if (description === "Connection closed.") {
      this.#doubtful = text;
      this.#complain("The connection broke before the room confirmed this message. Check whether it is in the chat before you send it again.");
      return;
    }
    if (application?.perhaps) this.#doubtful = text;
    this.#complain(application?.reason || description || "The room did not accept this message.");
    if (application?.retryAfter) this.#wait(application.retryAfter);
  }

  /** @param {string} why */
  #complain(why) {
    this.error.textContent = why;
    if (why) this.box.setAttribute("aria-invalid", "true");
    else this.box.removeAttribute("aria-invalid");
  }

  /** Counts down. The seconds are seen but not read out. @param {number} ms */
  #wait(ms) {
    this.#until = Date.now() + ms;
    clearInterval(this.#timer);
    const tick = () => {
      const left = Math.ceil((this.#until - Date.now()) / 1000);
      this.countdown.textContent = left > 0 ? `again in ${left < 100 ? `${left} s` : `${Math.ceil(left / 60)} min`}` : "";
      this.button.setAttribute("aria-disabled", String(left > 0 && ms <= LONG));
      if (left > 0) return;
      clearInterval(this.#timer);
      this.#until = 0;
      this.#complain("");
    };
    this.#timer = setInterval(tick, 200);
    tick();
  }
}
