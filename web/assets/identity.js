// @ts-check
// Who we are, as the browser remembers it: our name, and the rooms in which this tab
// uses it. A browser that keeps nothing is fine. Credentials are never kept.

/** @param {() => string|null|void} use */
function kept(use) { try { return use() ?? ""; } catch { return ""; } }

/** 128 random bits, as 32 hexadecimal digits. */
export const randomHex = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** A secret of this tab. It survives a reload if the browser keeps anything. */
let secret = kept(() => sessionStorage.getItem("foyer.resume"));
if (!secret) {
  secret = randomHex();
  kept(() => sessionStorage.setItem("foyer.resume", secret));
}

export const identity = {
  /** The room recognises us by it when a connection that we lost still holds our name. */
  resume: secret,
  get nick() { return kept(() => localStorage.getItem("foyer.nick")); },
  set nick(nick) { kept(() => localStorage.setItem("foyer.nick", nick)); },
  /** The name that this tab has in a room; "" if it is not in. @param {string} room */
  inside: (room) => kept(() => sessionStorage.getItem(`foyer.in.${room}`)),
  /** @param {string} room @param {string} nick */
  enter: (room, nick) => kept(() => sessionStorage.setItem(`foyer.in.${room}`, nick)),
  /** @param {string} room */
  leave: (room) => kept(() => sessionStorage.removeItem(`foyer.in.${room}`)),
};

/** When everybody is sent to another room, they leave over this time, in ms, and not all at once. */
const SPREAD = 1_000;

/** Opens another room under our name. @param {string} from @param {string} to names of rooms @param {string} nick "" for a spectator */
export function moveTo(from, to, nick) {
  if (nick) {
    identity.enter(to, nick);
    identity.nick = nick;
  }
  identity.leave(from);
  setTimeout(() => location.assign(new URL(encodeURIComponent(to), location.href)), Math.random() * SPREAD);
}
