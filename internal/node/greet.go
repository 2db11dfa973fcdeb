package node

import (
	"fmt"

	"foyer/internal/folder"
)

// greet says to a person where to look. The secrets are shown only when this
// start made them.
func (n *Node) greet() {
	w := n.cfg.Terminal
	if w == nil {
		return
	}
	fmt.Fprintln(w)
	if n.settings.Hosts("lobby") {
		fmt.Fprintf(w, "  The lobby    %s/\n", n.publicHTTP())
		fmt.Fprintf(w, "  Its rooms    foyer rooms %s/lobby\n", n.publicRTMP())
	} else if n.lobby != "" {
		fmt.Fprintf(w, "  The lobby    %s\n", n.lobby)
	}
	if n.settings.Hosts("room") {
		fmt.Fprintf(w, "  Join a room  foyer join %s/room/blue --nick YOU\n", n.publicRTMP())
	}
	fmt.Fprintf(w, "  Secrets      in %s, readable by you only\n", n.settings.Data)
	for _, name := range n.secrets.Made {
		switch name {
		case folder.LobbySecret:
			fmt.Fprintf(w, "               lobby secret  %s\n", string(n.secrets.Lobby))
		case folder.AdminToken:
			fmt.Fprintf(w, "               admin token   %s  (made now, shown this once)\n", string(n.secrets.Admin))
		}
	}
	fmt.Fprint(w, "  To stop      Ctrl-C\n\n")
}
