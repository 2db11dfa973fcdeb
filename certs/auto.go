package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// ChallengeProtocol is to be among the protocols of a listener that is reached
// at port 443 of the hosts: there the authority looks whether they are ours
// (RFC 8737).
const ChallengeProtocol = "acme-tls/1"

// AutoConfig is what an [Auto] needs to know.
type AutoConfig struct {
	Hosts     []string // the names that certificates are wanted for; at least one
	Dir       string   // where they are kept
	Directory string   // of the authority; "": Let's Encrypt's
	Roots     string   // file (PEM) of who vouches for the directory's own certificate; "": as the system has them
	Listener  net.Addr // of the listener that speaks ChallengeProtocol
	Log       *slog.Logger
}

// An Auto gets its certificates from an authority by ACME, and renews them. It
// proves that the hosts are ours at the TLS listener (TLS-ALPN-01), so it needs
// no other port.
type Auto struct {
	hosts  []string
	cache  *certmagic.Cache
	magic  *certmagic.Config
	closed sync.Once
}

// NewAuto returns one that has certificates as soon as it runs and gets them, or
// has them from before. Close ends it; Run does so, too.
func NewAuto(cfg AutoConfig) (*Auto, error) {
	log := zap.New(teller{cfg.Log})
	a := &Auto{hosts: cfg.Hosts}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil },
		Logger:           log,
	})
	a.magic = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: cfg.Dir},
		Logger:  log,
		// Whoever names no host, or asks by address, gets the first one's.
		DefaultServerName: cfg.Hosts[0],
		OnEvent: func(_ context.Context, event string, data map[string]any) error {
			if event == "cert_obtained" {
				cfg.Log.Info("certificate obtained", "host", data["identifier"], "renewal", data["renewal"])
			}
			return nil
		},
	})
	issuer, err := newIssuer(a.magic, cfg, log)
	if err != nil {
		a.Close()
		return nil, err
	}
	a.magic.Issuers = []certmagic.Issuer{issuer}
	return a, nil
}

// newIssuer is the authority.
func newIssuer(magic *certmagic.Config, cfg AutoConfig, log *zap.Logger) (*certmagic.ACMEIssuer, error) {
	template := certmagic.ACMEIssuer{
		CA: cfg.Directory, Agreed: true, Logger: log,
		DisableHTTPChallenge: true, DisableDistributedSolvers: true,
	}
	if cfg.Roots != "" {
		pem, err := os.ReadFile(cfg.Roots)
		if err != nil {
			return nil, fmt.Errorf("reading the authority's certificate: %w", err)
		}
		template.TrustedRoots = x509.NewCertPool()
		if !template.TrustedRoots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading the authority's certificate: there is none in %s", cfg.Roots)
		}
	}
	// It opens no listener where there is one already: ours, whatever port 443 is
	// forwarded to.
	host, port, err := net.SplitHostPort(cfg.Listener.String())
	if err == nil {
		template.AltTLSALPNPort, err = strconv.Atoi(port)
	}
	if err != nil {
		return nil, err
	}
	template.ListenHost = host
	return certmagic.NewACMEIssuer(magic, template), nil
}

// Get is for [tls.Config].
func (a *Auto) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.magic.GetCertificate(hello)
}

// Run gets certificates and renews them until ctx ends. A failed attempt is
// logged, and repeated after growing delays.
func (a *Auto) Run(ctx context.Context) error {
	defer a.Close()
	if err := a.magic.ManageAsync(ctx, a.hosts); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("getting certificates: %w", err)
	}
	<-ctx.Done()
	return nil
}

// Close ends the looking after certificates.
func (a *Auto) Close() { a.closed.Do(a.cache.Stop) }
