package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write puts a new certificate with that name into a folder.
func write(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: chain}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// shown returns the name in the certificate that a client gets.
func shown(t *testing.T, f *File) string {
	t.Helper()
	pair, err := f.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.Subject.CommonName
}

// looks fails the test unless Look says so.
func looks(t *testing.T, f *File, fresh bool, problem string) {
	t.Helper()
	got, err := f.Look()
	if got != fresh || (err != nil) != (problem != "") || err != nil && !strings.Contains(err.Error(), problem) {
		t.Errorf("looked: new %v, %v; want %v, %q", got, err, fresh, problem)
	}
}

func TestFileLooksAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := write(t, dir, "first")
	f, err := Open(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	looks(t, f, false, "")
	old := time.Unix(1e9, 0)
	write(t, dir, "later")
	if err := os.Chtimes(cert, old, old); err != nil { // as rsync and cp -p do
		t.Fatal(err)
	}
	looks(t, f, true, "")
	looks(t, f, false, "")
	if got := shown(t, f); got != "later" {
		t.Errorf("shows %s", got)
	}
	if left := time.Until(f.Expires()); left <= 0 || left > time.Hour {
		t.Errorf("expires in %v", left)
	}
}

// A broken certificate is reported once, and the earlier one stays.
func TestFileBroken(t *testing.T) {
	dir := t.TempDir()
	cert, key := write(t, dir, "first")
	f, err := Open(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := write(t, t.TempDir(), "other")
	theirs, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, problem string
		content       []byte
	}{
		{"not a certificate", "failed to find any PEM data", []byte("hello")},
		{"half", "", mine[:len(mine)/2]},
		{"of another key", "does not match", theirs},
		{"none", "no such file", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			os.Remove(cert)
			if c.content != nil {
				if err := os.WriteFile(cert, c.content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if fresh, err := f.Look(); fresh || err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("looked: new %v, %v", fresh, err)
			}
			looks(t, f, false, "")
			if _, err := f.Read(); err == nil {
				t.Error("reading it on demand says nothing")
			}
			if got := shown(t, f); got != "first" {
				t.Errorf("shows %s", got)
			}
			if err := os.WriteFile(cert, mine, 0o600); err != nil {
				t.Fatal(err)
			}
			looks(t, f, false, "")
		})
	}
	write(t, dir, "whole")
	looks(t, f, true, "")
	if got := shown(t, f); got != "whole" {
		t.Errorf("shows %s", got)
	}
}

// Kubernetes swaps a link to a folder, certbot the links themselves.
func TestFileBehindLinks(t *testing.T) {
	dir := t.TempDir()
	link := func(to string) {
		t.Helper()
		fresh := filepath.Join(dir, "fresh")
		if err := os.Symlink(to, fresh); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
	}
	one, two := t.TempDir(), t.TempDir()
	write(t, one, "one")
	write(t, two, "two")
	link(one)
	f, err := Open(filepath.Join(dir, "data", "cert.pem"), filepath.Join(dir, "data", "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	looks(t, f, false, "")
	link(two)
	looks(t, f, true, "")
	if got := shown(t, f); got != "two" {
		t.Errorf("shows %s", got)
	}
}

func TestFileUse(t *testing.T) {
	f, err := Open(write(t, t.TempDir(), "first"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Use("missing", "missing"); err == nil || shown(t, f) != "first" {
		t.Errorf("missing files: %v; shows %s", err, shown(t, f))
	}
	if err := f.Use(write(t, t.TempDir(), "second")); err != nil || shown(t, f) != "second" {
		t.Errorf("others: %v; shows %s", err, shown(t, f))
	}
}
