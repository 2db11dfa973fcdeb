package cli

import (
	"strings"
	"testing"
	"time"
)

// A time that is written otherwise than here is refused with the right way.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		err  string
	}{
		{"30s", 30 * time.Second, ""}, {" 1h30m ", 90 * time.Minute, ""}, {"0", 0, ""}, {"-1s", -time.Second, ""}, {"1.5h", 90 * time.Minute, ""},
		{"30", 0, `"30" has no unit: say 30s`}, {"-30", 0, "say -30s"}, {"0.5", 0, "say 500ms"}, {"90", 0, "say 1m30s"}, {"3600", 0, "say 1h"},
		{"30sec", 0, "say 30s"}, {"30 s", 0, "say 30s"}, {"30S", 0, "say 30s"}, {"1d", 0, "say 24h"}, {"30d", 0, "say 720h"}, {"1w", 0, "say 168h"},
		{"1.5 days", 0, "say 36h"}, {"10 minutes", 0, "say 10m"}, {"1,5s", 0, "say 1.5s"}, {"1h30", 0, "say 1h30m"}, {"10m30", 0, "say 10m30s"}, {"1h 30m", 0, "say 1h30m"},
		{"", 0, "there is no time: say 30s"}, {"soon", 0, `"soon" is not a time such as 30s`}, {"1:30", 0, "is not a time such as"}, {"PT30S", 0, "is not a time"},
		{"30parsecs", 0, "is not a time"}, {"99999999999d", 0, "is not a time"}, {"1e3", 0, "is not a time"}, {"NaN", 0, "is not a time"},
	} {
		d, err := parseTime(c.text)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || d != c.want {
			t.Errorf("%q: %v, %v; want %v, %q", c.text, d, err, c.want, c.err)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		err  string
	}{
		{"100", 100, ""}, {" 100 ", 100, ""}, {"0100", 100, ""}, {"-1", -1, ""},
		{"1,000", 0, "say 1000"}, {"10_000", 0, "say 10000"}, {"1 000", 0, "say 1000"},
		{"", 0, "such as 100"}, {"1,2", 0, "such as 100"}, {"many", 0, `"many" is not a whole number such as 100`}, {"1.5", 0, "whole"}, {"1k", 0, "whole"}, {"99999999999999999999", 0, "too large"},
	} {
		n, err := parseNumber(c.text)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || n != c.want {
			t.Errorf("%q: %v, %v; want %v, %q", c.text, n, err, c.want, c.err)
		}
	}
}
