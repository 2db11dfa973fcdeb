// @ts-check
// The height that is left of a window when the keyboard of a phone lies on the page.

/** A keyboard is higher than this, in pixels; the bars of a browser are lower. */
const KEYBOARD = 120;

/**
 * Keeps the page as high as what can be seen of it, and tells the stylesheet when a
 * keyboard covers the rest. Some browsers make the window smaller instead, and need
 * nothing of this. Zooming in by two fingers changes nothing: people want to see a part.
 */
export function keepFitting() {
  const seen = visualViewport;
  if (!seen) return;
  const fit = () => {
    const height = Math.round(seen.height * seen.scale), keyed = innerHeight - height > KEYBOARD;
    document.documentElement.style.setProperty("--height", keyed ? `${height}px` : "100dvh");
    document.body.classList.toggle("keyed", keyed);
  };
  seen.addEventListener("resize", fit);
  fit();
}
