package cli

import (
	"os"
	"os/signal"
	"reflect"
	"slices"
	"syscall"

	"foyer/internal/node"

	"github.com/alecthomas/kong"
)

// A reloadable is a group of settings that a running server takes over when they
// are read again.
type reloadable struct {
	flags []string
	set   func(p *program, n *node.Node, s *node.Settings) error // an error leaves things as they were
}

// reloadables are the settings that need no new start. The log names any others
// that have changed.
var reloadables = []reloadable{
	{[]string{"log-level"}, func(p *program, _ *node.Node, s *node.Settings) error {
		p.level.Set(levelOf(s, p.unset))
		return nil
	}},
	{[]string{"reserved-nicks"}, func(_ *program, n *node.Node, s *node.Settings) error {
		n.SetReservedNicks(s.People.ReservedNicks)
		return nil
	}},
	{[]string{"max-bitrate"}, func(_ *program, n *node.Node, s *node.Settings) error {
		n.SetMaxBitrate(s.MaxBitrate)
		return nil
	}},
	{[]string{"tls-cert", "tls-key"}, func(_ *program, n *node.Node, s *node.Settings) error {
		return n.SetCertificate(s.TLSCert, s.TLSKey)
	}},
	{[]string{"disk-reserve", "max-objects"}, func(_ *program, n *node.Node, s *node.Settings) error {
		n.SetStore(&s.Store)
		return nil
	}},
	{[]string{"max-connections", "address-connections", "address-rate", "address-rooms", "exempt", "open-rooms", "max-rooms"}, func(_ *program, n *node.Node, s *node.Settings) error {
		n.SetLimits(&s.Limits)
		return nil
	}},
	{[]string{"trusted-proxies", "origins", "allowed-hosts"}, func(_ *program, n *node.Node, s *node.Settings) error {
		n.SetAddresses(s)
		return nil
	}},
}

// catchHangups makes SIGHUP wait in p.hangups from now on. Release gives it its
// usual effect again, and reports whether one is waiting.
func (p *program) catchHangups() (release func() bool) {
	hangups := make(chan os.Signal, 1) // 1: to read once is enough
	signal.Notify(hangups, syscall.SIGHUP)
	p.hangups = hangups
	return func() bool {
		signal.Stop(hangups)
		return len(hangups) > 0
	}
}

// given are the values of a command's flags, by name, as they were given.
func given(cmd *kong.Context) map[string]any {
	values := make(map[string]any)
	for _, flag := range cmd.Flags() {
		values[flag.Name] = flag.Value.Target.Interface()
	}
	return values
}

// settingsOf are those of a command that is a server; nil for any other.
func settingsOf(cmd *kong.Context) *node.Settings {
	switch c := cmd.Selected().Target.Addr().Interface().(type) {
	case *serveCommand:
		return &c.Settings
	case *demoCommand:
		if len(c.At) == 0 {
			return &c.Settings
		}
	}
	return nil
}

// reread reads the settings again and takes over those that can be. When something
// is wrong with one of them, it takes over none.
func (p *program) reread(n *node.Node) error {
	cmd, err := parse(p, p.args)
	if err != nil {
		return err
	}
	fresh, s := given(cmd), settingsOf(cmd)
	if err := checked(s); err != nil {
		return p.whence(err)
	}
	var changed []string
	for name, value := range fresh {
		if !reflect.DeepEqual(value, p.given[name]) {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	var taken, left []string
	for _, r := range reloadables {
		mine := intersection(changed, r.flags)
		if len(mine) == 0 {
			continue
		}
		if err := r.set(p, n, s); err != nil {
			p.log.Error("setting not taken over: the old one stays", "setting", mine, "err", err)
			left = append(left, mine...)
			continue
		}
		for _, name := range mine {
			p.given[name] = fresh[name]
		}
		taken = append(taken, mine...)
	}
	p.log.Info("settings read again", "changed", taken)
	for _, name := range changed {
		if !slices.Contains(taken, name) && !slices.Contains(left, name) {
			p.log.Warn("setting changed: a new start of the server takes it over", "setting", name)
		}
	}
	return nil
}

// intersection is what is in both.
func intersection(a, b []string) (both []string) {
	for _, s := range a {
		if slices.Contains(b, s) {
			both = append(both, s)
		}
	}
	return both
}
