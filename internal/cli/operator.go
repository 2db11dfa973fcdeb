package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"foyer/internal/folder"
	"foyer/internal/node"
	"foyer/store"
)

// An operator asks a server for what only its operators may have: the server that
// is named, with the admin token, or else the one that has the data folder, by its
// control socket. When no server has the folder, the command uses the files.
type operator struct {
	URL        string        `name:"url" placeholder:"URL" help:"The server's web address. Default: the server that has the data folder."`
	HTTP       string        `name:"http" placeholder:"ADDR" typed:"" help:"The same for a server on this machine: where it listens for browsers."`
	TLSCert    string        `placeholder:"FILE" help:"The server's certificate, when --http speaks https."`
	AdminToken folder.Secret `placeholder:"SECRET" help:"The server's admin token, for --url and --http; - asks for it at the terminal. Default: from the data folder, or else asked for."`
	TokenFile  string        `placeholder:"FILE" typed:"" help:"File with that token."`
	Data       string        `default:"foyer-data" placeholder:"DIR" help:"The server's data folder. Default: ${default}."`
	NATS       node.NATSURL  `name:"nats" placeholder:"URL" help:"The server's NATS, if it has one and does not run."`
	NATSCA     string        `name:"nats-ca" placeholder:"FILE" help:"Certificates (PEM) of the authority that signs those of --nats."`
	Config     string        `placeholder:"FILE" help:"The server's YAML file."`
}

// ask makes a request; any answer but 200 is an error, and node.ErrNotRunning says
// that no server has the data folder.
func (o *operator) ask(ctx context.Context, p *program, method, path string) (*http.Response, error) {
	url, client := node.ControlClient(o.Data)
	var token folder.Secret
	if o.URL != "" || o.HTTP != "" {
		var err error
		if url, client, err = webOf(o.URL, o.HTTP, o.TLSCert != ""); err != nil {
			return nil, err
		}
		if token, err = o.token(ctx, p); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(url, "/")+path, nil)
	if err != nil {
		return nil, usagef("%w", err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, node.ErrNotRunning):
		return nil, node.ErrNotRunning
	case err != nil && token != "":
		return nil, webAdvice(err)
	case err != nil:
		return nil, cmp.Or(errors.Unwrap(err), err) // without the URL, which nobody gave
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("%s: %s", resp.Status, problemText(body))
	}
	return resp, nil
}

// token is the admin token, for a server that asks for it: as given, else the one
// in the data folder, else as it is typed.
func (o *operator) token(ctx context.Context, p *program) (folder.Secret, error) {
	if token, err := p.givenToken(ctx, o.AdminToken, o.TokenFile); token != "" || err != nil {
		return token, err
	}
	token, err := folder.ReadSecret(filepath.Join(o.Data, folder.AdminToken))
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	if isTerminal(p.stdin) {
		return p.ask(ctx, "Admin token: ")
	}
	return "", fmt.Errorf("no admin token in %s: name the server's folder with --data, or a file that has the token with --token-file", o.Data)
}

// files has use look at what is kept, while no server does.
func (o *operator) files(ctx context.Context, use func(*store.Store) error) error {
	dir := filepath.Join(o.Data, folder.Store)
	if _, err := os.Stat(dir); o.NATS == "" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no server runs with the data folder %s, and nothing is kept there: name another one with --data, or the server with --url", o.Data)
	}
	if err := folder.Whole(o.Data); err != nil {
		return err
	}
	c, err := store.Open(ctx, store.Config{Dir: dir, URL: string(o.NATS), CA: o.NATSCA, Node: "command", Bare: true})
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("a server has the data folder %s, and there is no control socket in it: name the server with --url", o.Data)
	}
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if why := c.Ready(); o.NATS != "" && why != nil {
		return errors.Join(fmt.Errorf("%w: is it running, and is --nats its address?", why), c.Close())
	}
	return errors.Join(use(c), c.Close())
}

// problemText is the reason in an answer that is a refusal.
func problemText(body []byte) string {
	var problem struct{ Detail string }
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		return problem.Detail
	}
	return firstLine(string(body))
}
