package node

import (
	"context"
	"time"

	"foyer/certs"
)

// upkeep keeps the node as its files say while it runs: it takes the certificate
// over when its file changes, and on a hangup the settings too. It ends with ctx.
func (n *Node) upkeep(ctx context.Context) {
	look := time.NewTicker(certs.LookEvery)
	defer look.Stop()
	if n.cert == nil {
		look.Stop()
	}
	for {
		select {
		case <-look.C:
			n.certified(n.cert.Look())
		case <-n.cfg.Hangups:
			if n.cert != nil {
				n.certified(n.cert.Read())
			}
			if err := n.cfg.Reread(n); err != nil {
				n.log.Error("settings not read again: the old ones stay", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// certified logs that there is a new certificate, or why not.
func (n *Node) certified(fresh bool, err error) {
	switch {
	case err != nil:
		n.log.Error("certificate not read again: the old one stays", "err", err)
	case fresh:
		n.log.Info("certificate read again", "expires", n.cert.Expires())
	}
}
