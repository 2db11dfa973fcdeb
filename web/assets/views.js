// @ts-check
// The views of a room page, of which small windows show one at a time: the chat, the
// people, and what there is to know about the room.

/** @type {NodeListOf<HTMLElement>} */ const buttons = document.querySelectorAll(".views button");

/** @param {string} name */
export function view(name) {
  document.body.dataset.view = name;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.view === name));
}

for (const button of buttons) button.addEventListener("click", () => view(button.dataset.view ?? ""));
