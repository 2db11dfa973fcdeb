// @ts-check
// The title of the tab: the name of the room, and how many messages came while the tab
// was hidden.

/** Beyond this number, the title says only that there are more. */
const MOST = 99;

export class TabTitle {
  #name = document.title;
  #unseen = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      this.#unseen = 0;
      this.#show();
    });
  }

  /** @param {string} name */
  name(name) {
    this.#name = name;
    this.#show();
  }

  /** @param {number} n messages of other people came */
  came(n) {
    if (!document.hidden) return;
    this.#unseen += n;
    this.#show();
  }

  #show() {
    const count = this.#unseen === 0 ? "" : this.#unseen > MOST ? `(${MOST}+) ` : `(${this.#unseen}) `;
    if (document.title !== count + this.#name) document.title = count + this.#name;
  }
}
