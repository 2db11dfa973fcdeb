package site

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	pebbleca "github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"foyer/client"
	"foyer/internal/folder"
	"foyer/server/amf"
)

const autoHost = "live.example.test"

// An authority issues certificates by ACME to whoever answers at one address:
// for it, that has all host names, and its port is 443.
type authority struct {
	directory string
	vouches   string // file with the certificate of the directory's server
	roots     *x509.CertPool
	stop      func()
}

func newAuthority(t *testing.T, host string, port int) *authority {
	t.Helper()
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"} {
		t.Setenv(name, value)
	}
	names, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	resolver := &dns.Server{Listener: names, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg)
		answer.SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(host)}}
		}
		w.WriteMsg(answer)
	})}
	resolved := make(chan error, 1)
	go func() { resolved <- resolver.ActivateAndServe() }()
	t.Cleanup(func() { resolver.Shutdown(); <-resolved })

	logger := log.New(t.Output(), "authority ", 0)
	memory := db.NewMemoryStore()
	issuer := pebbleca.New(logger, memory, "", "ecdsa", 0, 1, map[string]pebbleca.Profile{"default": {}})
	front := wfe.New(logger, memory, va.New(logger, 0, port, false, names.Addr().String(), memory), issuer, nil, false, false, 1, 1)
	srv := httptest.NewTLSServer(front.Handler())
	t.Cleanup(srv.Close)
	a := &authority{directory: srv.URL + wfe.DirectoryPath, vouches: filepath.Join(t.TempDir(), "authority.pem"), roots: x509.NewCertPool(), stop: srv.Close}
	writeFile(t, a.vouches, pemOf(srv.Certificate().Raw))
	root, err := x509.ParseCertificate(issuer.GetRootCert(0).DER)
	if err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(root)
	return a
}

// TestServeTLSAuto: the certificate comes from an authority, for https and
// rtmps, and is there after a restart without it.
func TestServeTLSAuto(t *testing.T) {
	free, err := net.Listen("tcp", ownHost()+":0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	host, port, _ := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port)
	free.Close()
	a := newAuthority(t, host, number)
	data := t.TempDir()
	flags := []string{"--http=" + addr, "--rtmps=127.0.0.1:0", "--data=" + data, "--tls-auto=" + autoHost, "--acme-directory=" + a.directory, "--acme-ca=" + a.vouches}
	r := startServer(t, flags...)
	trust := &tls.Config{RootCAs: a.roots, ServerName: autoHost}
	eventually(t, "there is a certificate", func() bool {
		c, err := tls.Dial("tcp", r.addr["http"], trust)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	nc, err := client.Dial(t.Context(), "rtmps://"+r.addr["rtmps"]+"/room/blue", client.Options{TLS: trust}, amf.String("ann"))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	resp, err := client.Get("https://" + r.addr["http"] + "/api/v1/rooms/blue")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Errorf("it answers %s by %s", resp.Status, resp.Proto)
	}
	if status, said := command("check", "--http="+addr, "--tls-auto="+autoHost); status != exitFine || said != "ready\n" {
		t.Errorf("check says %q, status %d", said, status)
	}
	if status := r.stop(); status != exitFine {
		t.Errorf("exit status %d", status)
	}
	filepath.WalkDir(filepath.Join(data, folder.ACME), func(name string, d os.DirEntry, err error) error {
		if err != nil {
			t.Error(err)
		} else if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		return nil
	})

	a.stop()
	r = startServer(t, flags...)
	eventually(t, "the certificate is back", func() bool {
		c, err := tls.Dial("tcp", r.addr["http"], trust)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	r.stop()
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
