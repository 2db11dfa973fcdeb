// @ts-check
// Fills a video element with the segments of a live stream, and keeps it near live. It
// uses ManagedMediaSource where there is one, and MediaSource elsewhere.

import { hasPicture, hasSound } from "./codecs.js";
import { FAR, LEAST, SETTLED, TARGET, follow, forgettable, listRanges } from "./liveedge.js";

/** How many bytes may wait for a source that wants no data now. */
const QUEUE = 8 << 20;
/** In the first ms after its start a video jumps where it would hurry later, because a lot comes at once then. */
const SETTLE = 2_000;
/** A video that stands still with fewer seconds than this has run dry. */
const DRY = 0.1;

/** @type {any} */ const scope = globalThis;

/** The class that makes sources, or undefined where there is none. @returns {any} */
export const sourceClass = () => scope.ManagedMediaSource ?? scope.MediaSource;
/** @param {string} mime @returns {boolean} */
export const canPlay = (mime) => sourceClass()?.isTypeSupported(mime) ?? false;

export class MediaBuffer {
  /** The source cannot continue: the stream has to begin again. @type {(why: string) => void} */
  onBroken = () => {};
  /** Something that people see has changed: the video has started, run dry, or jumped. @type {() => void} */
  onChange = () => {};
  /** Whether the video should run. */
  running = true;
  /** Whether the video waits for more data. */
  dry = true;
  /** How far behind live it is, in seconds. */
  behind = 0;

  /** @type {any} */ #source = null;
  /** @type {any} */ #buffer = null;
  /** Jobs for the buffer, in order. @type {(ArrayBuffer|{mime: string})[]} */ #queue = [];
  #bytes = 0;
  #wanted = true;
  #started = 0;
  #mime = "";
  #url = "";

  /** @param {HTMLVideoElement} video @param {() => void} play how to start it */
  constructor(video, play) {
    this.video = video;
    this.play = play;
    video.disableRemotePlayback = true;
    for (const event of ["waiting", "stalled", "timeupdate", "seeked"]) video.addEventListener(event, () => this.tick());
    video.addEventListener("error", () => { if (this.#source) this.#broken(video.error?.message || "The pictures could not be decoded."); });
  }

  /** The stream begins again. The last picture stays until the next one comes. @param {string} mime */
  init(mime) {
    this.dry = true;
    this.#queue = [];
    this.#bytes = 0;
    if (this.#source && !sameTracks(mime, this.#mime)) this.close(); // a buffer keeps its tracks for life (MSE §3.5.8)
    if (!this.#source) return this.#open(mime);
    this.#queue.push({ mime });
    this.#pump();
  }

  /** @param {ArrayBuffer} bytes */
  append(bytes) {
    this.#queue.push(bytes);
    this.#bytes += bytes.byteLength;
    if (this.#bytes > QUEUE) return this.#broken("The browser did not keep up with the stream.");
    this.#pump();
  }

  /** Jumps to live. */
  jump() {
    const last = listRanges(this.#buffer?.buffered).at(-1);
    if (last) this.video.currentTime = Math.max(last.start, last.end - TARGET);
    this.tick();
  }

  /** Releases everything. */
  close() {
    this.#source = this.#buffer = null;
    this.#queue = [];
    this.#bytes = 0;
    this.dry = true;
    if (this.#url) {
      URL.revokeObjectURL(this.#url);
      this.#url = "";
      this.video.removeAttribute("src");
      this.video.load();
    }
  }

  /** Checks how far behind the video is, and changes its speed or place if need be. */
  tick() {
    const { video } = this;
    if (!this.#buffer) return;
    const ranges = listRanges(this.#ranges());
    const far = this.dry || Date.now() - this.#started < SETTLE ? SETTLED : FAR;
    const { behind, rate, jump } = follow(video.currentTime, ranges, video.playbackRate, far);
    if (ranges.length === 0 || this.#queue.some((job) => "mime" in job)) return;
    if (jump !== undefined && !video.seeking) video.currentTime = jump;
    this.behind = Math.max(0, behind);
    const was = this.dry;
    if (this.dry) this.dry = behind < LEAST;
    else this.dry = behind < DRY && video.readyState < 3;
    if (video.playbackRate !== rate) video.playbackRate = rate;
    if (this.running && !this.dry && video.paused) this.play();
    if ((this.dry || !this.running) && !video.paused) video.pause();
    if (was && !this.dry) this.#started = Date.now();
    if (was !== this.dry || jump !== undefined) this.onChange();
  }

  /** @param {string} mime */
  #open(mime) {
    const source = new (sourceClass())();
    this.#source = source;
    this.#wanted = true;
    this.#mime = mime;
    source.addEventListener("startstreaming", () => { this.#wanted = true; this.#pump(); });
    source.addEventListener("endstreaming", () => { this.#wanted = false; });
    source.addEventListener("sourceopen", () => {
      if (source !== this.#source || this.#buffer) return;
      try {
        source.duration = Infinity;
        this.#buffer = source.addSourceBuffer(mime);
        this.#buffer.mode = "segments";
      } catch (err) {
        return this.#broken(String(err));
      }
      this.#buffer.addEventListener("updateend", () => { if (source === this.#source) this.#done(); });
      this.#pump();
    });
    this.#url = URL.createObjectURL(source);
    this.video.src = this.#url;
  }

  #ranges() {
    try { return this.#buffer.buffered; } catch { return undefined; } // the buffer has been removed from its source
  }

  #done() {
    this.tick();
    this.#pump();
  }

  /** Does the next job, if none is being done. */
  #pump() {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#source.readyState !== "open") return;
    const until = forgettable(this.video.currentTime, listRanges(this.#ranges()));
    if (until > 0) return buffer.remove(0, until);
    const [job] = this.#queue;
    if (job === undefined) return;
    try {
      if ("mime" in job) this.#change(job.mime);
      else if (this.#wanted) this.#take();
    } catch (err) {
      if (/** @type {any} */ (err).name === "QuotaExceededError" && this.#makeRoom()) return;
      this.#broken(String(err));
    }
  }

  /** Gives all waiting segments to the buffer at once. */
  #take() {
    const end = this.#queue.findIndex((job) => "mime" in job);
    const parts = /** @type {ArrayBuffer[]} */ (this.#queue.slice(0, end < 0 ? undefined : end));
    const whole = parts.length === 1 ? parts[0] : join(parts);
    this.#buffer.appendBuffer(whole);
    this.#queue.splice(0, parts.length);
    this.#bytes -= whole.byteLength;
  }

  /** Drops the present content of the buffer: the stream has begun again, with times of its own. @param {string} mime */
  #change(mime) {
    this.#buffer.abort();
    if (mime !== this.#mime) this.#buffer.changeType(mime);
    this.#mime = mime;
    this.#queue.shift();
    this.#buffer.remove(0, Infinity);
  }

  /** @returns {boolean} whether there was anything to drop */
  #makeRoom() {
    const last = listRanges(this.#ranges()).at(-1), first = listRanges(this.#ranges())[0];
    const until = Math.min(this.video.currentTime - 1, (last?.end ?? 0) - TARGET);
    if (!first || until <= first.start) return false;
    this.#buffer.remove(0, until);
    return true;
  }

  /** @param {string} why */
  #broken(why) {
    this.close();
    this.onBroken(why);
  }
}

/** @param {string} a @param {string} b */
const sameTracks = (a, b) => hasPicture(a) === hasPicture(b) && hasSound(a) === hasSound(b);

/** @param {ArrayBuffer[]} parts */
function join(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return whole.buffer;
}
