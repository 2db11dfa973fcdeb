package cli

// adminSettings are where operators ask, and who else may see figures.
type adminSettings struct {
	Admin       string   `group:"listen" placeholder:"ADDR" help:"Listen here for operators: /metrics, /debug/pprof and all of the API that needs the admin token. --http then answers 404 to those. Default: off."`
	MetricsFrom networks `group:"listen" default:"127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fe80::/10,fc00::/7" placeholder:"CIDR" help:"Addresses that need no admin token for /metrics, and for /debug/pprof of --admin. Empty: nobody. Default: loopback and private ones, unless a proxy brings others from there."`
}

// check refuses an address that cannot be.
func (s *adminSettings) check() error {
	if !listenable(s.Admin) {
		return usagef("--admin: %q is not an address to listen at such as 127.0.0.1:9090", s.Admin)
	}
	return nil
}
