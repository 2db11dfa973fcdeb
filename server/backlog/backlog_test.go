package backlog

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// owner counts the calls of its methods.
type owner struct{ ended, moved int }

func (o *owner) EndSlow() { o.ended++ }
func (o *owner) Moved()   { o.moved++ }

// outbox is an outbox that nobody writes from.
type outbox struct {
	owner
	tally  Tally
	pieces []Piece
}

func (o *outbox) add(b *Budget, packed []byte, shared *Bytes) {
	if shared != nil {
		packed = shared.b
	}
	p, over := o.tally.Add(b, o, packed, shared)
	o.pieces = append(o.pieces, p)
	if over {
		b.Relieve()
	}
}

func (o *outbox) drop(b *Budget) {
	o.tally.Done(b, o.pieces)
	o.pieces = nil
}

func TestBudgetEndsTheWorst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{Limit: 1 << 20}
		var old, large, small outbox
		old.add(b, make([]byte, 250<<10), nil)
		time.Sleep(5 * time.Second)
		large.add(b, make([]byte, 600<<10), nil)
		small.add(b, make([]byte, 100<<10), nil)
		if n := b.Used(); n != 950<<10+3*overhead {
			t.Errorf("%d bytes are counted", n)
		}
		small.add(b, make([]byte, 150<<10), nil)
		if old.ended != 1 || large.ended != 0 || small.ended != 0 {
			t.Errorf("ended: %d that stands still, %d large, %d small", old.ended, large.ended, small.ended)
		}
		large.add(b, make([]byte, 200<<10), nil) // a connection that is being ended counts as gone
		if large.ended != 1 || small.ended != 0 {
			t.Errorf("ended: %d large, %d small", large.ended, small.ended)
		}
		for _, o := range []*outbox{&old, &large, &small} {
			o.drop(b)
		}
		if b.Used() != 0 || b.doomed != 0 || len(b.counts) != 0 {
			t.Errorf("left: %d bytes, %d doomed, %d outboxes", b.used, b.doomed, len(b.counts))
		}
	})
}

func TestBudgetCountsSharedBytesOnce(t *testing.T) {
	b := new(Budget)
	shared := Share(make([]byte, 1<<20))
	all := make([]outbox, 1000)
	for i := range all {
		all[i].add(b, nil, shared)
	}
	if n := b.Used(); n != 1<<20+1000*overhead {
		t.Errorf("%d bytes are counted", n)
	}
	for i := range all {
		all[i].drop(b)
	}
	if n := b.Used(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		n            int
		before, want Level
	}{
		{0, InStep, InStep}, {MaxStep, InStep, InStep}, {MaxStep + 1, InStep, Behind}, {MaxStep, Behind, Behind},
		{MaxStep / 2, Behind, InStep}, {MaxMore, InStep, Behind}, {MaxMore + 1, InStep, Far}, {MaxMore, Far, Far},
		{MaxMore / 2, Far, Behind}, {0, Far, InStep},
	} {
		if got := LevelOf(c.n, c.before); got != c.want {
			t.Errorf("%d bytes after level %d: level %d, want %d", c.n, c.before, got, c.want)
		}
	}
}

// TestWriter writes to peers of many speeds.
func TestWriter(t *testing.T) {
	const size = 64 << 10
	for _, c := range []struct {
		name    string
		pause   time.Duration // before each KiB is read
		err     error
		buffers bool
	}{
		{"quick", 0, nil, false},
		{"slow", 9 * time.Second, nil, false},
		{"slow, in pieces", 9 * time.Second, nil, true},
		{"stuck", time.Hour, ErrStuck, false},
		{"stuck, in pieces", time.Hour, ErrStuck, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				read := make(chan int)
				go func() {
					n := 0
					for part := make([]byte, 1<<10); ; {
						time.Sleep(c.pause)
						k, err := theirs.Read(part)
						if n += k; err != nil {
							read <- n
							return
						}
					}
				}()
				var w Writer
				var o owner
				time.Sleep(fresh / 2)
				began := time.Now()
				n, err := int64(0), error(nil)
				if c.buffers {
					n, err = w.WriteBuffers(ours, &net.Buffers{make([]byte, size/2), make([]byte, size/2)}, &o)
				} else {
					var k int
					k, err = w.Write(ours, make([]byte, size), &o)
					n = int64(k)
				}
				d := time.Since(began)
				ours.Close()
				if err != c.err || err == nil && n != size {
					t.Errorf("wrote %d, %v", n, err)
				}
				if c.err != nil && d != Patience {
					t.Errorf("gave up after %v", d)
				}
				if got := <-read; int64(got) != n {
					t.Errorf("%d bytes were written and %d read", n, got)
				}
				if c.pause == 9*time.Second && o.moved != size>>10-1 {
					t.Errorf("moved %d times", o.moved)
				}
			})
		})
	}
}

// TestWriterFinal: the last words have less time, even if their write began
// before.
func TestWriterFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		var w Writer
		began := time.Now()
		time.AfterFunc(3*time.Second, func() { w.Final(ours, time.Now().Add(2*time.Second)) })
		if _, err := w.Write(ours, []byte("x"), &owner{}); !errors.Is(err, ErrStuck) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestWriterClosed: other errors are passed on.
func TestWriterClosed(t *testing.T) {
	ours, theirs := net.Pipe()
	theirs.Close()
	var w Writer
	if _, err := w.Write(ours, []byte("x"), &owner{}); err != io.ErrClosedPipe {
		t.Error(err)
	}
}

// TestWriterTLS: a write that is given up breaks TLS, so none is given up while
// the peer reads.
func TestWriterTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	for name, want := range map[string]error{"slow": nil, "stuck": ErrStuck} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 100 << 10
				ours, theirs := net.Pipe()
				nc, peer := tls.Server(ours, config), tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
				var reading sync.WaitGroup
				reading.Go(func() {
					for part := make([]byte, 1<<10); ; {
						if _, err := peer.Read(part); err != nil {
							return
						}
						time.Sleep(time.Second / 2)
						if want != nil {
							time.Sleep(time.Hour)
						}
					}
				})
				var w Writer
				began := time.Now()
				n, err := w.Write(nc, make([]byte, size), &owner{})
				if d := time.Since(began); err != want || err == nil && n != size || err != nil && (d < Patience || d > Patience+2*fresh) {
					t.Errorf("wrote %d, %v, in %v", n, err, d)
				}
				ours.Close()
				reading.Wait()
			})
		})
	}
}
