package cli

import "testing"

func TestMaxBitrateSetting(t *testing.T) {
	for text, want := range map[string]bitrate{
		"": 50e6, "50M": 50e6, "50Mbit/s": 50e6, "8000000": 8e6, "0": 0, "2.5 Mbit/s": 2.5e6, "800k": 800e3, "1Gbps": 1e9, "64kbit": 64e3,
		"-1": -1, "fast": -1, "5X": -1, "NaN": -1, "5MB": -1, "1kM": -1, "9999999999G": -1,
	} {
		var args []string
		if text != "" {
			args = []string{"serve", "--max-bitrate=" + text}
		}
		s, err := serveSettings(t, args, nil)
		if (err != nil) != (want < 0) || err == nil && s.Publishing.MaxBitrate != want {
			t.Errorf("%q: %v, want %d", text, err, want)
		}
	}
}
