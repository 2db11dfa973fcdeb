// Command secrets makes the certificates, logins and secrets that the NATS
// servers and the nodes of one site share:
//
//	go run ./deploy/secrets DIR [SERVER...]
//
// DIR/nats is for the NATS servers, DIR/node1 to DIR/node3 are each for one
// node. The servers are host names or addresses by which NATS is reached, by
// default nats1 to nats3; its certificate is good for them. Existing files stay
// as they are: the secrets are made once. The key that signed the certificates
// is not kept, so nobody can make another one that they trust.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// nodes are the logins of deploy/nats.conf.
var nodes = []string{"node1", "node2", "node3"}

// lifetime is how long the certificates last.
const lifetime = 10 * 365 * 24 * time.Hour

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "secrets: name the folder to make them in, then the NATS servers")
		os.Exit(2)
	}
	servers := os.Args[2:]
	if len(servers) == 0 {
		servers = []string{"nats1", "nats2", "nats3"}
	}
	if err := write(os.Args[1], servers); err != nil {
		fmt.Fprintln(os.Stderr, "secrets:", err)
		os.Exit(1)
	}
}

// write makes all the files, unless they are there. The last file says that
// they are complete.
func write(dir string, servers []string) error {
	done := filepath.Join(dir, "nats", "passwords.conf")
	if _, err := os.Stat(done); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ca, cert, key, err := certify(servers)
	if err != nil {
		return err
	}
	shared := map[string]string{"ca.pem": ca}
	for _, name := range []string{"lobby-secret", "admin-token", "stream-secret", "node-secret"} {
		shared[name] = rand.Text() + "\n"
	}
	passwords := ""
	for _, node := range nodes {
		password := "n" + rand.Text() // NATS reads it as a word whatever follows
		passwords += strings.ToUpper(node) + "_PASSWORD: " + password + "\n"
		var urls []string
		for _, server := range servers {
			urls = append(urls, "tls://"+node+":"+password+"@"+withPort(server))
		}
		for name, text := range shared {
			if err := put(dir, node, name, text); err != nil {
				return err
			}
		}
		if err := put(dir, node, "nats-url", strings.Join(urls, ",")+"\n"); err != nil {
			return err
		}
	}
	return errors.Join(put(dir, "nats", "ca.pem", ca), put(dir, "nats", "nats.pem", cert), put(dir, "nats", "nats-key.pem", key),
		put(dir, "nats", "passwords.conf", passwords))
}

// withPort returns where a server listens for nodes, by default at NATS's port.
func withPort(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(server, "4222")
}

// put writes a file for one of them. In a container another user reads the
// file, so the folder must keep strangers out.
func put(dir, whose, name, text string) error {
	folder := filepath.Join(dir, whose)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644)
}

// certify makes an authority, and one certificate of it for all servers, which
// they show to nodes and to each other.
func certify(servers []string) (ca, cert, key string, err error) {
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "foyer NATS authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "foyer NATS server"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range servers {
		if host, _, err := net.SplitHostPort(name); err == nil {
			name = host
		}
		if ip := net.ParseIP(name); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, name)
		}
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", "", err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", "", err
	}
	signed := func(c *x509.Certificate, public *ecdsa.PublicKey) string {
		der, failed := x509.CreateCertificate(rand.Reader, c, authority, public, signer)
		err = errors.Join(err, failed)
		return text("CERTIFICATE", der)
	}
	ca, cert = signed(authority, &signer.PublicKey), signed(server, &own.PublicKey)
	der, failed := x509.MarshalPKCS8PrivateKey(own)
	return ca, cert, text("PRIVATE KEY", der), errors.Join(err, failed)
}

func text(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
