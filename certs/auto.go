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

// ChallengeProtocol must be among the protocols of a listener at port 443 of
// the hosts, by which the authority checks that they are ours (RFC 8737).
const ChallengeProtocol = "acme-tls/1"

// AutoConfig configures an [Auto].
type AutoConfig struct {
	Hosts     []string // the names for which certificates are wanted; at least one
	Dir       string   // where certificates and keys are kept
	Directory string   // of the authority; "": Let's Encrypt's
	Roots     string   // file (PEM) of the authorities of the directory's own certificate; "": the system's
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

// NewAuto returns an Auto. It has certificates from an earlier run, or gets
// them once it runs. Close ends it, and so does Run when it returns.
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
		// A client that names no host, or an address, gets the first one's.
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

// newIssuer returns the authority.
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
	// It opens no listener when one is there already: ours, at whatever port.
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

// Close ends the renewal of certificates.
func (a *Auto) Close() { a.closed.Do(a.cache.Stop) }
