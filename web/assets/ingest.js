// @ts-check
// Sentences about what a publisher sends. Knows no page.

/** @param {number} bits a second */
export const bitrate = (bits) => bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`;

/** @param {(string|false|undefined|0)[]} parts */
const sentence = (parts) => {
  const words = parts.filter(Boolean).join(", ");
  return words && `${words}.`;
};

/** @param {number} n */
const rounded = (n) => String(Number(n.toFixed(1)));

/**
 * In one sentence, from the slot "ingest" of the shared object "room".
 * @param {{video?: string, audio?: string, width?: number, height?: number, fps?: number, bitrate?: number}} report
 */
export function inShort({ video, audio, width = 0, height = 0, fps = 0, bitrate: bits = 0 }) {
  const codecs = [video, audio].filter(Boolean).join(" and ");
  return sentence([codecs, width > 0 && `${width} × ${height}`, fps > 0 && `${fps} frames a second`, bits > 0 && bitrate(bits)]);
}

/**
 * In full, from /api/v1/rooms/NAME/ingest.
 * @param {any} report of one stream
 * @returns {string[]} sentences
 */
export function inFull({ encoder, video, audio, drift = 0, speed = 0, silent = 0 }) {
  const picture = video && sentence([
    `Picture: ${[video.codec, video.profile].filter(Boolean).join(" ")}`,
    video.width > 0 && `${video.width} × ${video.height}`,
    video.fps > 0 && `${rounded(video.fps)} a second`,
    video.bitrate > 0 && bitrate(video.bitrate),
    video.keyFrames > 0 && `a key frame every ${rounded(video.keyFrames / 1000)} s`,
    video.bFrames ? "with B-frames" : "without B-frames",
  ]);
  const sound = audio && sentence([
    `Sound: ${audio.codec}`,
    audio.sampleRate > 0 && `${rounded(audio.sampleRate / 1000)} kHz`,
    audio.channels > 0 && (audio.channels === 1 ? "mono" : audio.channels === 2 ? "stereo" : `${audio.channels} channels`),
    audio.bitrate > 0 && bitrate(audio.bitrate),
  ]);
  return [
    picture || "No picture.", sound || "No sound.",
    Math.abs(drift) >= 50 && `The sound is ${rounded(Math.abs(drift) / 1000)} s ${drift > 0 ? "ahead of" : "behind"} the picture.`,
    speed > 0 && Math.abs(speed - 1) >= 0.02 && `It arrives at ${Math.round(speed * 100)} % of its normal speed.`,
    silent >= 2000 && `Nothing has arrived for ${Math.round(silent / 1000)} s.`,
    encoder && `Sent by ${encoder}.`,
  ].filter(Boolean);
}
