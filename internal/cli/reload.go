package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"foyer/certs"
)

// A reloadable is what a running server takes over when its settings are read
// again.
type reloadable struct {
	flags []string
	apply func(n *node, s *settings) error // an error leaves things as they were
}

// reloadables are the settings that need no new start. Others are named in a
// warning.
var reloadables = []reloadable{
	{[]string{"log-level"}, func(n *node, s *settings) error {
		n.p.level.Set(s.level(n.p.unset))
		return nil
	}},
	{[]string{"reserved-nicks"}, func(n *node, s *settings) error {
		s.People.apply(n)
		return nil
	}},
	{[]string{"max-bitrate"}, func(n *node, s *settings) error {
		s.Publishing.apply(n)
		return nil
	}},
	{[]string{"tls-cert", "tls-key"}, func(n *node, s *settings) error {
		if n.cert == nil || s.TLSCert == "" {
			return fmt.Errorf("TLS begins and ends with a start of the server only")
		}
		return n.cert.Use(s.TLSCert, s.TLSKey)
	}},
	{[]string{"disk-reserve", "max-objects"}, func(n *node, s *settings) error {
		s.Store.apply(n)
		return nil
	}},
	{[]string{"max-connections", "address-connections", "address-rate", "address-rooms", "exempt", "open-rooms", "max-rooms"}, func(n *node, s *settings) error {
		s.Limits.apply(n)
		return nil
	}},
	{[]string{"trusted-proxies", "origins", "allowed-hosts"}, func(n *node, s *settings) error {
		n.applyAddr(s)
		return nil
	}},
}

// catchHangups has SIGHUP end nobody from now on, but wait in p.hangups.
func (p *program) catchHangups() (stop func()) {
	hangups := make(chan os.Signal, 1) // 1: to read once is enough
	signal.Notify(hangups, syscall.SIGHUP)
	p.hangups = hangups
	return func() { signal.Stop(hangups) }
}

// given are the values of a command's flags, by name, as they were given.
func given(cmd *kong.Context) map[string]any {
	values := make(map[string]any)
	for _, flag := range cmd.Flags() {
		values[flag.Name] = flag.Value.Target.Interface()
	}
	return values
}

// settingsOf are those of a command that serves.
func settingsOf(cmd *kong.Context) *settings {
	switch c := cmd.Selected().Target.Addr().Interface().(type) {
	case *serveCommand:
		return &c.Settings
	case *demoCommand:
		return &c.Settings
	}
	return nil
}

// upkeep takes over what changes outside while the node runs: the certificate
// when its file does, and with SIGHUP the settings. It ends with ctx.
func (n *node) upkeep(ctx context.Context) {
	look := time.NewTicker(certs.LookEvery)
	defer look.Stop()
	if n.cert == nil {
		look.Stop()
	}
	for {
		select {
		case <-look.C:
			n.certified(n.cert.Look())
		case <-n.p.hangups:
			if n.cert != nil {
				n.certified(n.cert.Read())
			}
			if err := n.reread(); err != nil {
				n.log.Error("settings not read again: the old ones stay", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// certified logs that there is a new certificate, or why not.
func (n *node) certified(fresh bool, err error) {
	switch {
	case err != nil:
		n.log.Error("certificate not read again: the old one stays", "err", err)
	case fresh:
		n.log.Info("certificate read again", "expires", n.cert.Expires())
	}
}

// reread reads the settings again and takes over what can be, all of it or, when
// something is wrong with one of them, nothing.
func (n *node) reread() error {
	cmd, err := parse(n.p, n.p.args)
	if err != nil {
		return err
	}
	fresh, s := given(cmd), settingsOf(cmd)
	if err := s.check(); err != nil {
		return err
	}
	var changed []string
	for name, value := range fresh {
		if !reflect.DeepEqual(value, n.p.given[name]) {
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
		if err := r.apply(n, s); err != nil {
			n.log.Error("setting not taken over: the old one stays", "setting", mine, "err", err)
			left = append(left, mine...)
			continue
		}
		for _, name := range mine {
			n.p.given[name] = fresh[name]
		}
		taken = append(taken, mine...)
	}
	n.log.Info("settings read again", "changed", taken)
	for _, name := range changed {
		if !slices.Contains(taken, name) && !slices.Contains(left, name) {
			n.log.Warn("setting changed: a new start of the server takes it over", "setting", name)
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
