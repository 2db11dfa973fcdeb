// @ts-check
// Keeps a video near the live edge: how fast it should play, or where it should jump.
// Knows no page and no time.

/** How many seconds behind live a player should be: at less it would stutter. */
export const TARGET = 1.0, LEAST = 0.8, MOST = 1.2;
/** Further behind than this it jumps, since catching up would take a minute. */
export const FAR = 4;
/** The same for a video that has just started. */
export const SETTLED = 1.5;
/** How many seconds are kept after they were shown. */
const BACK = 15;
/** How many seconds are kept before they are shown, while a video stands still. */
const AHEAD = 30;
/** At the first speed nobody notices anything, at the second everybody does. */
const GENTLE = 1.05, BRISK = 1.15;
/** From so many seconds behind on, the second speed is worth it. */
const LATE = 1.5;
/** A decoder plays across a gap between ranges that is shorter than this. */
const SLACK = 0.1;

/** @typedef {{start: number, end: number}} Range */

/** @param {TimeRanges|undefined} ranges @returns {Range[]} */
export function listRanges(ranges) {
  return Array.from({ length: ranges?.length ?? 0 }, (_, i) => ({ start: /** @type {TimeRanges} */ (ranges).start(i), end: /** @type {TimeRanges} */ (ranges).end(i) }));
}

/**
 * What a video should do that has these ranges and is at time.
 * @param {number} time
 * @param {Range[]} ranges
 * @param {number} rate its speed now
 * @param {number} far how far behind it jumps
 * @returns {{behind: number, rate: number, jump?: number}} jump: where to, if anywhere
 */
export function follow(time, ranges, rate, far = FAR) {
  const last = ranges.at(-1);
  if (!last) return { behind: 0, rate: 1 };
  const here = Math.max(last.start, last.end - TARGET);
  const behind = last.end - time;
  const inside = ranges.find(({ start, end }) => time >= start - SLACK && time <= end + SLACK);
  const stuck = !inside || (inside !== last && inside.end - time < SLACK);
  if (stuck || behind > far) return { behind: last.end - here, rate: 1, jump: here };
  return { behind, rate: speed(behind, rate) };
}

/** A video that has become faster stays so until it meets the target, so that it does not go to and fro. @param {number} behind @param {number} rate */
function speed(behind, rate) {
  if (behind > LATE) return BRISK;
  if (behind > MOST) return Math.max(GENTLE, rate > 1 ? rate : 1);
  if (behind > TARGET && rate > 1) return GENTLE;
  return 1;
}

/**
 * How much of the buffer can be dropped.
 * @param {number} time
 * @param {Range[]} ranges
 * @returns {number} the end of it, 0 for nothing worth the work
 */
export function forgettable(time, ranges) {
  const first = ranges[0], last = ranges.at(-1);
  if (!first || !last) return 0;
  const until = Math.max(time - BACK, last.end - AHEAD);
  return until - first.start >= 1 ? until : 0;
}
