// @ts-check
// The list of people in the room.

/** @typedef {{id: string, nick: string, role: string, since: number, via: string}} Person */

const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });

/** Whether the room takes two nicks for the same. @param {string} a @param {string} b */
export const sameNick = (a, b) => plain(a) === plain(b);

/** A nick as the room compares it. @param {string} nick */
const plain = (nick) => nick.normalize("NFC").trim().replace(/\p{Zs}+/gu, " ").toLowerCase();

/** How our own name stands in the list. @param {string} nick */
function ours(nick) {
  const name = document.createElement("b"), you = document.createElement("span");
  name.textContent = nick;
  you.className = "soft";
  you.textContent = " (you)";
  return [name, you];
}

/** @param {string} text @param {() => void} act */
function button(text, act) {
  const one = document.createElement("button");
  one.type = "button";
  one.className = "plain";
  one.textContent = text;
  one.addEventListener("click", act);
  return one;
}

export class People {
  /** @type {(person: Person) => void} */
  onMenu = () => {};
  /** We want another name, or none. */
  onRename = () => {};
  onLeave = () => {};

  /** @type {Map<string, HTMLElement>} */ #items = new Map();
  #drawing = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.list = /** @type {HTMLElement} */ (root.querySelector(".people-list"));
    this.none = /** @type {HTMLElement} */ (root.querySelector(".people-none"));
    this.template = /** @type {HTMLTemplateElement} */ (document.querySelector(".person-template"));
    /** @type {Person[]} */ this.all = [];
    this.mine = "";
    this.active = false;
  }

  /** Takes the slots of the shared object "users". @param {Record<string, any>} slots */
  update(slots) {
    this.all = Object.entries(slots).map(([id, person]) => ({ ...person, id }));
    this.draw();
  }

  /** The person with a nick, if they are in the room. @param {string} nick */
  find(nick) { return this.all.find((person) => sameNick(person.nick, nick)); }

  draw() { this.#drawing ||= requestAnimationFrame(() => this.#draw()); }

  #draw() {
    this.#drawing = 0;
    this.all.sort((a, b) => Number(b.id === this.mine) - Number(a.id === this.mine)
      || Number(b.role === "moderator") - Number(a.role === "moderator") || collator.compare(a.nick, b.nick));
    const here = new Set(this.all.map(({ id }) => id));
    for (const [id, item] of this.#items) {
      if (here.has(id)) continue;
      item.remove();
      this.#items.delete(id);
    }
    let next = this.list.firstElementChild;
    for (const person of this.all) {
      const item = this.#items.get(person.id) ?? this.#item(person.id);
      if (item === next) next = next.nextElementSibling;
      else this.list.insertBefore(item, next);
      this.#show(item, person);
    }
    for (const part of document.querySelectorAll(".people-count")) part.textContent = String(this.all.length);
    this.none.hidden = this.all.length > 0;
  }

  /** @param {string} id */
  #item(id) {
    const item = /** @type {HTMLElement} */ (this.template.content.firstElementChild?.cloneNode(true));
    this.#items.set(id, item);
    return item;
  }

  /** @param {HTMLElement} item @param {Person} person */
  #show(item, person) {
    const state = `${person.nick}\n${person.role}\n${person.via}\n${this.mine === person.id}\n${this.active}`;
    if (item.dataset.state === state) return;
    item.dataset.state = state;
    item.classList.toggle("me", this.mine === person.id);
    /** @param {string} selector @returns {any} */
    const part = (selector) => item.querySelector(selector);
    part(".nick").replaceChildren(...this.mine === person.id ? ours(person.nick) : [person.nick]);
    part(".role").hidden = person.role !== "moderator";
    part(".via").textContent = person.via;
    for (const old of item.querySelectorAll("button")) old.remove();
    if (this.active) item.append(...this.mine === person.id ? this.#forUs() : [this.#more(person)]);
  }

  #forUs() {
    return [button("Change name", () => this.onRename()), button("Just watch", () => this.onLeave())].map((one) => {
      one.classList.add("own");
      return one;
    });
  }

  /** @param {Person} person */
  #more({ id, nick }) {
    const more = button("⋯", () => {
      const person = this.all.find((one) => one.id === id);
      if (person) this.onMenu(person);
    });
    more.setAttribute("aria-haspopup", "dialog");
    more.setAttribute("aria-label", `More about ${nick}`);
    return more;
  }
}
