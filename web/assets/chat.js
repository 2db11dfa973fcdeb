// @ts-check
// The chat as people see it. Earlier messages are in one list and new ones in another,
// which is the only one that is read out.

import { linked } from "./links.js";

/** @typedef {import("./chatlog.js").Message} Message */

/** Messages of one person within this time stand under one name. */
const TOGETHER = 5 * 60_000;
/** Within this distance from the end, in pixels, the chat counts as scrolled to the end. */
const NEAR = 48;
/** How many messages stay in the list that is read out, and how many on the page. */
const FRESH = 100, MOST = 1_000;

/** A text with more lines than this is cut until somebody asks for all of it. A line holds about so many characters. */
const LINES = 12, WIDE = 60;

/** About how many lines a text takes. @param {string} text */
const lines = (text) => text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / WIDE)), 0);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export class Chat {
  /** Whether a message is our own. @type {(message: Message) => boolean} */
  isMine = () => false;
  /** Somebody opens the menu of a message. @type {(message: Message, id: number) => void} */
  onMenu = () => {};

  /** The page has dropped all messages before one. @type {(key: string) => void} */
  onPruned = () => {};

  /** @type {WeakMap<Element, Message>} */ #messages = new WeakMap();
  #pinned = true;
  #top = 0;
  #unseen = 0;

  /** @param {HTMLElement} root the section of the page @param {(id: number) => string} key */
  constructor(root, key) {
    /** @param {string} selector @returns {any} */
    const part = (selector) => root.querySelector(selector);
    this.key = key;
    this.scroll = part(".scroll");
    this.older = part(".older");
    this.past = part(".past");
    this.fresh = part(".fresh");
    this.hush = part(".hush");
    this.pill = part(".pill");
    this.template = /** @type {HTMLTemplateElement} */ (document.querySelector(".message-template"));
    this.scroll.addEventListener("scroll", () => this.#look(), { passive: true });
    this.scroll.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#walk(event));
    this.scroll.addEventListener("click", (/** @type {MouseEvent} */ event) => this.#clicked(event));
    this.pill.querySelector("button").addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => {
      this.#look();
      if (this.#pinned) this.toEnd();
    }).observe(this.scroll);
  }

  /** @param {Message[]} messages @param {"above"|"below"} where */
  addPast(messages, where) {
    this.#look();
    const items = messages.map((message) => this.#item(message));
    const { scrollHeight, scrollTop } = this.scroll;
    if (where === "below") {
      this.settle();
      this.past.append(...items);
    } else {
      this.past.prepend(...items);
    }
    this.#group(this.past);
    if (where === "above") this.scroll.scrollTop = scrollTop + this.scroll.scrollHeight - scrollHeight;
    else this.#arrived(messages.length);
    this.#roving();
  }

  /** @param {Message} message a new one */
  add(message) {
    this.#look();
    const item = this.#item(message);
    item.classList.add("new");
    const before = this.#items().at(-1);
    this.#follow(item, before);
    this.fresh.append(item);
    if (this.#pinned && this.fresh.children.length > FRESH) this.settle();
    if (this.isMine(message)) this.#pinned = true;
    this.#arrived(1);
    this.#roving();
  }

  /** @param {string} text of a notice by the room itself */
  notice(text) { this.#line("said", text); }

  /** @param {string} text that stands between the messages above and below */
  divide(text) { this.#line("divider", text); }

  /** @param {string} key */
  remove(key) {
    const item = this.scroll.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!item) return;
    const focus = item.contains(document.activeElement);
    const next = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    this.#group(this.past, this.fresh);
    this.#roving();
    if (focus) (next instanceof HTMLElement && next.matches(".message") ? next : this.#items().at(-1))?.focus();
  }

  /** Marks our own messages again after we have changed who we are. */
  remark() {
    for (const item of this.#items()) item.classList.toggle("mine", this.isMine(this.#of(item)));
  }

  /** Moves new messages to the earlier ones, out of the list that is read out. */
  settle() {
    const focused = document.activeElement;
    this.past.append(...this.fresh.children);
    if (focused instanceof HTMLElement && this.past.contains(focused)) focused.focus({ preventScroll: true });
    if (!this.#pinned || this.past.children.length <= MOST) return;
    while (this.past.children.length > MOST) this.past.firstElementChild.remove();
    const oldest = this.#items()[0]?.dataset.key;
    if (oldest) this.onPruned(oldest);
  }

  /** Messages have been loaded, or there are none. */
  loaded() { this.hush.hidden = this.past.children.length + this.fresh.children.length > 0; }

  /** @param {boolean} on whether there are older messages. Their button does not take the focus along when it goes. */
  more(on) {
    const button = this.older.firstElementChild;
    const had = button === document.activeElement, seen = button.matches(":focus-visible");
    this.older.hidden = !on;
    this.loaded();
    if (on || !had) return;
    this.#items()[0]?.focus({ preventScroll: !seen }); // anyone who uses a mouse continues to read where they were
    this.#roving();
  }

  toEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.#pinned = true;
    this.#unseen = 0;
    this.pill.hidden = true;
  }

  /** @param {Message} message @returns {HTMLElement} */
  #item(message) {
    const item = /** @type {HTMLElement} */ (this.template.content.firstElementChild?.cloneNode(true));
    /** @param {string} selector @returns {any} */
    const part = (selector) => item.querySelector(selector);
    const at = new Date(message.at);
    item.dataset.key = this.key(message.id);
    item.classList.toggle("mine", this.isMine(message));
    part(".who").textContent = message.user.nick;
    part(".role").hidden = message.user.role !== "moderator";
    part(".when").dateTime = at.toISOString();
    part(".when").textContent = clock.format(at);
    part(".text").append(...linked(message.text));
    part(".what").setAttribute("aria-label", `More for this message by ${message.user.nick}`);
    if (lines(message.text) > LINES) item.append(this.#whole(part(".text")));
    this.#messages.set(item, message);
    return item;
  }

  /** Cuts a tall text. @param {HTMLElement} text @returns {HTMLElement} the button that shows all of it */
  #whole(text) {
    text.classList.add("tall");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "all plain";
    button.textContent = "Show all";
    button.addEventListener("click", () => {
      const focused = button === document.activeElement;
      text.classList.remove("tall");
      if (focused) text.parentElement?.focus({ preventScroll: true });
      button.remove();
    });
    return button;
  }

  /** @returns {HTMLElement[]} */
  #items() { return [...this.scroll.querySelectorAll(".message")]; }

  /** @param {Element} item @returns {Message} */
  #of(item) { return /** @type {Message} */ (this.#messages.get(item)); }

  /** @param {"said"|"divider"} kind @param {string} text */
  #line(kind, text) {
    this.#look();
    const item = document.createElement("li");
    item.className = kind;
    item.dir = "auto";
    item.textContent = text;
    this.fresh.append(item);
    this.#arrived(0);
  }

  /** Puts names and days in their places. @param {...Element} lists */
  #group(...lists) {
    for (const list of lists) for (const day of list.querySelectorAll(".day")) day.remove();
    let before = /** @type {HTMLElement|undefined} */ (undefined);
    for (const item of this.#items()) {
      if (lists.some((list) => list.contains(item))) this.#follow(item, before);
      before = item;
    }
  }

  /** @param {HTMLElement} item @param {HTMLElement} [before] */
  #follow(item, before) {
    const one = this.#of(item);
    const other = before && this.#of(before);
    const newDay = !other || calendar.format(one.at) !== calendar.format(other.at);
    const line = before?.parentElement === item.parentElement && before?.nextElementSibling !== item && item.previousElementSibling !== before;
    item.classList.toggle("more", !newDay && !line && one.user.id === other.user.id && one.user.nick === other.user.nick && one.at - other.at < TOGETHER);
    if (!newDay || (!other && calendar.format(one.at) === calendar.format(Date.now()))) return;
    const day = document.createElement("li");
    day.className = "divider day";
    day.textContent = calendar.format(one.at);
    if (item.isConnected) item.before(day);
    else this.fresh.append(day);
  }

  /** @param {number} n new messages at the end */
  #arrived(n) {
    this.loaded();
    if (this.#pinned) return this.toEnd();
    this.#unseen += n;
    if (this.#unseen === 0) return;
    this.pill.hidden = false;
    this.pill.querySelector("button").textContent = `${this.#unseen} new ${this.#unseen === 1 ? "message" : "messages"}`;
  }

  /** Finds out where people read. It must run before messages are added, because the scroll event comes a frame later. */
  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    // Only scrolling up leaves the end: the box below may grow, too.
    const near = scrollHeight - scrollTop - clientHeight < NEAR;
    this.#pinned = near || (this.#pinned && scrollTop >= this.#top);
    this.#top = scrollTop;
    if (this.#pinned && this.#unseen > 0) this.toEnd();
  }

  /** Tab reaches one message: the last one, or the one to which the arrow keys went. */
  #roving() {
    const items = this.#items();
    const current = items.find((item) => item === document.activeElement) ?? items.at(-1);
    for (const item of items) if (item.tabIndex !== (item === current ? 0 : -1)) item.tabIndex = item === current ? 0 : -1;
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const items = this.#items();
    const at = items.indexOf(/** @type {any} */ (document.activeElement));
    if (at < 0) return;
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined && items[to]) {
      event.preventDefault();
      items[to].focus();
      items[to].scrollIntoView({ block: "nearest" });
      this.#roving();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#menu(items[at]);
    }
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const item = target.closest(".message");
    if (item && (target.closest(".who, .what") || pressed(target))) this.#menu(item);
  }

  /** @param {Element} item */
  #menu(item) {
    const message = this.#of(item);
    this.onMenu(message, message.id);
  }
}

/**
 * Whether a message was pressed with a finger, for which there is no button in it.
 * @param {Element} target
 */
function pressed(target) {
  return matchMedia("(pointer: coarse)").matches && !target.closest("a, button") && document.getSelection()?.isCollapsed !== false;
}
