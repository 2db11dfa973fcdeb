// @ts-check
// The clipboard, for everything that people type elsewhere.

/**
 * Copies a text. Where the page may not use the clipboard, which only secure origins
 * may, it selects the text first.
 * @param {string} text
 * @param {Element} shown
 */
export async function copyText(text, shown) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  getSelection()?.selectAllChildren(shown);
  document.execCommand("copy");
}

/**
 * Adds a copy button to everything that people type elsewhere.
 * @param {ParentNode} root
 * @param {(text: string) => void} done
 */
export function addCopyButtons(root, done) {
  for (const place of root.querySelectorAll(".type-this")) {
    const code = /** @type {Element} */ (place.querySelector("code"));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    // Not the key, which must not be read out: then the words before it.
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
