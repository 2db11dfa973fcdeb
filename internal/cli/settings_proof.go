package cli

import "foyer/internal/folder"

// proofSettings are how the nodes of one site know each other.
type proofSettings struct {
	NodeSecret folder.Secret `group:"secrets" placeholder:"SECRET" help:"What servers of --nats prove to each other that they know; needed with it. Default: made at first start."`
}

// check refuses a site of several nodes that have nothing in common.
func (p *proofSettings) check(nats natsURL) error {
	if nats != "" && p.NodeSecret == "" {
		return usagef("--nats needs --node-secret, the same on every server of the site: make it once, with 'openssl rand -hex 24', and give it as FOYER_NODE_SECRET_FILE or FOYER_NODE_SECRET")
	}
	return nil
}
