// @ts-check
// How loud people want it, as the browser remembers it for all videos of the site. A
// browser that keeps nothing is fine.

const KEY = "foyer.volume";

/** @returns {{volume: number, muted: boolean}} */
function remembered() {
  try {
    const { volume, muted } = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { volume: typeof volume === "number" && volume >= 0 && volume <= 1 ? volume : 1, muted: muted === true };
  } catch {
    return { volume: 1, muted: false };
  }
}

/**
 * Makes a video as loud as people wanted it last, and remembers it when they change that.
 * @param {HTMLVideoElement} video
 * @param {() => boolean} [wanted] whether the present volume is what people want, and not what a browser allows
 */
export function keepVolume(video, wanted = () => true) {
  Object.assign(video, remembered());
  video.addEventListener("volumechange", () => {
    if (!wanted()) return;
    try { localStorage.setItem(KEY, JSON.stringify({ volume: video.volume, muted: video.muted })); } catch { /* it forgets */ }
  });
}
