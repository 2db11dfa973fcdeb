// @ts-check
// The state of the connection, in words. A count of seconds is seen, not read out.

/**
 * @param {HTMLElement} root
 * @param {string} words
 * @param {"up"|"down"|""} mood
 * @param {number} left seconds to the next attempt, 0 for none
 */
export function showLinkState(root, words, mood, left) {
  root.className = `link-state ${mood}`;
  const [said, counted] = root.children.length ? root.children : [document.createElement("span"), document.createElement("span")];
  if (!said.isConnected) {
    counted.setAttribute("aria-hidden", "true");
    root.replaceChildren(said, counted);
  }
  if (said.textContent !== words) said.textContent = words;
  counted.textContent = left > 0 ? ` in ${left} s` : "";
}
