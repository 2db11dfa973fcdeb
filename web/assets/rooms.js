// @ts-check
// What the lobby page knows about rooms: which ones match, in which order, and how
// lively each has been. Knows no page.

/**
 * A room as the lobby lists it (lobby/PROTOCOL.md).
 * @typedef {{name: string, title: string, topic: string, tags: string[], users: number, spectators: number,
 *   viewers: number, publishers: number, messagesPerMinute: number, activity: number, lastActive: number,
 *   live: boolean, streams: string[], capacity: number, locked: boolean, restarting?: boolean, state: "live"|"stale", since: number,
 *   node: string, http: string, pinned?: boolean}} Entry
 *
 * @typedef {{text: string, tag: string, sort: string, live: boolean}} Query
 */

/** @param {string} search of an address @returns {Query} */
export function parseQuery(search) {
  const params = new URLSearchParams(search);
  const sort = params.get("sort") ?? "";
  return {
    text: params.get("q") ?? "",
    tag: params.get("tag") ?? "",
    sort: Object.hasOwn(orders, sort) ? sort : "activity",
    live: ["1", "true", "on"].includes(params.get("live") ?? ""),
  };
}

/** The part of an address that parseQuery reads; "" if nothing is set. @param {Query} query */
export function formatQuery({ text, tag, sort, live }) {
  const params = new URLSearchParams();
  if (text) params.set("q", text);
  if (tag) params.set("tag", tag);
  if (sort !== "activity") params.set("sort", sort);
  if (live) params.set("live", "1");
  const search = params.toString();
  return search && `?${search}`;
}

/** @type {Record<string, (a: Entry, b: Entry) => number>} */
const orders = {
  activity: (a, b) => Number(a.state === "stale") - Number(b.state === "stale") || b.activity - a.activity || b.users - a.users,
  users: (a, b) => b.users - a.users || b.activity - a.activity,
  newest: (a, b) => b.since - a.since,
  name: (a, b) => collator.compare(a.title || a.name, b.title || b.name),
};
const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });

/**
 * The rooms that match a query, in its order.
 * @param {Iterable<Entry>} entries
 * @param {Query} query
 * @returns {Entry[]}
 */
export function find(entries, { text, tag, sort, live }) {
  const wanted = text.trim().toLowerCase();
  const chosen = tag.toLowerCase();
  const order = orders[sort] ?? orders.activity;
  return [...entries]
    .filter((entry) => !live || entry.live)
    .filter((entry) => !chosen || entry.tags.some((t) => t.toLowerCase() === chosen))
    .filter((entry) => !wanted || [entry.name, entry.title, entry.topic, ...entry.tags].some((s) => s.toLowerCase().includes(wanted)))
    .sort((a, b) => Number(b.pinned ?? false) - Number(a.pinned ?? false) || order(a, b) || (a.name < b.name ? -1 : 1));
}

/** @param {any} slot the value of a slot of "rooms" @param {string} name @returns {Entry} */
export function entry(slot, name) {
  return {
    title: "", topic: "", tags: [], users: 0, spectators: 0, viewers: 0, publishers: 0, messagesPerMinute: 0, activity: 0,
    lastActive: 0, live: false, streams: [], capacity: 0, locked: false, state: "live", since: 0, node: "", http: "", ...slot, name,
  };
}

/** @param {number} n @param {string} one @param {string} many */
export const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;

/** A room is new for so many ms, and a card counts minutes in words for as long. */
const NEW = 10 * 60_000;

/** @param {Entry} room @param {number} now by the server's clock */
export const isNew = ({ state, since }, now) => state !== "stale" && now - since < NEW;

/** The number of whole minutes in words. @param {number} ms */
const minutes = (ms) => count(Math.floor(ms / 60_000), "minute", "minutes");

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });

/** Says how lively a room is, as the server does (web/card.go). @param {Entry} room @param {number} now by the server's clock */
export function mood(room, now) {
  const { activity, messagesPerMinute, restarting, since, lastActive } = room;
  if (restarting) return "Restarting";
  const word = activity < 0.02 ? "Silent" : activity < 0.2 ? "Quiet" : activity < 0.5 ? "Talking" : activity < 0.8 ? "Lively" : "Buzzing";
  const rate = Math.round(messagesPerMinute);
  if (rate > 0) return `${word}, ${count(rate, "message", "messages")} a minute`;
  if (activity >= 0.2) return word;
  if (activity < 0.02 && isNew(room, now)) return `Opened ${now - since < 60_000 ? "just now" : `${minutes(now - since)} ago`}`;
  const calm = now - lastActive;
  if (lastActive <= 0 || calm < 60_000) return word;
  return calm < NEW ? `${word} for ${minutes(calm)}` : calm < 20 * 3600_000 ? `${word} since ${clock.format(lastActive)}` : word;
}

/** @param {string} word */
const uncapital = (word) => word.charAt(0).toLowerCase() + word.slice(1);

/** Says everything about a card in one phrase, as the name of its link. @param {Entry} room @param {number} [now] by the server's clock */
export function spoken(room, now = 0) {
  const { title, name, users, viewers, live, locked, capacity, state } = room;
  return [
    title || name,
    live && "on air",
    count(users, "person", "people"),
    live && viewers > 0 && `${viewers} watching`,
    state === "stale" ? "out of touch" : uncapital(mood(room, now)),
    locked && "locked",
    capacity > 0 && users >= capacity && "full",
  ].filter(Boolean).join(", ");
}

/** How long activity is remembered, and how often it is noted. */
const SPAN = 10 * 60_000;
export const SAMPLE = 10_000;

/** The activity of the last ten minutes, by room: what the lobby recorded, and what we have seen since. */
export class Past {
  /** @type {Map<string, [at: number, activity: number][]>} */ #samples = new Map();

  /** @param {string} name @param {number} activity @param {number} now */
  note(name, activity, now) {
    let samples = this.#samples.get(name);
    if (!samples) this.#samples.set(name, (samples = []));
    const last = samples.at(-1);
    if (last && now - last[0] < SAMPLE / 2) last[1] = Math.max(last[1], activity);
    else samples.push([now, activity]);
    while (samples.length > 0 && now - samples[0][0] > SPAN) samples.shift();
  }

  /**
   * The points of the line: x is 0 ten minutes ago and 1 now, y is 0 to 1.
   * @param {string} name @param {number} activity now @param {number} now
   * @returns {[x: number, y: number][]}
   */
  points(name, activity, now) {
    const samples = [...(this.#samples.get(name) ?? []), [now, activity]];
    return samples.filter(([at]) => now - at <= SPAN).map(([at, y]) => [1 - (now - at) / SPAN, Math.min(1, y)]);
  }

  /** Forgets all other rooms. @param {{has: (name: string) => boolean}} rooms */
  keep(rooms) {
    for (const name of this.#samples.keys()) if (!rooms.has(name)) this.#samples.delete(name);
  }

  /**
   * Takes the lobby's record (its method trends), except where ours is newer.
   * @param {string} name @param {string} trend a character a sample, oldest first
   * @param {number} at when the last was noted, by our clock
   * @param {number} [step] ms between two
   */
  seed(name, trend, at, step = SAMPLE) {
    const newer = (this.#samples.get(name) ?? []).filter(([when]) => when > at);
    const noted = Array.from(trend, (sample, i) => /** @type {[number, number]} */ ([at - (trend.length - 1 - i) * step, parseInt(sample, 36) / 35]));
    this.#samples.set(name, [...noted, ...newer]);
  }
}
