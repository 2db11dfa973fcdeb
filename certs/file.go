package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// LookEvery is how often a [File] should be checked with Look.
const LookEvery = 15 * time.Second

// A File is a certificate in two files, the chain and its key. Any goroutine may
// call Get; the other methods are for one.
type File struct {
	current atomic.Pointer[tls.Certificate]

	// owned by the goroutine that looks
	cert, key string
	seen      []byte // the digest of the files that the certificate was read from
	problem   string // what was wrong at the last check; "": nothing
}

// Open reads the certificate.
func Open(cert, key string) (*File, error) {
	f := &File{cert: cert, key: key}
	if _, err := f.Read(); err != nil {
		return nil, err
	}
	return f, nil
}

// Get is for [tls.Config].
func (f *File) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load(), nil }

// Expires returns when the certificate expires.
func (f *File) Expires() time.Time { return f.current.Load().Leaf.NotAfter }

// Look reads the certificate again if the files have changed, and reports
// whether there is a new one. It returns each fault once. It compares the
// contents of the files, because a name may be a link, or be in a folder that
// is a link, and a new file may have an older time.
func (f *File) Look() (fresh bool, err error) {
	was := f.problem
	fresh, err = f.Read()
	if err != nil && err.Error() == was {
		return false, nil
	}
	return fresh, err
}

// Read is Look, but returns a fault each time. The old certificate then stays
// in use.
func (f *File) Read() (fresh bool, err error) {
	defer func() {
		f.problem = ""
		if err != nil {
			err = fmt.Errorf("reading the certificate: %w", err)
			f.problem = err.Error()
		}
	}()
	cert, err := os.ReadFile(f.cert)
	if err != nil {
		return false, err
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return false, err
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%d %d ", len(cert), len(key))
	digest.Write(cert)
	digest.Write(key)
	now := digest.Sum(nil)
	if bytes.Equal(now, f.seen) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, err
	}
	f.seen = now
	f.current.Store(&pair)
	return true, nil
}

// Use takes the certificate from other files from now on, unless there is none
// in them.
func (f *File) Use(cert, key string) error {
	other, err := Open(cert, key)
	if err != nil {
		return err
	}
	f.current.Store(other.current.Load())
	f.cert, f.key, f.seen, f.problem = cert, key, other.seen, ""
	return nil
}
