package node

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"foyer/store"
)

// A NATSURL is the address of a NATS. It may have a password in it, which never
// shows in a log.
type NATSURL string

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *NATSURL) UnmarshalText(text []byte) error {
	for address := range strings.SplitSeq(string(text), ",") {
		parsed, err := url.Parse(strings.TrimSpace(address))
		if err != nil || parsed.Host == "" || !PortCanBe(parsed.Port()) || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, parsed.Scheme) {
			return fmt.Errorf("an address is not one such as nats://host:4222 or tls://user:password@host:4222")
		}
	}
	*u = NATSURL(text)
	return nil
}

// PortCanBe reports whether a URL's port is one, or left out.
func PortCanBe(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

// LogValue implements slog.LogValuer.
func (u NATSURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText keeps its secrets out of JSON, inside a struct too.
func (u NATSURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// String keeps its secrets out of %v; convert to string for its value.
func (u NATSURL) String() string {
	if u == "" {
		return ""
	}
	return store.Redacted(string(u))
}

// A Size is a number of bytes, written with a unit.
type Size int64

// sizeUnits are the units of a size; the longest that fits is meant.
var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	for _, unit := range sizeUnits {
		number, ok := cutSuffixFold(strings.TrimSpace(string(text)), unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(n >= 0) || n*unit.bytes >= 1<<62 {
			break
		}
		*s = Size(n * unit.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size such as 500MB or 20GB", text)
}

func cutSuffixFold(s, suffix string) (before string, ok bool) {
	i := len(s) - len(suffix)
	if i < 0 || !strings.EqualFold(s[i:], suffix) {
		return s, false
	}
	return s[:i], true
}

// A Bitrate is a number of bits a second.
type Bitrate int64

// bitrateUnits are what may follow the number, without "bit/s" and the like.
var bitrateUnits = map[string]float64{"": 1, "k": 1e3, "m": 1e6, "g": 1e9}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bitrate) UnmarshalText(text []byte) error {
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
	*b = Bitrate(n * unit)
	return nil
}

// Networks are addresses, one by one or by the prefix that they have in common,
// with commas between them. Nothing is none.
type Networks []netip.Prefix

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Networks) UnmarshalText(text []byte) error {
	*n = Networks{}
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(item)
		if addr, addrErr := netip.ParseAddr(item); addrErr == nil && addr.Zone() == "" {
			prefix, err = addr.Unmap().Prefix(addr.Unmap().BitLen())
		}
		if err != nil {
			return fmt.Errorf("%q is not an address, or many, such as 192.0.2.1 or 10.0.0.0/8", item)
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		*n = append(*n, prefix.Masked())
	}
	return nil
}

// String is what UnmarshalText reads.
func (n Networks) String() string {
	items := make([]string, len(n))
	for i, prefix := range n {
		items[i] = prefix.String()
	}
	return strings.Join(items, ",")
}
