// @ts-check
// What was recorded of a room: asked for when somebody wants to know.

/** @param {number} ms */
export function lasting(ms) {
  const all = Math.round(ms / 1000), hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60, seconds = all % 60;
  return [hours > 0 && `${hours} h`, (hours > 0 || minutes > 0) && `${minutes} min`, hours === 0 && `${seconds} s`].filter(Boolean).join(" ");
}

/** @param {number} bytes */
export const weight = (bytes) => bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(0.1, bytes / 1e6).toFixed(1)} MB`;

/** @typedef {{title: string, url: string, name: string}} Chosen */

/** @param {HTMLDetailsElement} box @param {string} room @param {(recording: Chosen) => void} watch */
export function showRecordings(box, room, watch) {
  const list = /** @type {Element} */ (box.querySelector("ul")), words = /** @type {Element} */ (box.querySelector("p"));
  box.addEventListener("toggle", async () => {
    if (!box.open) return;
    words.textContent = "Looking…";
    list.replaceChildren();
    const url = new URL(`../api/v1/rooms/${encodeURIComponent(room)}/recordings`, import.meta.url);
    try {
      const answer = await fetch(url);
      const { recordings = [] } = answer.ok ? await answer.json() : {};
      list.append(...recordings.reverse().map((/** @type {any} */ recording) => item(recording, watch)));
      words.textContent = !answer.ok ? "The server does not say." : recordings.length > 0 ? "As files they are FLV, for VLC and most other players." : "Nothing has been recorded.";
    } catch {
      words.textContent = "There is no connection right now.";
    }
  });
}

/** @param {any} recording @param {(recording: Chosen) => void} watch */
function item({ name, stream, at, duration, bytes, live, url }, watch) {
  const li = document.createElement("li"), link = document.createElement("a"), facts = document.createElement("span");
  const title = `${stream}, ${new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`;
  link.href = new URL(url, import.meta.url).href;
  link.download = name;
  link.textContent = title;
  facts.textContent = ` ${live ? "still going on" : lasting(duration)}, ${weight(bytes)}`;
  li.append(link, facts);
  if (live) return li; // it has no end to seek to
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Watch";
  button.setAttribute("aria-label", `Watch ${title}`);
  button.addEventListener("click", () => watch({ title, url: link.href, name }));
  li.append(" ", button);
  return li;
}
