package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"foyer/internal/node"
)

// checkTimeout bounds one check: the health check of the image has 3 s.
const checkTimeout = 2 * time.Second

// checkCommand asks a server whether it is ready.
type checkCommand struct {
	URL string `arg:"" optional:"" help:"The address to ask. Default: /readyz of this machine, at the port of --http."`

	HTTP    string   `name:"http" default:":8080" placeholder:"ADDR" help:"Where the server listens for browsers. Default: ${default}."`
	TLSCert string   `placeholder:"FILE" help:"The server's certificate, when it speaks https."`
	TLSAuto []string `name:"tls-auto" placeholder:"HOST" help:"The hosts that the server gets certificates for: then it speaks https."`
	Config  string   `placeholder:"FILE" help:"The server's YAML file."`
}

// Run fails unless the server answers that it is ready.
func (cmd *checkCommand) Run(ctx context.Context, p *program) error {
	url, client, err := webOf(cmd.URL, cmd.HTTP, cmd.TLSCert != "" || len(cmd.TLSAuto) > 0)
	if err != nil {
		return err
	}
	if _, rest, _ := strings.Cut(url, "://"); !strings.Contains(strings.TrimSuffix(rest, "/"), "/") {
		url = strings.TrimSuffix(url, "/") + "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usagef("%w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", webAdvice(err))
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s answers %s: %s", url, resp.Status, firstLine(string(body)))
	}
	_, err = fmt.Fprintln(p.stdout, "ready")
	return err
}

// webOf is where a server's web side is, and what to ask it with: the URL that
// was given, or else this machine's at the port of --http, with or without TLS.
func webOf(url, listen string, secure bool) (string, *http.Client, error) {
	if url != "" {
		url, err := webAddress(url)
		return url, http.DefaultClient, err
	}
	port, err := portOf("--http", listen, "8080")
	if err != nil {
		return "", nil, err
	}
	if !secure {
		return "http://" + node.Loopback(listen, port), http.DefaultClient, nil
	}
	// This machine asks itself, so there is no doubt about the server, and the
	// certificate is for another name.
	insecure := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return "https://" + node.Loopback(listen, port), &http.Client{Transport: insecure}, nil
}

// firstLine is s up to its first line break.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// portOf is the port of an address that a flag names, at which a server listens. It
// must be a fixed one. usual is the port that people mean who name none.
func portOf(flag, listen, usual string) (string, error) {
	if err := node.CheckListen(flag, listen, usual); err != nil {
		return "", &usageError{err}
	}
	_, port, _ := net.SplitHostPort(listen)
	if port == "0" {
		return "", usagef("%s: %q has no fixed port: give the URL", flag, listen)
	}
	return port, nil
}
