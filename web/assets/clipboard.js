// @ts-check
// The clipboard, for all that people type elsewhere.

/**
 * Puts text on the clipboard, or selects where it stands when the page may not
 * (clipboards are for secure origins).
 * @param {string} text
 * @param {Element} shown
 */
export async function copyText(text, shown) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  getSelection()?.selectAllChildren(shown);
  document.execCommand("copy");
}

/**
 * Gives everything that is to be typed elsewhere a button that copies it.
 * @param {ParentNode} root
 * @param {(text: string) => void} done
 */
export function addCopyButtons(root, done) {
  for (const place of root.querySelectorAll(".type-this")) {
    const code = /** @type {Element} */ (place.querySelector("code"));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    // A key is not read out; what stands there now is a good name otherwise.
    const what = code.textContent || place.previousElementSibling?.textContent || "";
    button.setAttribute("aria-label", `Copy: ${what}`);
    button.addEventListener("click", async () => {
      await copyText(code.textContent ?? "", code);
      button.textContent = "Copied";
      done("Copied");
      setTimeout(() => { button.textContent = "Copy"; }, 2_000);
    });
    place.append(button);
  }
}
