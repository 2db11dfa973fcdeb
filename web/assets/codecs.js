// @ts-check
// Codecs under the names that people know. Knows no page.

const names = /** @type {[RegExp, string, boolean][]} */ ([
  [/^avc[13]/, "H.264", true], [/^(hvc1|hev1|hevc|h265)/, "HEVC", true], [/^(av01|av1)/, "AV1", true], [/^(vp09|vp9)/, "VP9", true],
  [/^(vp08|vp8)/, "VP8", true], [/^(vvc1|vvi1|vvc)/, "VVC", true], [/^mp4a\.(69|6b|40\.34)/, "MP3", false], [/^mp4a/, "AAC", false],
  [/^opus/, "Opus", false], [/^flac/, "FLAC", false], [/^ac-3/, "AC-3", false], [/^ec-3/, "E-AC-3", false], [/^\.?mp3/, "MP3", false],
]);

/** The codecs in a MIME type. @param {string} mime */
function codecsOf(mime) {
  const list = /codecs\s*=\s*"?([^";]*)/i.exec(mime)?.[1] ?? "";
  return list.split(",").map((codec) => codec.trim()).filter(Boolean);
}

/** The name of a codec. @param {string} codec */
export const codecName = (codec) => names.find(([form]) => form.test(codec.toLowerCase()))?.[1] ?? codec;

/** @param {string} mime */
export const hasPicture = (mime) => codecsOf(mime).some((codec) => names.find(([form]) => form.test(codec.toLowerCase()))?.[2] === true);
/** @param {string} mime */
export const hasSound = (mime) => codecsOf(mime).some((codec) => names.find(([form]) => form.test(codec.toLowerCase()))?.[2] === false);

/**
 * The names of the codecs that cannot be played; none when all can.
 * @param {string} mime
 * @param {(mime: string) => boolean} supported
 */
export function unplayable(mime, supported) {
  if (supported(mime)) return [];
  const container = mime.split(";")[0];
  const bad = codecsOf(mime).filter((codec) => !supported(`${container}; codecs="${codec}"`));
  return (bad.length > 0 ? bad : codecsOf(mime)).map(codecName);
}
