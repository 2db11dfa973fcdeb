package cli

import (
	"net"
	"net/url"
	"strings"
)

// tlsSettings are where certificates come from that nobody puts into files.
type tlsSettings struct {
	TLSAuto       []string `name:"tls-auto" group:"listen" placeholder:"HOST" help:"Get certificates for these host names and renew them: --http speaks https, and --rtmps can be used. Port 443 of the hosts must lead to --http, as with --http :443. They are kept in the folder acme of --data. Default: off."`
	ACMEDirectory string   `name:"acme-directory" group:"listen" placeholder:"URL" help:"Another authority to get them from. Default: Let's Encrypt."`
	ACMECA        string   `name:"acme-ca" group:"listen" placeholder:"FILE" help:"Certificates (PEM) that vouch for that authority's server. Default: as the system has them."`
}

// check refuses what no authority could give.
func (s *tlsSettings) check(certFile string) error {
	switch {
	case len(s.TLSAuto) > 0 && certFile != "":
		return usagef("--tls-auto gets the certificate that --tls-cert has: give only one of them")
	case len(s.TLSAuto) == 0 && (s.ACMEDirectory != "" || s.ACMECA != ""):
		return usagef("--acme-directory and --acme-ca are for --tls-auto: name the hosts")
	}
	for _, host := range s.TLSAuto {
		if host == "" || strings.ContainsAny(host, "*/: ") || net.ParseIP(host) != nil {
			return usagef("--tls-auto: %q is not the name of a host such as live.example.org", host)
		}
	}
	if u, err := url.Parse(s.ACMEDirectory); s.ACMEDirectory != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return usagef("--acme-directory: %q is not an address such as https://acme.example.org/directory", s.ACMEDirectory)
	}
	return nil
}
