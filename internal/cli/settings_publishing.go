package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// publishingSettings bound what is published.
type publishingSettings struct {
	MaxBitrate bitrate `group:"rooms" default:"50Mbit/s" placeholder:"RATE" help:"Of one broadcast, averaged over ten seconds, as in 50M or 50Mbit/s; a faster one is ended. 0: no limit. Default: ${default}."`
}

// apply takes the settings over, at the start and whenever they have changed.
func (s *publishingSettings) apply(n *node) { n.host.SetMaxBitrate(int64(s.MaxBitrate)) }

// A bitrate is a number of bits a second.
type bitrate int64

// bitrateUnits are what may follow the number, without "bit/s" and the like.
var bitrateUnits = map[string]float64{"": 1, "k": 1e3, "m": 1e6, "g": 1e9}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *bitrate) UnmarshalText(text []byte) error {
	rest := strings.ToLower(strings.TrimSpace(string(text)))
	for _, unit := range []string{"bit/s", "bits/s", "bps", "bit"} {
		if cut, ok := strings.CutSuffix(rest, unit); ok {
			rest = cut
			break
		}
	}
	number := strings.TrimRight(rest, "kmg ")
	unit, ok := bitrateUnits[strings.TrimSpace(rest[len(number):])]
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(n >= 0) || n*unit >= 1<<53 {
		return fmt.Errorf("%q is not a bitrate such as 50M, 50Mbit/s or 8000000", text)
	}
	*b = bitrate(n * unit)
	return nil
}
