package node

import (
	"context"
	"fmt"
	"strings"
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

// certificateHints are what to do about files of a certificate, by a part of what
// crypto/tls says, which has no other way to tell these apart.
var certificateHints = []struct{ part, hint string }{
	{"may have been switched", "--tls-cert and --tls-key are exchanged"},
	{"does not match public key", "--tls-key is not the key of --tls-cert: they are made together"},
	{"failed to parse private key", "--tls-key may need a password: 'openssl pkey -in KEY -out PLAIN' takes it away"},
	{"in certificate input", "--tls-cert has no certificate in PEM: 'openssl x509 -inform der -in FILE -out FILE.pem' makes it that"},
	{"in key input", "--tls-key has no key in PEM: it begins with -----BEGIN"},
}

// withHint adds to an error about a certificate what to do about it.
func withHint(err error) error {
	for _, h := range certificateHints {
		if strings.Contains(err.Error(), h.part) {
			return fmt.Errorf("%w (%s)", err, h.hint)
		}
	}
	return err
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
