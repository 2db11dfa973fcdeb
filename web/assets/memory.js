// @ts-check
// What the browser remembers for us: our name, and where this tab has used it.
// A browser that keeps nothing is fine. Credentials are never kept.

/** @param {() => string|null|void} use */
function kept(use) { try { return use() ?? ""; } catch { return ""; } }

export const memory = {
  get nick() { return kept(() => localStorage.getItem("foyer.nick")); },
  set nick(nick) { kept(() => localStorage.setItem("foyer.nick", nick)); },
  /** The name under which this tab is in a room, "" for none. @param {string} room */
  inside: (room) => kept(() => sessionStorage.getItem(`foyer.in.${room}`)),
  /** @param {string} room @param {string} nick */
  enter: (room, nick) => kept(() => sessionStorage.setItem(`foyer.in.${room}`, nick)),
  /** The room that this tab was sent to and has not reached yet. */
  get moved() { return kept(() => sessionStorage.getItem("foyer.moved")); },
  set moved(room) { kept(() => sessionStorage.setItem("foyer.moved", room)); },
  /** @param {string} room */
  leave: (room) => kept(() => sessionStorage.removeItem(`foyer.in.${room}`)),
};
