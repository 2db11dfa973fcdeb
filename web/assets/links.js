// @ts-check
// The text of a message as the page shows it: with links, and with stacks of accents that
// stay within their line. Nothing in it is ever taken for markup.

/** Where an address begins, and all that can belong to it. */
const ADDRESS = /https?:\/\/[\p{L}\p{N}[][^\s<>"'“”„«»]*/giu;
/** Characters that end a sentence, and not an address before it. */
const STOPS = ".,;:!?…。、，．！？；：";
/** Brackets, each with the one that closes it. */
const BRACKETS = new Map(["()", "[]", "{}", "（）", "「」", "『』", "【】", "〔〕", "〈〉", "《》"].map(([open, close]) => [close, open]));

/**
 * A letter under more accents than any spelling has, or no letter: three of those that go
 * on any letter, or five of whatever script.
 */
const STACKED = /((?:[^\p{M}\n]|(?<![^\n]))(?:\p{M}{5,}|[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3,}\p{M}*))/u;

/**
 * How much of a text is the address: without what ends the sentence around it, and
 * without brackets that it has not opened.
 * @param {string} text
 */
function addressLength(text) {
  /** @type {Map<string, number>} */ const left = new Map();
  for (const char of text) left.set(char, (left.get(char) ?? 0) + 1);
  for (let end = text.length; end > 0; end--) {
    const last = text[end - 1], open = BRACKETS.get(last);
    const outer = open !== undefined && (left.get(last) ?? 0) > (left.get(open) ?? 0);
    if (!outer && !STOPS.includes(last)) return end;
    left.set(last, (left.get(last) ?? 0) - 1);
  }
  return 0;
}

/** @param {string} text @returns {(string|HTMLElement)[]} */
function plain(text) {
  return text.split(STACKED).map((part, i) => i % 2 === 0 ? part : element("span", part, "stacked")).filter((part) => part !== "");
}

/** @param {"span"|"a"} tag @param {string} text @param {string} [name] of its class @returns {any} */
function element(tag, text, name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = name;
  return made;
}

/** @param {string} address */
function link(address) {
  const made = element("a", "");
  made.append(...plain(address));
  made.href = address;
  made.rel = "noopener noreferrer nofollow";
  made.target = "_blank";
  return made;
}

/**
 * Turns a text into what the page shows of it.
 * @param {string} text
 * @returns {(string|HTMLElement)[]}
 */
export function linked(text) {
  const parts = [];
  let done = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = found.slice(0, addressLength(found));
    if (!URL.canParse(address)) continue;
    parts.push(...plain(text.slice(done, index)), link(address));
    done = index + address.length;
  }
  return [...parts, ...plain(text.slice(done))];
}
