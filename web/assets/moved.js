// @ts-check
// Being sent to another room: the page goes there under the name it has here.

import { memory } from "./memory.js";

/** The people of a room leave it spread over so long, in ms. */
const SPREAD = 1_000;

/** @param {string} from @param {string} to names of rooms @param {string} nick "" for who only looks on */
export function follow(from, to, nick) {
  if (nick) {
    memory.enter(to, nick);
    memory.nick = nick;
  }
  memory.leave(from);
  setTimeout(() => location.assign(new URL(encodeURIComponent(to), location.href)), Math.random() * SPREAD);
}
