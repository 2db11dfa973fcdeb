package store

import (
	"context"
	"math/rand/v2"
	"time"
)

// A bell wakes one goroutine. Ringing it does not block, and several rings
// before the goroutine looks are one.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// pause waits for d, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// jitter returns d, give or take a fifth, so that what began together does not
// stay together.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + time.Duration(rand.Int64N(int64(d)*2/5+1))
}

// timed gives one request a time of its own: a NATS without a leader does not
// answer, and when several nodes make the same thing at once it answers only
// one of them. Another try of the same request finds the thing made.
func timed[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return ask(ctx)
}

// retried calls try until it succeeds, or fails for a reason that waiting does
// not mend, or ctx ends.
func (s *Store) retried(ctx context.Context, try func() error) error {
	err := try()
	for err != nil && s.worthRetrying(err) && pause(ctx, jitter(retryAfter)) == nil {
		if again := try(); again == nil || ctx.Err() == nil { // else err says more
			err = again
		}
	}
	return err
}
