// @ts-check
// How much of the page can be seen.

/** With less height than this, in pixels, only what one needs to talk stays. */
const SQUEEZED = 500;

/** Keeps the box one writes in above the keyboard of a phone, and some of the chat above the box. */
export function keepFitting() {
  const fit = () => {
    const height = visualViewport?.height ?? innerHeight;
    document.documentElement.style.setProperty("--height", `${height}px`);
    document.body.classList.toggle("squeezed", height < SQUEEZED);
  };
  visualViewport?.addEventListener("resize", fit);
  fit();
}
