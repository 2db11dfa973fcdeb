package cli

import (
	"fmt"
	"net/netip"
	"strings"
)

// networks are addresses, one by one or by the prefix that they have in common,
// with commas between them. Nothing is none.
type networks []netip.Prefix

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *networks) UnmarshalText(text []byte) error {
	*n = networks{}
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
func (n networks) String() string {
	items := make([]string, len(n))
	for i, prefix := range n {
		items[i] = prefix.String()
	}
	return strings.Join(items, ",")
}
