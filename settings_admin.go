package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// adminSettings are where operators ask, and who else may see figures.
type adminSettings struct {
	Admin       string   `group:"listen" placeholder:"ADDR" help:"Listen here for operators: /metrics, /debug/pprof and all of the API that needs the admin token. --http then answers 404 to those. Default: off."`
	MetricsFrom networks `group:"listen" default:"127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fe80::/10,fc00::/7" placeholder:"CIDR" help:"Addresses that need no admin token for /metrics, and for /debug/pprof of --admin. Empty: nobody. Default: loopback and private ones, unless a proxy brings others from there."`
}

// check refuses an address that cannot be.
func (s *adminSettings) check() error {
	if !listenable(s.Admin) {
		return usagef("--admin: %q is not an address to listen at such as 127.0.0.1:9090", s.Admin)
	}
	return nil
}

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
