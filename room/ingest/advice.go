package ingest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"foyer/server/flv"
)

// When something hurts viewers.
const (
	settled       = 5 * time.Second         // anything that has not come by then is missing
	stalled       = 3 * time.Second         // without sound and pictures
	longKeyFrames = 4200 * time.Millisecond // a setting of 4 s is fine
	heavyBitrate  = 8e6                     // bits a second of video
	slowFrames    = 15                      // a second
	slowSpeed     = 0.95
	fastSpeed     = 1.2
	wideDrift     = 500 * time.Millisecond // between sound and picture
	movedDrift    = 200                    // ms, since the beginning
	standing      = 100                    // ms that a clock goes on in a second, if it stands
	slowestFrames = 5                      // a second, of which a clock is expected to go on
)

// advise says what hurts, and what to change in the encoder.
func (in *observed) advise(h Health, s sum, moved float64, age time.Duration) []string {
	list := []string{}
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	if h.Silent >= stalled {
		say(true, "Nothing has come from the encoder for %.0f seconds: check its connection.", math.Floor(h.Silent.Seconds()))
		return list
	}
	in.adviseVideo(h, s, age, say)
	in.adviseAudio(h, age, say)
	in.habits.advise(h.VideoCodec, say)
	say(h.Speed > 0 && h.Speed < slowSpeed,
		"The stream comes at %.0f %% of its speed: the upload is too slow. Lower the bitrate, or use a better connection.", 100*h.Speed)
	say(h.Speed > fastSpeed, "The stream comes %.1f times as fast as it plays: send it in real time (ffmpeg: -re before -i).", h.Speed)
	say(s.back > 0, "Timestamps run backwards: restart the encoder, and use one clock for sound and picture.")
	silent, still := s.stands(s.sounds, s.heard), s.stands(s.frames, s.seen)
	say(silent, "The timestamps of the sound stand still: use one clock for sound and picture.")
	say(still, "The timestamps of the picture stand still: use one clock for sound and picture.")
	both := h.VideoCodec != "" && h.AudioCodec != "" && !silent && !still
	say(both && h.Drift >= wideDrift,
		"Sound comes %s its picture: set the audio delay (sync offset) in the encoder to 0, and choose a faster encoder setting if its pictures take long.", apart(h.Drift))
	say(both && h.Drift <= -wideDrift,
		"Sound comes %s its picture: set the audio delay (sync offset) in the encoder to 0.", apart(h.Drift))
	say(both && math.Abs(moved) > movedDrift && h.Drift.Abs() < wideDrift,
		"Sound and picture drift apart: use the same sample rate in the encoder and in the sound device.")
	return list
}

func (in *observed) adviseVideo(h Health, s sum, age time.Duration, say func(bool, string, ...any)) {
	if h.VideoCodec == "" {
		say(age >= settled, "There is no picture. If there should be one, add a video source in the encoder.")
		return
	}
	configured := slices.Contains([]string{flv.AVC.Name(), flv.HEVC.Name(), flv.AV1.Name()}, in.video.codec)
	say(in.video.frames > 0 && configured && !in.video.header,
		"The encoder does not send the %s sequence header: nobody can decode the picture. Stop and start the stream.", h.VideoCodec)
	say(in.keys == 0 && in.video.frames > 0 && age >= settled,
		"There are no key frames, so nobody can begin to watch: set the keyframe interval to 2 seconds.")
	say(h.KeyFrames > longKeyFrames,
		"Key frames come every %.0f seconds, and viewers wait for one: set the keyframe interval to 2 seconds.", math.Round(h.KeyFrames.Seconds()))
	switch in.video.codec {
	case flv.AVC.Name():
		say(in.picture.width > 0 && !in.picture.common,
			"Browsers do not play H.264 %s: choose profile high (or main) and the colour format NV12 or I420.", in.picture.profile)
	case flv.HEVC.Name():
		say(true, "Many browsers do not play H.265: choose H.264 if not everybody can watch.")
	case flv.AV1.Name(), flv.VP9.Name():
		say(true, "Some browsers, and most phones and televisions over HLS, do not play %s: choose H.264 if not everybody can watch.", h.VideoCodec)
	default:
		say(in.video.frames > 0, "Browsers do not play %s video: choose H.264.", h.VideoCodec)
	}
	say(h.BFrames, "B-frames add delay, and some players stutter with them: set B-frames (bf) to 0, or tune to zerolatency.")
	say(h.VideoBitrate > heavyBitrate,
		"The picture takes %.0f Mbit/s, more than many viewers can receive: 2.5 to 6 Mbit/s are enough for up to 1080p.", h.VideoBitrate/1e6)
	say(h.FPS > 0 && h.FPS < slowFrames && s.seconds >= int(settled/time.Second),
		"Only %.0f frames come a second: choose 25 or 30, or a lighter encoder setting if the machine is too slow.", h.FPS)
}

func (in *observed) adviseAudio(h Health, age time.Duration, say func(bool, string, ...any)) {
	switch in.audio.codec {
	case "":
		say(in.audio.frames == 0 && age >= settled, "There is no sound. If there should be some, add an audio source in the encoder.")
		say(in.audio.frames > 0, "The encoding of the sound is unknown: choose AAC.")
	case flv.AAC.Name():
		say(in.audio.frames > 0 && !in.audio.header,
			"The encoder does not send the AAC sequence header: nobody can decode the sound. Stop and start the stream.")
	case flv.Opus.Name(), flv.MP3.Name(), flv.FLAC.Name():
	default:
		say(true, "Browsers do not play %s sound: choose AAC.", h.AudioCodec)
	}
}

// apart says by how much.
func apart(d time.Duration) string {
	tenths := math.Round(10*d.Abs().Seconds()) / 10
	if d > 0 {
		return fmt.Sprintf("%.1f seconds before", tenths)
	}
	return fmt.Sprintf("%.1f seconds after", tenths)
}
