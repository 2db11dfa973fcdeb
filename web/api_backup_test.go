package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"foyer/server"
)

func TestBackup(t *testing.T) {
	type backupFunc = func(context.Context, io.Writer, BackupParts) error
	var current backupFunc
	s := newStudio(t, func(_ *server.Host, cfg *Config) {
		cfg.AdminToken = "token"
		cfg.Backup = func(ctx context.Context, w io.Writer, parts BackupParts) error { return current(ctx, w, parts) }
	})
	ask := func(method, query, token string) (*http.Response, string, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.web.URL+"/api/v1/backup"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, string(body), err
	}
	broken := errors.New("disk full")
	write := func(text string, err error) backupFunc {
		return func(_ context.Context, w io.Writer, parts BackupParts) error {
			if parts.Secrets {
				t.Error("secrets go over the network")
			}
			if parts.Recordings {
				text += " with recordings"
			}
			_, werr := io.WriteString(w, text)
			return errors.Join(err, werr)
		}
	}
	for _, tt := range []struct {
		name, method, query, token string
		backup                     backupFunc
		status                     int
		kind, body                 string
	}{
		{"all", "GET", "", "token", write("tar", nil), 200, "application/x-tar", "tar"},
		{"recordings", "GET", "?recordings=true", "token", write("tar", nil), 200, "application/x-tar", "tar with recordings"},
		{"head", "HEAD", "", "token", nil, 200, "application/x-tar", ""},
		{"nonsense", "GET", "?recordings=perhaps", "token", nil, 400, "application/problem+json", "want true or false"},
		{"no token", "GET", "", "other", nil, 401, "application/problem+json", "admin token"},
		{"no method", "POST", "", "token", nil, 405, "application/problem+json", ""},
		{"nothing written", "GET", "", "token", func(context.Context, io.Writer, BackupParts) error { return broken }, 500, "application/problem+json", "log says why"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			current = tt.backup
			resp, body, err := ask(tt.method, tt.query, tt.token)
			if err != nil || resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.kind || !strings.Contains(body, tt.body) {
				t.Errorf("%d %s %q, %v", resp.StatusCode, resp.Header.Get("Content-Type"), body, err)
			}
			if strings.Contains(body, broken.Error()) {
				t.Error("the error's text went out")
			}
		})
	}

	current = write(strings.Repeat("tar", 10000), broken)
	if _, body, err := ask("GET", "", "token"); err == nil {
		t.Errorf("a backup that failed ended well after %d bytes", len(body))
	}
	current = func(ctx context.Context, w io.Writer, _ BackupParts) error {
		if resp, _, _ := ask("GET", "", "token"); resp.StatusCode != http.StatusConflict {
			t.Errorf("a second one meanwhile: %s", resp.Status)
		}
		return write("first", nil)(ctx, w, BackupParts{})
	}
	if _, body, err := ask("GET", "", "token"); err != nil || body != "first" {
		t.Errorf("%q, %v", body, err)
	}
}
