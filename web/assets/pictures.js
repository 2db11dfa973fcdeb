// @ts-check
// The pictures on the lobby's cards. Each room on air shows its last key frame, which is
// renewed now and then. The picture of the card under the pointer moves. A card that is
// out of sight costs nothing.

import { unplayable } from "./codecs.js";
import { LiveStream } from "./livestream.js";
import { MediaBuffer, canPlay } from "./mediabuffer.js";

/** How often a picture is renewed, in ms, and over which time the requests are spread. */
const FRESH = 10_000, SPREAD = 2_000;
/** How long the pointer or the focus rests on a card before its picture moves, in ms. */
const REST = 400;
/** How long the old picture stays under the new one until that is painted, in ms. */
const PAINTED = 250;

/**
 * @typedef {{room: string, stream: string, box: HTMLElement, seen: boolean, shown: HTMLVideoElement|null,
 *   next: HTMLVideoElement|null, leave: AbortController}} Picture
 */

export class Pictures {
  /** @type {Map<HTMLElement, Picture>} */ #pictures = new Map();
  #observer = new IntersectionObserver((entries) => this.#moved(entries), { rootMargin: "100px" });
  /** The one preview there is. @type {{item: HTMLElement, stop: () => void}|null} */ #preview = null;
  #resting = /** @type {any} */ (0);

  constructor() {
    setInterval(() => this.#refresh(), FRESH);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#still();
      else this.#refresh();
    });
  }

  /**
   * Sets the stream that a card shows.
   * @param {HTMLElement} item
   * @param {string} room
   * @param {string} stream "" for none
   */
  set(item, room, stream) {
    const old = this.#pictures.get(item);
    if ((old?.stream ?? "") === stream) return;
    if (old) this.#forget(item, old);
    if (!stream) return;
    const box = document.createElement("div");
    box.className = "card-picture";
    box.setAttribute("aria-hidden", "true");
    item.querySelector(".spark")?.after(box);
    const leave = new AbortController(), { signal } = leave;
    this.#pictures.set(item, { room, stream, box, seen: false, shown: null, next: null, leave });
    item.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") this.#rest(item); }, { signal });
    item.addEventListener("focusin", () => this.#rest(item), { signal });
    for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, () => this.#still(), { signal });
    this.#observer.observe(item);
  }

  /** @param {HTMLElement} item @param {Picture} picture */
  #forget(item, picture) {
    this.#observer.unobserve(item);
    this.#pictures.delete(item);
    this.#clear(item, picture);
    picture.leave.abort();
    picture.box.remove();
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #moved(entries) {
    for (const { target, isIntersecting } of entries) {
      const item = /** @type {HTMLElement} */ (target), picture = this.#pictures.get(item);
      if (!picture || picture.seen === isIntersecting) continue;
      picture.seen = isIntersecting;
      if (isIntersecting) this.#load(picture);
      else this.#clear(item, picture);
    }
  }

  #refresh() {
    if (document.hidden) return;
    for (const picture of this.#pictures.values()) if (picture.seen) setTimeout(() => this.#load(picture), Math.random() * SPREAD);
  }

  /** Loads the latest picture. @param {Picture} picture */
  #load(picture) {
    if (!picture.seen || picture.next || document.hidden) return;
    const video = silent();
    picture.next = video;
    const done = () => { if (picture.next === video) picture.next = null; };
    video.addEventListener("error", () => {
      done();
      drop(video); // there is none right now, so the old one stays
    });
    video.addEventListener("loadeddata", () => {
      done();
      const old = picture.shown;
      picture.shown = video;
      if (old) old.after(video); // below a preview, above the old one
      else picture.box.prepend(video);
      setTimeout(() => drop(old), PAINTED);
    });
    video.src = new URL(`../live/${encodeURIComponent(picture.room)}/${encodeURIComponent(picture.stream)}.mp4`, import.meta.url).href;
  }

  /** Releases the decoders. @param {HTMLElement} item @param {Picture} picture */
  #clear(item, picture) {
    if (this.#preview?.item === item) this.#still();
    drop(picture.shown);
    drop(picture.next);
    picture.shown = picture.next = null;
  }

  /** @param {HTMLElement} item */
  #rest(item) {
    if (this.#preview?.item === item || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.#still();
    this.#resting = setTimeout(() => this.#move(item), REST);
  }

  /** Starts the preview. @param {HTMLElement} item */
  #move(item) {
    const picture = this.#pictures.get(item);
    if (!picture || document.hidden) return;
    const video = silent();
    const buffer = new MediaBuffer(video, () => { video.play().catch(() => {}); });
    const live = new LiveStream(picture.room, picture.stream);
    const stop = () => {
      live.stop();
      buffer.close();
      drop(video);
    };
    buffer.onBroken = stop;
    live.onInit = (mime) => {
      if (unplayable(mime, canPlay).length > 0) stop();
      else buffer.init(mime);
    };
    live.onData = (bytes) => buffer.append(bytes);
    video.addEventListener("playing", () => { if (!video.isConnected) picture.box.append(video); }, { once: true });
    this.#preview = { item, stop };
    live.start();
  }

  /** Stops the preview. */
  #still() {
    clearTimeout(this.#resting);
    const preview = this.#preview;
    this.#preview = null;
    preview?.stop();
  }
}

/** A video without sound that no key reaches. */
function silent() {
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  video.preload = "auto";
  video.disablePictureInPicture = true;
  return video;
}

/** @param {HTMLVideoElement|null} video */
function drop(video) {
  if (!video) return;
  video.remove();
  video.removeAttribute("src");
  video.load();
}
