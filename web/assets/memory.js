// @ts-check
// What the browser remembers for us: our name, and where this tab has used it.
// A browser that keeps nothing is fine. Credentials are never kept.

/** @param {() => string|null|void} use */
function kept(use) { try { return use() ?? ""; } catch { return ""; } }

/** A secret of this tab. It is kept over a reload, if the browser keeps anything. */
let secret = kept(() => sessionStorage.getItem("foyer.resume"));
if (!secret) {
  secret = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  kept(() => sessionStorage.setItem("foyer.resume", secret));
}

export const memory = {
  /** By this a room knows us again when a connection that we lost still has our name. */
  resume: secret,
  get nick() { return kept(() => localStorage.getItem("foyer.nick")); },
  set nick(nick) { kept(() => localStorage.setItem("foyer.nick", nick)); },
  /** The name under which this tab is in a room, "" for none. @param {string} room */
  inside: (room) => kept(() => sessionStorage.getItem(`foyer.in.${room}`)),
  /** @param {string} room @param {string} nick */
  enter: (room, nick) => kept(() => sessionStorage.setItem(`foyer.in.${room}`, nick)),
  /** @param {string} room */
  leave: (room) => kept(() => sessionStorage.removeItem(`foyer.in.${room}`)),
};
