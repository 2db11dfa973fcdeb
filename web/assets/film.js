// @ts-check
// Plays a recording, in a dialog. What is live is quiet meanwhile.

/** How far an arrow key goes, in seconds. Browsers' own steps differ, and some are tiny. */
const STEP = 5;

/** @typedef {{paused: boolean, pause: (on: boolean) => void}} Live what plays beside it */

export class Film {
  #resume = false;

  /** @param {HTMLDialogElement} dialog @param {Live} live */
  constructor(dialog, live) {
    this.dialog = dialog;
    this.live = live;
    /** @param {string} selector @returns {any} */
    const part = (selector) => dialog.querySelector(selector);
    this.title = part("h2");
    this.error = part(".error");
    this.file = part("a");
    /** @type {HTMLVideoElement} */ const video = this.video = part("video");
    dialog.addEventListener("close", () => this.#closed());
    dialog.addEventListener("keydown", (event) => this.#key(event), { capture: true }); // before the controls
    video.addEventListener("error", () => {
      if (video.hasAttribute("src")) this.error.textContent = "This browser cannot play it. VLC and most other players can: download the file.";
    });
  }

  /** @param {{title: string, url: string, name: string}} recording url: of the FLV file */
  open({ title, url, name }) {
    this.#resume = !this.live.paused;
    this.live.pause(true);
    this.title.textContent = title;
    this.error.textContent = "";
    this.file.href = url;
    this.file.download = name;
    this.video.src = `${url}.mp4`;
    this.dialog.showModal();
    this.video.focus(); // its own controls know the other keys
    this.video.play().catch(() => {}); // a browser that does not want to has its controls
  }

  #closed() {
    this.video.removeAttribute("src");
    this.video.load();
    if (this.#resume) this.live.pause(false);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.key === "ArrowLeft" ? -STEP : event.key === "ArrowRight" ? STEP : 0;
    if (step === 0 || event.target !== this.video || event.ctrlKey || event.metaKey || event.altKey) return;
    this.video.currentTime += step;
    event.preventDefault();
    event.stopPropagation();
  }
}
