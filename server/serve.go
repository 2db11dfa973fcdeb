package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// How long Serve waits after an error of Accept that may pass.
const (
	acceptBackoff    = 5 * time.Millisecond
	maxAcceptBackoff = time.Second
)

// Serve accepts RTMP connections until ctx ends. Several Serves may run, one a
// listener; a *tls.Conn is an rtmps client. Clients that are still there when
// ctx ends are told AppShutdown. It returns after its connections have ended.
func (h *Host) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var wg sync.WaitGroup // a goroutine for each connection: its reader
	defer wg.Wait()
	defer h.sessions.shutdown(ctx)
	defer cancel() // first: who comes in from now on is told at once
	backoff := acceptBackoff
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			backoff = acceptBackoff
			wg.Go(func() { h.serveConn(ctx, nc) })
		case ctx.Err() != nil:
			return nil
		case !temporary(err):
			return fmt.Errorf("accepting connections: %w", err)
		default:
			h.log().Warn("connection not accepted", "err", err, "dur", backoff)
			select {
			case <-time.After(backoff):
			case <-ctx.Done():
			}
			backoff = min(2*backoff, maxAcceptBackoff)
		}
	}
}

// temporary reports whether Accept may succeed later: too many open files, or
// a connection that was gone before it was accepted.
func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}
