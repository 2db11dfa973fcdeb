package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"foyer/web"
)

// addrSettings are how this server knows others and is known to them: by which
// addresses and names.
type addrSettings struct {
	TrustedProxies networks `group:"self" placeholder:"CIDR" help:"Addresses of proxies in front of this server, as in 127.0.0.1 or 10.0.0.0/8. They say where their clients come from: by X-Forwarded-For, X-Forwarded-Proto and Forwarded, and by a PROXY header on any port. Default: none."`
	Origins        []string `group:"self" placeholder:"ORIGIN" help:"Other sites whose pages may connect to this server, as in https://example.org. Those of --public-http always may."`
	AllowedHosts   []string `group:"self" placeholder:"HOST" help:"The only names by which browsers may ask for this server, for one inside a network. Default: any."`
}

// check refuses what is no address.
func (a *addrSettings) check() error {
	for _, origin := range a.Origins {
		if _, err := web.CheckOrigin(origin); origin != "" && err != nil {
			return usagef("--origins: %q: %v", origin, err)
		}
	}
	for _, host := range a.AllowedHosts {
		if _, _, err := web.CheckHost(host); host != "" && err != nil {
			return usagef("--allowed-hosts: %q: %v", host, err)
		}
	}
	return nil
}

// checkPublic refuses what others could not use to get here, and tidies it.
func (s *settings) checkPublic() error {
	s.PublicRTMP, s.PublicHTTP = strings.TrimRight(s.PublicRTMP, "/"), strings.TrimRight(s.PublicHTTP, "/")
	if why := notPublic(s.PublicHTTP, "http", nil); why != "" {
		return usagef("--public-http: %q %s", s.PublicHTTP, why)
	}
	if why := notPublic(s.PublicRTMP, "rtmp", s.Mount); why != "" {
		return usagef("--public-rtmp: %q %s", s.PublicRTMP, why)
	}
	return nil
}

// notPublic says why an address is none of that scheme, plain or over TLS, to
// which the path of a room can be added; "" when it is one. It may end in one of
// the paths.
func notPublic(address, scheme string, paths []string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	like := scheme + "://live.example.org"
	switch {
	case err != nil || u.Scheme != scheme && u.Scheme != scheme+"s" || u.Hostname() == "" || !portCanBe(u.Port()) || strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }):
		return fmt.Sprintf("is not an address such as %s: it needs the scheme %s:// or %ss:// and a host", like, scheme, scheme)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return fmt.Sprintf("has more than a scheme, a host and a port, as in %s: leave the rest out", like)
	}
	path := strings.Trim(u.Path, "/")
	if path == "" || slices.ContainsFunc(paths, func(p string) bool { return strings.Trim(p, "/") == path }) {
		return ""
	}
	return fmt.Sprintf("has a path, under which there is nothing: leave it out, as in %s", like)
}

// access is whose pages may connect, and which hosts may be asked for.
func (s *settings) access() web.Access {
	origins := s.Origins
	if s.PublicHTTP != "" {
		origins = append([]string{s.PublicHTTP}, origins...)
	}
	return web.Access{Origins: origins, Hosts: s.AllowedHosts}
}

// applyAddr has a running node take over --trusted-proxies, --origins and
// --allowed-hosts of settings that were read again.
func (n *node) applyAddr(s *settings) {
	n.trustProxies(s)
	fresh := *s
	fresh.PublicHTTP = n.settings.PublicHTTP // which needs a new start
	n.pages.SetAccess(fresh.access())
}

// trustProxies tells the guard whose word counts.
func (n *node) trustProxies(s *settings) {
	limits := n.guard.Limits()
	limits.Proxies = s.TrustedProxies
	n.guard.Set(limits)
}

// runsOn reports whether it is that node that runs a room: a claim is written by
// nodes only.
func (n *node) runsOn(ctx context.Context, room, node string) bool {
	owned, err := n.store.Find(ctx, "room/"+strings.ToLower(room))
	return err == nil && owned != nil && owned.Node == node
}
