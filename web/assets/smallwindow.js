// @ts-check
// Picture in picture: a video in a small window above all others, where the browser has
// a way to ask for that.

/** Whether a video is in the small window, and so seen, although its page may be hidden. @param {HTMLVideoElement} video */
export const isSmall = (video) => document.pictureInPictureElement === video;

/** Takes a video out of the small window. @param {HTMLVideoElement} video */
export function leaveSmall(video) { if (isSmall(video)) document.exitPictureInPicture().catch(() => {}); }

/** @param {HTMLVideoElement} video @param {HTMLButtonElement} button is shown if the browser can do it */
export function offerSmall(video, button) {
  button.hidden = !document.pictureInPictureEnabled;
  button.addEventListener("click", () => {
    if (isSmall(video)) leaveSmall(video);
    else video.requestPictureInPicture().catch(() => {}); // it has no picture yet, or people said no
  });
  for (const event of ["enterpictureinpicture", "leavepictureinpicture"]) {
    video.addEventListener(event, () => button.setAttribute("aria-pressed", String(isSmall(video))));
  }
}
