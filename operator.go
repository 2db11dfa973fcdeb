package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
)

// operator is how a command asks a running server for what only its operators
// may ask.
type operator struct {
	URL        string `name:"url" placeholder:"URL" help:"The server's web address. Default: this machine's, at the port of --http."`
	HTTP       string `name:"http" default:":8080" placeholder:"ADDR" help:"Where the server listens for browsers. Default: ${default}."`
	TLSCert    string `placeholder:"FILE" help:"The server's certificate, when it speaks https."`
	AdminToken secret `placeholder:"SECRET" help:"The server's admin token. Default: from the data folder."`
	Data       string `default:"foyer-data" placeholder:"DIR" help:"The server's data folder. Default: ${default}."`
	Config     string `placeholder:"FILE" help:"The server's YAML file."`
}

// ask makes a request; any answer but 200 is an error.
func (o *operator) ask(ctx context.Context, method, path string) (*http.Response, error) {
	url, client, err := webOf(o.URL, o.HTTP, o.TLSCert)
	if err != nil {
		return nil, err
	}
	token := o.AdminToken
	if token == "" {
		token, err = readSecret(filepath.Join(o.Data, adminTokenFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no admin token in %s: name the server's folder with --data, or give --admin-token", o.Data)
		}
		if err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(url, "/")+path, nil)
	if err != nil {
		return nil, usagef("%w", err)
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w (is the server running?)", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("%s: %s", resp.Status, problemText(body))
	}
	return resp, nil
}

// problemText is what an answer that is not the right one says.
func problemText(body []byte) string {
	var problem struct{ Detail string }
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		return problem.Detail
	}
	return firstLine(string(body))
}
