// @ts-check
// The box for writing messages. A message that the room refuses comes back into it. One
// that was on its way when the connection broke is sent again by itself, under its key,
// so that the room says it once.

import { randomHex } from "./identity.js";
import { NO_CONNECTION, StatusError } from "./netconnection.js";
import { inWords } from "./words.js";

/** A wait longer than this, in ms, may end before its time, so people may try earlier. */
const LONG = 60_000;
/** For so long, in ms, a message may be sent again by itself: a room knows keys for ten minutes. */
const KNOWN = 9 * 60_000;
/** How often a message is sent again when the room could not tell whether it has stored it. */
const TRIES = 3;
const LATE = "This message may have arrived. Check the chat before you say it again.";

/**
 * A message without an answer. waiting: it is sent when there is a connection.
 * unsure: the room may have it. heard: it came back as everybody's message.
 * @typedef {{text: string, key: string, at: number, tries: number, waiting: boolean, unsure: boolean, heard: boolean}} Sent
 */

export class Composer {
  /** Says it, once for each key. Fails with a StatusError. @type {(text: string, key: string) => Promise<any>} */
  say = async () => {};

  #until = 0;
  #timer = /** @type {any} */ (0);
  /** Messages without an answer, in order. @type {Sent[]} */ #sent = [];
  #resending = false;
  /** The keys of messages that came back into the box, and that the room may have, by text. @type {Map<string, string>} */ #doubtful = new Map();
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
    this.waiting = part(".waiting");
    this.countdown = part(".countdown");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.box.addEventListener("keydown", (event) => {
      // Safari tells the end of a composition before the Enter that confirmed it, which is 229 then.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
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

  /** We have received our own message, so it need not be sent again, nor stay in the box. @param {string} text */
  heard(text) {
    const sent = this.#sent.find((one) => one.text === text.trim() && !one.heard);
    if (sent) {
      sent.heard = true;
      if (sent.waiting) this.#settle(sent);
    } else if (this.#doubtful.delete(text.trim()) && this.box.value.trim() === text.trim()) {
      this.box.value = "";
      this.#complain("");
    }
  }

  /** A reason does not hold any more. @param {string} why */
  forgive(why) { if (this.error.textContent === why) this.#complain(""); }

  /** There is a connection again: sends the messages that wait, in order. */
  async again() {
    if (this.#resending) return;
    this.#resending = true;
    for (let sent; (sent = this.#sent.find((one) => one.waiting));) {
      if (Date.now() - sent.at > KNOWN) {
        this.#doubt(sent);
        continue;
      }
      sent.waiting = false;
      await this.#deliver(sent);
      if (sent.waiting) break;
    }
    this.#resending = false;
  }

  /** We have left: messages that wait go back into the box. */
  giveUp() { for (const sent of this.#sent.filter((one) => one.waiting)) this.#doubt(sent); }

  #send() {
    const text = this.box.value.trim();
    if (text === "" || this.button.getAttribute("aria-disabled") === "true") return;
    this.box.value = this.#back = "";
    this.#complain("");
    const key = this.#doubtful.get(text), waiting = this.#sent.some((one) => one.waiting);
    const sent = { text, key: key ?? randomHex(), at: Date.now(), tries: 0, waiting, unsure: key !== undefined, heard: false };
    this.#doubtful.delete(text);
    this.#sent.push(sent);
    if (sent.waiting) this.again(); // behind the others
    else this.#deliver(sent);
  }

  /** @param {Sent} sent */
  async #deliver(sent) {
    try {
      await this.say(sent.text, sent.key);
      this.#settle(sent);
    } catch (err) {
      this.#failed(sent, /** @type {StatusError} */ (err).info ?? {});
    }
  }

  /** @param {Sent} sent @param {any} info */
  #failed(sent, { application, description }) {
    if (sent.heard) return this.#settle(sent);
    const broken = description === "Connection closed.", perhaps = application?.perhaps === true;
    const away = broken || (sent.unsure && description === NO_CONNECTION);
    sent.unsure ||= broken || perhaps;
    if (away || (perhaps && sent.tries++ < TRIES)) {
      sent.waiting = true;
      this.#tell();
      if (perhaps) setTimeout(() => this.again(), application.retryAfter);
      return;
    }
    const why = inWords(application?.reason || description || "The room did not accept this message.");
    if (sent.unsure) this.#doubt(sent, why);
    else {
      this.#settle(sent);
      this.#returned(sent.text, why);
    }
    if (application?.retryAfter) this.#wait(application.retryAfter);
  }

  /** Nothing more is to be done about a message. @param {Sent} sent */
  #settle(sent) {
    this.#sent = this.#sent.filter((one) => one !== sent);
    this.#tell();
  }

  /** Leaves it to people whether a message is sent again. @param {Sent} sent */
  #doubt(sent, why = LATE) {
    this.#settle(sent);
    this.#doubtful.set(sent.text, sent.key);
    this.#returned(sent.text, why);
  }

  /** Says which messages are on their way still. */
  #tell() {
    const late = this.#sent.filter((one) => one.waiting);
    const words = late.length === 0 ? "" : late.length === 1 ? "Your message is still on its way. It is sent again by itself." : `${late.length} messages are still on their way. They are sent again by themselves.`;
    if (this.waiting.textContent !== words) this.waiting.textContent = words;
  }

  /** @param {string} text @param {string} why */
  #returned(text, why) {
    // Text that came back earlier stays on top, and text typed meanwhile goes below.
    const rest = this.box.value.slice(this.#back.length).replace(/^\n/, "");
    this.#back = this.#back ? `${this.#back}\n${text}` : text;
    this.box.value = rest ? `${this.#back}\n${rest}` : this.#back;
    this.#complain(why);
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
