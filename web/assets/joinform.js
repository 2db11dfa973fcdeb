// @ts-check
// The form that asks for a name, for the first time or to change it.

export class JoinForm {
  /** Joins the room. @type {(nick: string, credential: string) => Promise<string>} what is wrong, "" for nothing */
  join = async () => "";
  /** Changes the name. @type {(nick: string) => Promise<string>} what is wrong, "" for nothing */
  rename = async () => "";
  /** The room has accepted the name. */
  onDone = () => {};
  /** The form begins or stops to ask for another name. */
  onChange = () => {};

  /** Whether the form asks for another name, not for the first. */
  renaming = false;
  #nick = "";

  /** @param {HTMLFormElement} form */
  constructor(form) {
    /** @param {string} selector @returns {any} */
    const part = (selector) => form.querySelector(selector);
    this.form = form;
    this.box = /** @type {HTMLInputElement} */ (part("#nick"));
    this.credential = /** @type {HTMLInputElement} */ (part("#credential"));
    this.error = /** @type {HTMLElement} */ (part("#nick-error"));
    this.button = /** @type {HTMLElement} */ (part("button.main"));
    this.part = part;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    part(".cancel").addEventListener("click", () => this.change(false, this.#nick));
  }

  async #submit() {
    const nick = this.box.value.trim();
    if (!nick || this.button.getAttribute("aria-disabled") === "true") return;
    this.complain("");
    this.button.setAttribute("aria-disabled", "true");
    const why = this.renaming ? await this.rename(nick) : await this.join(nick, this.credential.value);
    this.button.setAttribute("aria-disabled", "false");
    if (why) {
      this.complain(why);
      this.box.focus();
      return;
    }
    this.renaming = false;
    this.onDone();
  }

  /** Begins or stops to ask for another name. @param {boolean} on @param {string} nick the present one */
  change(on, nick) {
    this.renaming = on;
    this.#nick = nick;
    this.box.value = nick || this.box.value;
    this.complain("");
    this.onChange();
    if (on) this.box.select();
  }

  /** Asks for a pass, too. */
  withPass() {
    this.part(".credential").open = true;
    this.credential.focus();
  }

  /** @param {string} why shown next to the name; "" when nothing is wrong */
  complain(why) {
    this.error.textContent = why;
    if (why) this.box.setAttribute("aria-invalid", "true");
    else this.box.removeAttribute("aria-invalid");
  }

  /** A reason does not hold any more. @param {string} why */
  forgive(why) { if (this.error.textContent === why) this.complain(""); }

  /** @param {boolean} wanted whether a name is needed */
  show(wanted) {
    this.form.hidden = !wanted;
    this.part(".credential").hidden = this.renaming;
    this.part(".cancel").hidden = !this.renaming;
    this.button.textContent = this.renaming ? "Change" : "Join";
  }
}
