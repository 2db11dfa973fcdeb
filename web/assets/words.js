// @ts-check
// The descriptions of the protocol, as the pages say them to people. A description that
// is not here is a sentence for people already. Knows no page.

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", hour: "numeric", minute: "2-digit" });

/** @param {string} reason "" for none */
const quoted = (reason) => reason ? ` “${reason}”` : "";

/** @param {string} at a time in UTC @param {number} now */
function until(at, now) {
  const end = new Date(`${at.replace(" ", "T")}Z`);
  return (end.toDateString() === new Date(now).toDateString() ? clock : calendar).format(end);
}

/** @type {[RegExp, (found: string[], now: number) => string][]} */
const sentences = [
  [/^Nickname is already in use\.$/, () => "Somebody here has that name already. Choose another one."],
  [/^Nickname is reserved\.$/, () => "That name is kept for the people who run this place. Choose another one."],
  [/^Nickname is banned\.$/, () => "That name is banned from this room. Choose another one."],
  [/^Nickname is empty\.$/, () => "A name needs at least one letter that can be seen."],
  [/^Nickname is longer than (\d+) characters\.$/, ([, most]) => `A name has at most ${most} characters. Shorten it.`],
  [/^Nickname (?:has|must)/, () => "Some characters of that name can’t be used here. Choose letters and digits."],
  [/^Credential is not valid\.$/, () => "That isn’t a valid pass. Check it and try again, or join without one."],
  [/^Room is locked\.$/, () => "The door is locked right now. You can watch."],
  [/^Room is full\.$/, () => "The room is full right now. You can watch, and try again in a while."],
  [/^You were kicked(?:: ([^]*))?$/, ([, reason]) => `You were sent out.${quoted(reason)}`],
  [/^You are banned until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC(?:: ([^]*))?$/, ([, end, reason], now) => `You are banned until ${until(end, now)}.${quoted(reason)}`],
  [/^The message is longer than (\d+) characters: it has (\d+)\.$/, ([, most, all]) => `That’s ${Number(all) - Number(most)} characters too long. Shorten it and say it again.`],
  [/^You talk too fast\.$/, () => "That was too fast. Wait a moment and say it again."],
  [/^Messages cannot be stored at the moment\.$/, () => "The room can’t keep messages right now. Try again in a moment."],
];

/** Says a description in the words of the pages. @param {string} description @param {number} [now] */
export function inWords(description, now = Date.now()) {
  for (const [pattern, say] of sentences) {
    const found = pattern.exec(description);
    if (found) return say(found, now);
  }
  return description;
}
