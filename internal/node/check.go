package node

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"foyer/room"
	"foyer/room/nick"
	"foyer/web"
)

// RoomNames is the rule of room.ValidName in words.
const RoomNames = "1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first"

// Check refuses settings that contradict each other, and tidies the rest. Its
// errors name the flag to look at.
func (s *Settings) Check() error {
	for _, list := range []*[]string{&s.Apps, &s.Mount, &s.Rooms, &s.Record, &s.TLSAuto, &s.Origins, &s.AllowedHosts} {
		*list = trimmed(*list)
	}
	return cmp.Or(
		s.checkApps(), s.checkListeners(), s.checkRooms(), s.checkTimes(),
		s.TLSSettings.check(s.TLSCert), s.Limits.check(), s.Store.check(), s.People.check(),
		s.AddrSettings.check(), s.checkPublic(), s.checkNodes(), s.checkSelf(),
	)
}

// checkSelf refuses an empty name, and pages that are not there.
func (s *Settings) checkSelf() error {
	if s.Node == "" {
		return errors.New("--node: the name of this process is empty")
	}
	if s.Assets == "" {
		return nil
	}
	if info, err := os.Stat(s.Assets); err != nil || !info.IsDir() {
		return fmt.Errorf("--assets: there is no folder %s", s.Assets)
	}
	return nil
}

// trimmed is a list without the blanks around its items, and without empty ones.
func trimmed(list []string) []string {
	if list == nil {
		return nil
	}
	items := make([]string, 0, len(list))
	for _, item := range list {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// checkApps refuses applications that do not exist, and settings for one that
// does not run here.
func (s *Settings) checkApps() error {
	for _, app := range s.Apps {
		if app != "lobby" && app != "room" {
			return fmt.Errorf("--apps: %q is not an application; the applications are lobby and room", app)
		}
	}
	switch {
	case len(s.Apps) == 0:
		return errors.New("--apps: name lobby, room or both")
	case len(s.Rooms) > 0 && !s.Hosts("room"):
		return errors.New("--rooms needs the application room: add it to --apps")
	case len(s.Record) > 0 && !s.Hosts("room"):
		return errors.New("--record needs the application room: add it to --apps")
	}
	return nil
}

// checkListeners refuses addresses at which nothing can listen, and half a
// certificate.
func (s *Settings) checkListeners() error {
	switch {
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key belong together: give both")
	case s.RTMPS != "" && !s.secure():
		return errors.New("--rtmps needs --tls-cert and --tls-key, or --tls-auto")
	}
	listeners := []struct {
		flag, port string
		addr       *string
		off        bool // when it is empty
	}{{"--rtmp", "1935", &s.RTMP, false}, {"--http", "8080", &s.HTTP, false}, {"--rtmps", "1936", &s.RTMPS, true}, {"--admin", "9090", &s.Admin, true}}
	for i, l := range listeners {
		*l.addr = strings.TrimSpace(*l.addr)
		if *l.addr == "" && l.off {
			continue
		}
		if err := CheckListen(l.flag, *l.addr, l.port); err != nil {
			return err
		}
		for _, other := range listeners[:i] {
			if collide(*other.addr, *l.addr) {
				return fmt.Errorf("%s and %s cannot both listen at %s: give them different ports", other.flag, l.flag, *l.addr)
			}
		}
	}
	return nil
}

// checkRooms refuses names that no room can have, and rooms without people.
func (s *Settings) checkRooms() error {
	switch {
	case slices.ContainsFunc(s.Mount, func(path string) bool { return strings.ContainsFunc(path, unicode.IsSpace) }):
		return errors.New("--mount: a path has no spaces")
	case s.MaxUsers < 1:
		return errors.New("--max-users must be at least 1")
	case s.Lobby != "" && !isRTMP(s.Lobby):
		return fmt.Errorf("--lobby: %q is not an absolute address such as rtmp://host/lobby%s", s.Lobby, onWeb(s.Lobby))
	}
	s.Lobby = LobbyOf(s.Lobby)
	for _, name := range s.Rooms {
		if !room.ValidName(name) {
			return fmt.Errorf("--rooms: %q is not the name of a room: the name of a room has %s; commas go between two", name, RoomNames)
		}
	}
	for _, name := range s.Record {
		if !room.ValidName(name) {
			return fmt.Errorf("--record: %q is not the name of a room: %s, or all for every room", name, RoomNames)
		}
	}
	return nil
}

// onWeb is what to add about an address of the web where one of RTMP is wanted.
func onWeb(address string) string {
	if u, err := url.Parse(address); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" {
		return fmt.Sprintf(", but of the web: rtmp://%s/lobby is that server's lobby, unless its port is another one than 1935", u.Hostname())
	}
	return ""
}

// checkTimes refuses times, and a history, that are too short.
func (s *Settings) checkTimes() error {
	switch {
	case s.Idle <= 0 || s.StaleAfter <= 0 || s.GoneAfter <= 0:
		return errors.New("--idle, --stale-after and --gone-after must be longer than 0s")
	case s.History < 1 || s.HistoryAge < time.Minute:
		return errors.New("--history must be at least 1, --history-age at least 1m")
	case s.Grace < 0:
		return errors.New("--grace must not be negative")
	case s.Drain < 0:
		return errors.New("--drain must not be negative")
	}
	return nil
}

// isRTMP reports whether a text begins as an absolute RTMP address does.
func isRTMP(uri string) bool {
	return strings.HasPrefix(uri, "rtmp://") || strings.HasPrefix(uri, "rtmps://")
}

// check refuses certificates that no authority could give.
func (s *TLSSettings) check(certFile string) error {
	switch {
	case len(s.TLSAuto) > 0 && certFile != "":
		return errors.New("--tls-auto gets the certificate that --tls-cert has: give only one of them")
	case len(s.TLSAuto) == 0 && (s.ACMEDirectory != "" || s.ACMECA != ""):
		return errors.New("--acme-directory and --acme-ca are for --tls-auto: name the hosts")
	}
	for _, host := range s.TLSAuto {
		if host == "" || strings.ContainsAny(host, "*/: ") || net.ParseIP(host) != nil {
			return fmt.Errorf("--tls-auto: %q is not the name of a host such as live.example.org", host)
		}
		if s.ACMEDirectory == "" && onlyHere(host) {
			return fmt.Errorf("--tls-auto: no public authority gives a certificate for %q: name a host that the internet knows, or files with --tls-cert and --tls-key", host)
		}
	}
	if u, err := url.Parse(s.ACMEDirectory); s.ACMEDirectory != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("--acme-directory: %q is not an address such as https://acme.example.org/directory", s.ACMEDirectory)
	}
	return nil
}

// check refuses limits that let nobody in.
func (l *LimitSettings) check() error {
	switch {
	case l.MaxConnections < 0 || l.AddressConnections < 0 || l.AddressRate < 0 || l.AddressRooms < 0:
		return errors.New("--max-connections, --address-connections, --address-rate and --address-rooms must not be negative")
	case l.MaxRooms < 1:
		return errors.New("--max-rooms must be at least 1")
	}
	return nil
}

// check refuses nicks that nobody could have anyway, and tidies the rest.
func (s *PeopleSettings) check() error {
	names := s.ReservedNicks
	s.ReservedNicks = nil
	for _, typed := range names {
		if strings.TrimSpace(typed) == "" {
			continue
		}
		name, wrong := nick.Parse(typed)
		if wrong != "" {
			return fmt.Errorf("--reserved-nicks: %.200q cannot be anybody's nick: %s", typed, wrong)
		}
		s.ReservedNicks = append(s.ReservedNicks, name)
	}
	return nil
}

// check refuses a limit that would leave no space for anything.
func (s *StoreSettings) check() error {
	if s.MaxObjects < 1 {
		return errors.New("--max-objects must be at least 1B")
	}
	return nil
}

// onlyHere reports whether the name of a host is one of this machine or network.
func onlyHere(host string) bool {
	last := host[strings.LastIndex(host, ".")+1:]
	return last == host || slices.Contains([]string{"localhost", "local", "internal", "lan", "home", "test", "invalid"}, strings.ToLower(last))
}

// check refuses origins and hosts that are none.
func (a *AddrSettings) check() error {
	for _, origin := range a.Origins {
		if _, err := web.CheckOrigin(origin); origin != "" && err != nil {
			return fmt.Errorf("--origins: %q: %v", origin, err)
		}
	}
	for _, host := range a.AllowedHosts {
		if _, _, err := web.CheckHost(host); host != "" && err != nil {
			return fmt.Errorf("--allowed-hosts: %q: %v", host, err)
		}
	}
	return nil
}

// checkPublic refuses public addresses by which nobody could get here, and tidies
// the others.
func (s *Settings) checkPublic() error {
	s.PublicRTMP, s.PublicHTTP = strings.TrimRight(s.PublicRTMP, "/"), strings.TrimRight(s.PublicHTTP, "/")
	if why := notPublic(s.PublicHTTP, "http", nil); why != "" {
		return fmt.Errorf("--public-http: %q %s", s.PublicHTTP, why)
	}
	if why := notPublic(s.PublicRTMP, "rtmp", s.Mount); why != "" {
		return fmt.Errorf("--public-rtmp: %q %s", s.PublicRTMP, why)
	}
	return nil
}

// notPublic says why the path of a room cannot be added to an address, which must
// have the scheme, plain or over TLS; "" when it can. The address may end in one
// of the paths, and that of the pages in a path below which a proxy has them.
func notPublic(address, scheme string, paths []string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	like := scheme + "://live.example.org"
	switch {
	case err != nil || u.Scheme != scheme && u.Scheme != scheme+"s" || u.Hostname() == "" || !PortCanBe(u.Port()) || strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }):
		return fmt.Sprintf("is not an address such as %s: it needs the scheme %s:// or %ss:// and a host", like, scheme, scheme)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return fmt.Sprintf("has more than a scheme, a host and a port, as in %s: leave the rest out", like)
	}
	path := strings.Trim(u.Path, "/")
	if scheme == "http" && isBelow(path) {
		return ""
	}
	if path == "" || slices.ContainsFunc(paths, func(p string) bool { return strings.Trim(p, "/") == path }) {
		return ""
	}
	return fmt.Sprintf("has a path, and there is nothing under it: leave it out, as in %s", like)
}

// isBelow reports whether pages may be below a path of a proxy. A path with a room in it
// is the address of a page.
func isBelow(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if s == "room" || s == "." || s == ".." || s == "" || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-") != "" {
			return false
		}
	}
	return true
}

// checkNodes refuses a site of several nodes that have nothing in common, or
// cannot reach each other.
func (s *Settings) checkNodes() error {
	switch {
	case s.NodeRTMP != "" && !isRTMP(s.NodeRTMP):
		return fmt.Errorf("--node-rtmp: %q is not an absolute address such as rtmp://host:1935", s.NodeRTMP)
	case s.Elsewhere == relay && s.NATS != "":
		return errors.New("--elsewhere relay is for servers without --nats: with it, serve does the same")
	case s.Elsewhere == relay && !s.Hosts("lobby"):
		return errors.New("--elsewhere relay is for the server of the lobby, which knows where rooms are: add lobby to --apps")
	case s.NATS != "" && s.NodeSecret == "":
		return errors.New("--nats needs --node-secret, the same on every server of the site: make it once, with 'openssl rand -hex 24', and give it as FOYER_NODE_SECRET_FILE or FOYER_NODE_SECRET")
	}
	return nil
}
