// @ts-check
// The player: pictures and sound of one stream, its controls, and its state in words.
// livestream.js gets the stream from the server, and mediabuffer.js puts it into the
// video.

import { codecName, hasPicture, hasSound, unplayable } from "./codecs.js";
import { MOST } from "./liveedge.js";
import { LiveStream } from "./livestream.js";
import { MediaBuffer, canPlay, sourceClass } from "./mediabuffer.js";
import { isSmall, leaveSmall, offerSmall } from "./smallwindow.js";
import { keepVolume } from "./volume.js";
import { inWords } from "./words.js";

/** How often the player checks whether it is near live, in ms. */
const LOOK = 250;
/** The change of volume by an arrow key. */
const LOUDER = 0.05;
const HLS = "application/vnd.apple.mpegurl";

/** The words for each state of a stream. @type {Record<string, string>} */
const flows = {
  connecting: "Connecting…",
  waiting: "The broadcaster has stepped away",
  lost: "Connection lost. Trying again…",
  stopped: "",
};

export class Player {
  /** The stream on screen; "" for none. */
  stream = "";

  /** @type {LiveStream|null} */ #live = null;
  /** @type {MediaBuffer} */ #buffer;
  #mime = "";
  #paused = false;
  #away = false;
  /** The browser allowed playback only without sound. */
  #hushed = false;
  /** The browser did not allow playback even without sound. */
  #shy = false;
  #starting = false;
  #hls = false;
  #timer = /** @type {any} */ (0);

  /** @param {HTMLElement} root @param {string} room */
  constructor(root, room) {
    this.root = root;
    this.room = room;
    /** @param {string} selector @returns {any} */
    const part = (selector) => root.querySelector(selector);
    /** @type {HTMLVideoElement} */ this.video = part("video");
    this.card = part(".calm");
    this.tap = part(".tap");
    this.playButton = part(".play");
    this.muteButton = part(".mute");
    this.volume = part(".volume input");
    this.full = part(".full");
    this.state = part(".player-state");
    this.delay = part(".delay");
    this.delayTime = part(".delay-time");
    this.#buffer = new MediaBuffer(this.video, () => this.#play());
    this.#buffer.onChange = () => this.#render();
    this.#buffer.onBroken = (why) => this.#live?.again(why);
    this.#listen();
  }

  /** Shows a stream, from live on. @param {string} stream */
  watch(stream) {
    if (this.stream === stream) return;
    this.#stop();
    this.stream = stream;
    this.#paused = false;
    this.root.setAttribute("aria-label", `Player: ${stream}`);
    this.#begin();
  }

  /** Asks again for a stream that could not be played: it may have changed. */
  again() {
    if (this.stream && !this.#paused && (this.#problem() || this.#live?.flow === "lost")) this.#begin();
  }

  /** The room knows that the publisher is away, and expected back. @param {boolean} on */
  away(on) {
    if (this.#away === on) return;
    this.#away = on;
    if (this.#live) this.#live.patient = on;
    if (!on) this.again();
    this.#render();
  }

  /** Stops, and releases everything. */
  close() {
    leaveSmall(this.video);
    this.#stop();
  }

  #stop() {
    clearInterval(this.#timer);
    const live = this.#live;
    this.#live = null;
    live?.stop();
    this.#buffer.close();
    if (this.#hls) this.video.removeAttribute("src");
    this.#hls = false;
    this.#mime = this.stream = "";
  }

  get paused() { return this.#paused; }

  /** @param {boolean} on */
  pause(on) {
    if (this.#paused === on || !this.stream) return;
    this.#paused = on;
    this.#buffer.running = !on;
    if (this.#hls && on) this.video.pause();
    else if (this.#hls) this.#play();
    else if (on) {
      // Data that came now would only be thrown away.
      this.#live?.stop();
      this.video.pause();
    } else this.#begin();
    this.#render();
  }

  /** @param {boolean} on */
  mute(on) {
    this.video.muted = on;
    this.#hushed = false;
    if (!on && this.video.volume === 0) this.video.volume = 0.5;
    if (!on && !this.#paused) this.#play();
  }

  #begin() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#look(), LOOK);
    this.#buffer.running = true;
    if (!sourceClass()) return this.#beginHLS();
    this.#live?.stop();
    const live = this.#live = new LiveStream(this.room, this.stream);
    live.onInit = (mime) => this.#init(mime);
    live.onData = (bytes) => this.#buffer.append(bytes);
    live.onFlow = () => this.#render();
    live.patient = this.#away;
    live.start();
  }

  /** For browsers that can play nothing else: televisions, old iPhones. */
  #beginHLS() {
    this.#hls = this.video.canPlayType(HLS) !== "";
    if (this.#hls) {
      this.video.src = new URL(`../live/${encodeURIComponent(this.room)}/${encodeURIComponent(this.stream)}.m3u8`, import.meta.url).href;
      this.#play();
    }
    this.#render();
  }

  /** @param {string} mime */
  #init(mime) {
    this.#mime = mime;
    if (unplayable(mime, canPlay).length > 0) {
      this.#live?.stop();
      this.#buffer.close();
    } else this.#buffer.init(mime);
    this.#render();
  }

  /** Starts with sound if the browser allows it, else without. */
  async #play() {
    const { video } = this;
    // Nobody sees or hears it, so a browser that has paused it is right.
    if (this.#starting || (document.hidden && video.muted && !isSmall(video))) return;
    this.#starting = true;
    try {
      await video.play();
      this.#shy = false;
    } catch (err) {
      if (/** @type {any} */ (err).name === "NotAllowedError") {
        this.#shy = video.muted;
        this.#hushed = video.muted = true;
        this.#buffer.running = !this.#shy;
      }
    }
    this.#starting = false;
    this.#render();
  }

  #look() {
    this.#buffer.tick();
    const { behind, dry } = this.#buffer;
    const words = `${behind.toFixed(1)} s`;
    this.delay.hidden = this.#live?.flow !== "flowing" || dry || this.#paused;
    if (this.delayTime.textContent !== words) this.delayTime.textContent = words;
  }

  /** Says why nothing can be played; "" if it can. */
  #problem() {
    const live = this.#live;
    if (live?.flow === "refused") return `You can’t watch this: ${inWords(live.detail || "The room does not allow it.")}`;
    const bad = live?.flow === "unsupported" ? [codecName(live.detail) || "something unknown"] : unplayable(this.#mime || "none", (mime) => mime === "none" || canPlay(mime));
    if (live?.flow === "unsupported" || bad.length > 0) return `This room sends ${bad.join(" and ")}, which this browser can’t play. Open it in VLC: ${this.#address()}`;
    return sourceClass() || this.#hls ? "" : `This browser can’t play the picture. Open it in VLC: ${this.#address()}`;
  }

  #soundOnly() { return this.#mime !== "" && !hasPicture(this.#mime); }

  #address() { return new URL(`../live/${this.room}/${this.stream}.flv`, import.meta.url).href; }

  /** @param {string} problem */
  #words(problem) {
    if (problem) return "Can’t be played here";
    if (this.#paused) return "Paused";
    if (this.#shy) return "Ready";
    const flow = this.#hls ? "flowing" : this.#away && this.#buffer.dry ? "waiting" : this.#live?.flow ?? "stopped";
    if (flow === "waiting" && !this.#buffer.dry) return "Live";
    if (flow !== "flowing") return flows[flow] ?? "";
    if (this.#buffer.dry && !this.#hls) return this.#soundOnly() ? "Waiting for sound…" : "Waiting for pictures…";
    return "Live";
  }

  #render() {
    const { video } = this, problem = this.#problem(), words = this.#words(problem);
    const waiting = !this.#paused && (this.#away || this.#live?.flow === "waiting") && this.#buffer.dry;
    const empty = video.readyState < 2 && !this.#paused;
    const text = problem || (waiting ? `${flows.waiting}. The picture comes back by itself.` : this.#soundOnly() ? "Sound only: this stream has no picture." : empty ? words : "");
    if (this.card.textContent !== text) this.card.textContent = text;
    this.card.hidden = text === "";
    if (this.state.textContent !== words) this.state.textContent = words;
    this.state.classList.toggle("live", words === "Live");
    const silent = this.#mime !== "" && !hasSound(this.#mime);
    this.tap.hidden = problem !== "" || this.#paused || !(this.#shy || (this.#hushed && video.muted && !silent));
    this.tap.textContent = this.#shy ? "Tap to play" : "Tap for sound";
    this.playButton.textContent = this.#paused ? "Play" : "Pause";
    this.muteButton.textContent = video.muted ? "Unmute" : "Mute";
    this.volume.value = String(video.muted ? 0 : Math.round(video.volume * 100));
    for (const control of [this.playButton, this.muteButton]) control.disabled = problem !== "";
  }

  #listen() {
    const { video, root } = this;
    for (const event of ["volumechange", "playing", "loadeddata", "emptied"]) video.addEventListener(event, () => this.#render());
    video.addEventListener("click", () => this.pause(!this.#paused));
    video.addEventListener("dblclick", () => this.#fill());
    this.playButton.addEventListener("click", () => this.pause(!this.#paused));
    this.muteButton.addEventListener("click", () => this.mute(!video.muted));
    this.full.addEventListener("click", () => this.#fill());
    this.volume.addEventListener("input", () => this.#loud(Number(this.volume.value) / 100));
    this.tap.addEventListener("click", () => {
      this.#shy = false;
      this.#buffer.running = true;
      this.mute(false);
      root.focus();
    });
    keepVolume(video, () => !this.#hushed);
    offerSmall(video, root.querySelector(".small-window"));
    root.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#back(); });
    document.addEventListener("fullscreenchange", () => { this.full.textContent = document.fullscreenElement === root ? "Exit full screen" : "Full screen"; });
    navigator.mediaSession?.setActionHandler("pause", () => this.pause(true));
    navigator.mediaSession?.setActionHandler("play", () => this.pause(false));
  }

  /** The tab is visible again: the player skips what nobody saw. */
  #back() {
    if (!this.stream || this.#paused) return;
    this.#live?.hurry();
    this.#buffer.tick();
    if (this.#buffer.behind > MOST) this.#buffer.jump();
  }

  /** Keys work while the player has the focus. Buttons keep the keys that are theirs. @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const button = target.matches("button"), slider = target.matches("input");
    const { video } = this;
    const now = video.muted ? 0 : video.volume;
    if ((event.key === " " && !button) || event.key === "k") this.pause(!this.#paused);
    else if (event.key === "m") this.mute(!video.muted);
    else if (event.key === "f") this.#fill();
    else if (event.key === "ArrowUp" && !slider) this.#loud(now + LOUDER);
    else if (event.key === "ArrowDown" && !slider) this.#loud(now - LOUDER);
    else return;
    event.preventDefault();
  }

  /** @param {number} volume 0 to 1 */
  #loud(volume) {
    this.video.volume = Math.min(1, Math.max(0, volume));
    this.mute(this.video.volume === 0);
  }

  async #fill() {
    /** @type {any} */ const video = this.video;
    if (document.fullscreenElement) return document.exitFullscreen();
    if (this.root.requestFullscreen) return this.root.requestFullscreen().catch(() => {});
    video.webkitEnterFullscreen?.(); // iPhones show only a video on the whole screen
  }
}
