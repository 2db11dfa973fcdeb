// @ts-check
// The search form of the lobby. Its query is in the address, too.

import { formatQuery, parseQuery } from "./rooms.js";

export class SearchForm {
  /** The query has changed. */
  onChange = () => {};

  /** What people look for. @type {import("./rooms.js").Query} */
  query = parseQuery(location.search);

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.fields = /** @type {any} */ (form.elements);
    this.chosen = /** @type {any} */ (form.querySelector(".tag-chosen"));
    form.addEventListener("input", () => this.#read());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#read();
    });
    this.chosen.querySelector("a").addEventListener("click", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.choose("");
      this.fields.q.focus();
    });
    addEventListener("popstate", () => this.restore());
  }

  /** Shows rooms with a tag. @param {string} tag "" for any */
  choose(tag) {
    this.query.tag = tag;
    this.#read();
  }

  /** Shows all rooms. */
  clear() {
    history.replaceState(null, "", location.pathname);
    this.restore();
  }

  /** Fills in the form from the address. */
  restore() {
    this.query = parseQuery(location.search);
    this.fields.q.value = this.query.text;
    this.fields.sort.value = this.query.sort;
    this.fields.live.checked = this.query.live;
    this.#read();
  }

  /** Takes the query from the form. */
  #read() {
    const { q, sort, live } = this.fields, { tag } = this.query;
    this.query = { text: q.value, tag, sort: sort.value, live: live.checked };
    history.replaceState(null, "", location.pathname + formatQuery(this.query));
    const input = this.chosen.querySelector("input");
    this.chosen.hidden = input.disabled = tag === "";
    this.chosen.querySelector("b").textContent = input.value = tag;
    this.onChange();
  }
}
