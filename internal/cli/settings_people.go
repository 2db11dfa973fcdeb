package cli

import (
	"strings"

	"foyer/room/nick"
)

// peopleSettings are who may call themselves what.
type peopleSettings struct {
	ReservedNicks []string `group:"rooms" default:"admin,administrator,moderator,mod,operator,owner,system,server,foyer" placeholder:"NICK" help:"Nicks that need the admin token, and so do those that look like them. Empty: none. Default: ${default}."`
}

// check refuses names that nobody could have anyway, and tidies the rest.
func (s *peopleSettings) check() error {
	names := s.ReservedNicks
	s.ReservedNicks = nil
	for _, typed := range names {
		if strings.TrimSpace(typed) == "" {
			continue
		}
		name, wrong := nick.Parse(typed)
		if wrong != "" {
			return usagef("--reserved-nicks: %.200q cannot be anybody's nick: %s", typed, wrong)
		}
		s.ReservedNicks = append(s.ReservedNicks, name)
	}
	return nil
}

// apply makes the settings hold on a node that may be running.
func (s *peopleSettings) apply(n *node) { n.reserved.Set(s.ReservedNicks) }
