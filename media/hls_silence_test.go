package media

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"foyer/server/flv"
)

// TestSilence: ffmpeg decodes the silence of each channel configuration, into nothing
// but zeros.
func TestSilence(t *testing.T) {
	tool(t, "ffmpeg")
	const frames = 10
	channels := []int{0, 1, 2, 3, 4, 5, 6, 8}
	for config := 1; config < len(aacElements); config++ {
		frame := silentFrame(config)
		var adts mpeg4audio.ADTSPackets
		for range frames {
			adts = append(adts, &mpeg4audio.ADTSPacket{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: uint8(config), AU: frame})
		}
		b, err := adts.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-f", "aac", "-i", "pipe:0", "-f", "s16le", "pipe:1")
		cmd.Stdin = bytes.NewReader(b)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil || said.Len() > 0 {
			t.Errorf("configuration %d, %x: %v: %s", config, frame, err, said.String())
		}
		if want := frames * 1024 * 2 * channels[config]; len(out) != want || bytes.Trim(out, "\x00") != nil {
			t.Errorf("configuration %d, %x: %d bytes, want %d of silence", config, frame, len(out), want)
		}
	}
	opus := &codec{fourCC: flv.Opus, channels: 2, timescale: 48000}
	if s := opus.silence(); opus.ticks(s) != 960 {
		t.Errorf("silence of Opus, %x, lasts %d", s, opus.ticks(s))
	}
	if s := (&codec{fourCC: flv.Opus, channels: 6}).silence(); s != nil {
		t.Errorf("silence of six channels of Opus: %x", s)
	}
}
