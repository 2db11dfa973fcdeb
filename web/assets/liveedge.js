// @ts-check
// Staying near live: what to do with a video that is so far behind what has
// come. Knows no page and no time.

/** So far behind live, in seconds, a player wants to be: less stutters, more is late. */
export const TARGET = 1.0, LEAST = 0.8, MOST = 1.2;
/** Further behind it jumps: nobody waits for a minute of 1.05. */
export const FAR = 4;
/** The same for one that has only just begun. */
export const SETTLED = 1.5;
/** What has been shown is kept for so long. */
export const BACK = 15;
/** What has not been shown is kept for so long, for a video that stands still. */
export const AHEAD = 30;
/** Slower than this nobody notices, faster everybody does. */
const GENTLE = 1.05, BRISK = 1.15;
/** So many seconds behind is worth the brisk speed. */
const LATE = 1.5;
/** Ranges closer than this are one for a decoder. */
const SLACK = 0.1;

/** @typedef {{start: number, end: number}} Range */

/** @param {TimeRanges|undefined} ranges @returns {Range[]} */
export function listRanges(ranges) {
  return Array.from({ length: ranges?.length ?? 0 }, (_, i) => ({ start: /** @type {TimeRanges} */ (ranges).start(i), end: /** @type {TimeRanges} */ (ranges).end(i) }));
}

/**
 * What a video at time does, whose pictures are there in these ranges.
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

/** Once faster it stays so until the target is met: no to and fro. @param {number} behind @param {number} rate */
function speed(behind, rate) {
  if (behind > LATE) return BRISK;
  if (behind > MOST) return Math.max(GENTLE, rate > 1 ? rate : 1);
  if (behind > TARGET && rate > 1) return GENTLE;
  return 1;
}

/**
 * What can be forgotten.
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
