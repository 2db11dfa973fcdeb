// @ts-check
// The recordings of a room: their list, which is loaded when somebody opens it, and the
// dialog that plays one. A live stream is paused meanwhile.

import { keepVolume } from "./volume.js";

/** How far an arrow key seeks, in seconds. The steps of browsers differ, and some are tiny. */
const STEP = 5;

/** @param {number} ms */
export function lasting(ms) {
  const all = Math.round(ms / 1000), hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60, seconds = all % 60;
  return [hours > 0 && `${hours} h`, (hours > 0 || minutes > 0) && `${minutes} min`, hours === 0 && `${seconds} s`].filter(Boolean).join(" ");
}

/** @param {number} bytes */
export const weight = (bytes) => bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(0.1, bytes / 1e6).toFixed(1)} MB`;

/** @typedef {{title: string, url: string, name: string}} Chosen url: of the FLV file */
/** @typedef {{paused: boolean, pause: (on: boolean) => void}} Live the player of the live stream */

/** @param {HTMLDetailsElement} box @param {string} room @param {(recording: Chosen) => void} watch */
export function showRecordings(box, room, watch) {
  const list = /** @type {Element} */ (box.querySelector("ul")), words = /** @type {Element} */ (box.querySelector("p"));
  box.addEventListener("toggle", async () => {
    if (!box.open) return;
    words.textContent = "Loading…";
    list.replaceChildren();
    const url = new URL(`../api/v1/rooms/${encodeURIComponent(room)}/recordings`, import.meta.url);
    try {
      const answer = await fetch(url);
      const { recordings = [] } = answer.ok ? await answer.json() : {};
      list.append(...recordings.reverse().map((/** @type {any} */ recording) => item(recording, room, watch)));
      if (!answer.ok) words.textContent = "The server did not answer. Try again in a moment.";
      else words.textContent = recordings.length > 0 ? "The files are FLV, for VLC and most other players." : "Nothing has been recorded.";
    } catch {
      words.textContent = "There is no connection right now.";
    }
  });
}

/** @param {any} recording @param {string} room @param {(recording: Chosen) => void} watch */
function item({ name, stream, at, duration, bytes, live }, room, watch) {
  const li = document.createElement("li"), link = document.createElement("a"), facts = document.createElement("span");
  const title = `${stream}, ${new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`;
  link.href = new URL(`../recordings/${encodeURIComponent(room)}/${encodeURIComponent(name)}`, import.meta.url).href;
  link.download = name;
  link.textContent = title;
  facts.textContent = ` ${live ? "still recording" : lasting(duration)}, ${weight(bytes)}`;
  li.append(link, facts);
  if (live) return li; // it has no end, so nobody can seek in it
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Watch";
  button.setAttribute("aria-label", `Watch ${title}`);
  button.addEventListener("click", () => watch({ title, url: link.href, name }));
  li.append(" ", button);
  return li;
}

export class RecordingDialog {
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
    keepVolume(video);
    dialog.addEventListener("close", () => this.#closed());
    dialog.addEventListener("keydown", (event) => this.#key(event), { capture: true }); // before the controls
    video.addEventListener("error", () => {
      if (video.hasAttribute("src")) this.error.textContent = "This browser cannot play the recording. Download the file: VLC and most other players can.";
    });
  }

  /** @param {Chosen} recording */
  open({ title, url, name }) {
    this.#resume = !this.live.paused;
    this.live.pause(true);
    this.title.textContent = title;
    this.error.textContent = "";
    this.file.href = url;
    this.file.download = name;
    this.video.src = `${url}.mp4`;
    this.dialog.showModal();
    this.video.focus(); // its own controls handle all other keys
    this.video.play().catch(() => {}); // if the browser does not want to, people use its controls
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
