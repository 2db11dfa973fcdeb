package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"foyer/server/flv"
)

// ErrCannot is the error of a Broadcast where [CanBroadcast] is false.
var ErrCannot = errors.New("the 32-bit builds of foyer cannot broadcast, because go-rtmp needs 64 bits")

// ErrHTTP says that a web server answers.
var ErrHTTP = errors.New("this is not RTMP but an HTTP answer")

// A Refusal is the server's refusal of a broadcast, at its beginning or later.
type Refusal struct {
	Code, Description string
	Late              bool // the broadcast had begun

	redirect string // the address to use instead, or ""
}

func (e *Refusal) Error() string {
	if e.Description == "" {
		return "the server says " + e.Code
	}
	return "the server says: " + e.Description
}

// errGone means that the server ended the connection without a reason.
var errGone = errors.New("the server is gone")

// A Broadcast sends a Source to a server, in real time.
type Broadcast struct {
	URL    string  // of the instance: rtmp://host/room/blue
	Stream string  // what to publish: live?key=KEY
	Source *Source // nil means the clip
	Once   bool    // end with the source instead of starting it again

	// OnProgress is called about twice a second, and when a connection begins
	// or ends, on the goroutine of Run.
	OnProgress func(Progress)

	dial func(ctx context.Context, network, addr string) (net.Conn, error) // for tests, which have a network of their own

	// owned by Run
	loop     *loop
	progress Progress
	failed   int // attempts in a row
}

// Progress is the state of a broadcast.
type Progress struct {
	Live  bool          // the server accepts it
	Err   error         // why it does not, although it did; Run tries again
	Sent  time.Duration // how much of the broadcast has been sent
	Bytes int64         // of sound and pictures
}

const (
	// progressPause is the time between two reports.
	progressPause = 500 * time.Millisecond
	// maxLate is how late a frame may be. After a longer delay, because the
	// machine slept or the server reads too slowly, the broadcast connects
	// again.
	maxLate = 5 * time.Second
)

// maxRefusals is how often a broadcast that lost its connection ignores a refusal:
// a server that has not noticed yet that the connection is gone may refuse the
// new one in favour of the old one.
const maxRefusals = 8

// errLate means that the broadcast fell behind its clock.
var errLate = errors.New("fell behind: the connection is too slow, or this machine slept")

// Run broadcasts until ctx ends, or until the source does if it plays once;
// neither is an error. When the server goes away, Run tries again until it is
// back. It is an error when the server cannot be reached at first, or refuses
// (a *Refusal), and [ErrCannot] where this build cannot broadcast.
func (b *Broadcast) Run(ctx context.Context) error {
	if !CanBroadcast {
		return ErrCannot
	}
	began := false
	for {
		err := b.session(ctx)
		refusal, refused := errors.AsType[*Refusal](err)
		if refused && began && !refusal.Late && b.failed < maxRefusals {
			refused = false
		}
		began = began || b.progress.Live
		if err == nil || ctx.Err() != nil {
			return nil
		}
		bad := errors.Is(err, errNothing) || errors.Is(err, flv.ErrNotFLV) || errors.Is(err, flv.ErrBadTag)
		if bad || refused || !began {
			return err
		}
		if b.progress.Live {
			b.failed = 0
		}
		b.failed++
		b.progress.Live, b.progress.Err = false, err
		b.report()
		if !sleep(ctx, retryPause(b.failed)) {
			return nil
		}
	}
}

// session broadcasts over one connection. The error is nil when the source has
// ended.
func (b *Broadcast) session(ctx context.Context) error {
	p, err := b.connect(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	if err := b.begin(); err != nil {
		return err
	}
	b.progress.Live, b.progress.Err = true, nil
	var (
		zero    = int64(-1) // the time of the loop that is 0 for the server
		due     = b.loop.origin
		before  = b.progress.Sent
		timer   = time.NewTimer(0)
		reports time.Time
	)
	defer timer.Stop()
	for {
		t, err := b.loop.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if zero < 0 {
			zero = t.time
			if !b.loop.clock {
				due = time.Now().Add(-ms(zero))
			}
		}
		if b.Once && b.loop.clock && ms(t.time-zero) >= clipLength {
			return nil
		}
		if err := b.await(ctx, p, timer, due.Add(ms(t.time))); err != nil {
			return err
		}
		at := max(0, t.time-zero)
		if err := p.send(t, at); err != nil {
			return err
		}
		b.progress.Sent = max(b.progress.Sent, before+ms(at))
		b.progress.Bytes += int64(len(t.data))
		if now := time.Now(); now.Sub(reports) >= progressPause {
			reports = now
			b.report()
		}
	}
}

// begin sets the loop to where the session begins: the clip at the place of the
// clock, a file at its beginning or at the next key frame that was not sent.
func (b *Broadcast) begin() (err error) {
	if b.loop != nil && !b.loop.clock {
		b.loop.resume()
		return nil
	}
	source := b.Source
	if source == nil {
		source = Clip()
	}
	b.loop, err = source.play(time.Now(), b.Once)
	return err
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// await waits until the next frame is due, or the connection or ctx ends.
func (b *Broadcast) await(ctx context.Context, p *publisher, timer *time.Timer, due time.Time) error {
	wait := time.Until(due)
	if wait < -maxLate {
		return errLate
	}
	timer.Reset(max(0, wait))
	select {
	case <-timer.C:
		return nil
	case <-p.ended:
		return p.reason()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// report calls OnProgress.
func (b *Broadcast) report() {
	if b.OnProgress != nil {
		b.OnProgress(b.progress)
	}
}

// maxRedirects is how many servers in a row may redirect a broadcast.
const maxRedirects = 3

// setupTimeout bounds dialing, handshake, connect and publish together.
const setupTimeout = 10 * time.Second

// connect opens a connection and publishes. It follows a redirection to the
// server where the room runs.
func (b *Broadcast) connect(ctx context.Context) (*publisher, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, setupTimeout, errors.New("the server does not answer"))
	defer cancel()
	uri := b.URL
	for n := 0; ; n++ {
		p, err := b.connectTo(ctx, uri)
		refusal, _ := errors.AsType[*Refusal](err)
		if refusal == nil || refusal.redirect == "" || n == maxRedirects {
			return p, err
		}
		if err := keepsEncryption(uri, refusal.redirect); err != nil {
			return nil, err
		}
		uri = refusal.redirect
	}
}

// keepsEncryption returns an error when to would give up the encryption of
// from.
func keepsEncryption(from, to string) error {
	secure := func(uri string) bool { return len(uri) > 6 && strings.EqualFold(uri[:6], "rtmps:") }
	if secure(from) && !secure(to) {
		return fmt.Errorf("the server sends the broadcast to %s, which has no encryption", to)
	}
	return nil
}

// connectTo opens a connection to the instance at an address and publishes.
func (b *Broadcast) connectTo(ctx context.Context, uri string) (*publisher, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"rtmp": "1935", "rtmps": "443"}[u.Scheme]
	}
	if port == "" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not an address such as rtmp://host/room/blue", uri)
	}
	dial := b.dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if u.Scheme == "rtmps" {
		secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname()})
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	app := strings.Trim(u.Path, "/")
	return publish(ctx, conn, u.Scheme+"://"+u.Host+"/"+app, app, b.Stream)
}
