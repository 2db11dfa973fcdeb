// @ts-check
// Why the server's WebSockets do not open for this page. A browser says nothing
// about that to a script, so the server is asked.

/** How long the answer may take, in ms. */
const PATIENCE = 10_000;

/** @returns {Promise<string>} in words for people; "" when the server knows nothing of it */
export async function whyUnreachable() {
  try {
    const url = new URL(`../api/v1/reach?origin=${encodeURIComponent(location.origin)}`, import.meta.url);
    const answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    const { why, detail } = await answer.json();
    return String((answer.ok ? why : answer.status === 429 && detail) || "");
  } catch {
    return "";
  }
}
