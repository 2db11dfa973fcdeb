package cli

// storeSettings bound what is kept.
type storeSettings struct {
	DiskReserve size `group:"secrets" default:"64MiB" placeholder:"SIZE" help:"How much of the disk of --data must stay free: with less, nothing more is stored until there is room. 0: none. Default: ${default}."`
	MaxObjects  size `group:"secrets" default:"1GiB" placeholder:"SIZE" help:"How much the persistent shared objects of all rooms may take together. Default: ${default}."`
}

// check refuses what would leave no room for anything.
func (s *storeSettings) check() error {
	if s.MaxObjects < 1 {
		return usagef("--max-objects must be at least 1B")
	}
	return nil
}

// apply makes the settings hold on a node that may be running.
func (s *storeSettings) apply(n *node) { n.store.SetLimits(s.reserve(), int64(s.MaxObjects)) }

// reserve is the DiskReserve in the words of the store.
func (s *storeSettings) reserve() int64 {
	if s.DiskReserve == 0 {
		return -1
	}
	return int64(s.DiskReserve)
}
