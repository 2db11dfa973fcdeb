package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/certs"
)

// TestCertificateWatched: a changed file is taken within a minute, a broken one
// is an error in the log once, and the one of before stays.
func TestCertificateWatched(t *testing.T) {
	certFile, keyFile := certificate(t)
	newCert, newKey := certificate(t)
	old := readFile(t, certFile)
	synctest.Test(t, func(t *testing.T) {
		cert, err := certs.Open(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		n := &Node{cert: cert, log: slog.New(slog.NewTextHandler(&log, nil))}
		first, _ := cert.Get(nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go n.upkeep(ctx) // ends with ctx; the test waits for it
		after := func(change func(), line string, times int) {
			t.Helper()
			change()
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := strings.Count(log.String(), line); got != times {
				t.Errorf("%d times %q in the log, want %d:\n%s", got, line, times, log.String())
			}
		}
		again := "certificate read again"
		after(func() {}, again, 0)
		after(func() { writeFile(t, certFile, readFile(t, newCert)) }, "certificate not read again", 1) // its key is missing
		after(func() { writeFile(t, certFile, old[:len(old)/2]) }, "certificate not read again", 2)
		if now, _ := cert.Get(nil); now != first {
			t.Error("the certificate of before is gone")
		}
		after(func() { writeFile(t, certFile, readFile(t, newCert)); writeFile(t, keyFile, readFile(t, newKey)) }, "msg=\""+again, 1)
		if now, _ := cert.Get(nil); now == first {
			t.Error("the new certificate is not there")
		}
		cancel()
		synctest.Wait()
	})
}

// certificate makes a certificate and returns the names of its files.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	writeFile(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	writeFile(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return certFile, keyFile
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Files that are no certificate and its key are refused with what is wrong.
func TestCertificateHints(t *testing.T) {
	cert, key := certificate(t)
	other, otherKey := certificate(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.WriteFile(locked, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("xx")}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ cert, key, want string }{
		{key, cert, "exchanged"}, {cert, otherKey, "not the key of --tls-cert"}, {other, key, "not the key of --tls-cert"}, {text, key, "openssl x509 -inform der"}, {cert, text, "no key in PEM"}, {cert, locked, "password"},
	} {
		_, err := certs.Open(c.cert, c.key)
		if err == nil || !strings.Contains(withHint(err).Error(), c.want) {
			t.Errorf("%s, %s: %v, want %q", c.cert, c.key, err, c.want)
		}
	}
}
