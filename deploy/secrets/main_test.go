package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Secrets are made once and completely, and each file can be read by those that
// need it.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	servers := []string{"nats1", "10.0.0.2", "nats3.example:4333"}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var before string
	for range 2 {
		if err := write(dir, servers); err != nil {
			t.Fatal(err)
		}
		passwords := read("nats/passwords.conf")
		if before != "" && passwords != before {
			t.Error("the second time they are others")
		}
		before = passwords
	}
	for _, node := range nodes {
		_, rest, _ := strings.Cut(before, strings.ToUpper(node)+"_PASSWORD: ")
		password, _, _ := strings.Cut(rest, "\n")
		at := "tls://" + node + ":" + password + "@"
		if got, want := read(node+"/nats-url"), at+"nats1:4222,"+at+"10.0.0.2:4222,"+at+"nats3.example:4333\n"; got != want || len(password) < 26 {
			t.Errorf("%s has %q, want %q", node, got, want)
		}
		if read(node+"/node-secret") != read("node1/node-secret") {
			t.Errorf("%s has another node secret", node)
		}
		if files, err := os.ReadDir(filepath.Join(dir, node)); err != nil || len(files) != 6 {
			t.Errorf("%s has %v, %v", node, files, err)
		}
	}
	authority := x509.NewCertPool()
	authority.AppendCertsFromPEM([]byte(read("node2/ca.pem")))
	block, _ := pem.Decode([]byte(read("nats/nats.pem")))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for name, good := range map[string]bool{"nats1": true, "10.0.0.2": true, "nats3.example": true, "nats4": false} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: authority, DNSName: name}); (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
