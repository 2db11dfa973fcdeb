package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// replicasOf is how many copies an external NATS keeps, if it has the servers.
const replicasOf = 3

// copyEvery is how often a NATS that had too few servers is asked to keep more
// copies.
const copyEvery = 10 * time.Second

// errNoPeers is the error of a cluster that has too few servers.
var errNoPeers = &jetstream.APIError{ErrorCode: 10005}

// copies returns how many copies of everything there should be.
func (s *Store) copies() int {
	if s.embedded() || s.nc().ConnectedClusterName() == "" {
		return 1
	}
	return replicasOf
}

// withCopies calls make to make something with all the copies, or with one
// while NATS has too few servers.
func (s *Store) withCopies(name string, make func(copies int) error) error {
	copies := s.copies()
	err := make(copies)
	if copies > 1 && errors.Is(err, errNoPeers) {
		s.log.Warn("NATS has fewer than three servers: it keeps one copy until it has three", "url", s.where(), "name", name)
		err = make(1)
	}
	return err
}

// wantCopies reports whether it is time to ask for more copies of something.
func (s *Store) wantCopies(name string, has int) bool {
	if has >= s.copies() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.copiesAsked[name]) > s.cfg.copying {
		s.copiesAsked[name] = now
		return true
	}
	return false
}

// ensureBucket makes a bucket that is not there, and updates one that is: a
// bucket made when NATS had too few servers gets its copies.
func (s *Store) ensureBucket(ctx context.Context, cfg jetstream.KeyValueConfig) error {
	cfg.History = 1
	stream, err := timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return s.js().Stream(ctx, "KV_"+cfg.Bucket) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = s.withCopies(cfg.Bucket, func(copies int) error {
			cfg.Replicas = copies
			_, err := timed(ctx, func(ctx context.Context) (jetstream.KeyValue, error) { return s.js().CreateOrUpdateKeyValue(ctx, cfg) })
			return err
		})
	} else if err == nil {
		if cfg.Bucket == objectsBucket {
			s.objects.measured(int64(stream.CachedInfo().State.Bytes))
		}
		err = s.mendBucket(ctx, stream.CachedInfo().Config, cfg)
	}
	if err != nil {
		return fmt.Errorf("making the bucket %s: %w", cfg.Bucket, err)
	}
	return nil
}

// mendBucket updates the settings of a bucket as far as NATS can.
func (s *Store) mendBucket(ctx context.Context, is jetstream.StreamConfig, cfg jetstream.KeyValueConfig) error {
	copies := s.wantCopies(cfg.Bucket, is.Replicas)
	if is.MaxAge == cfg.TTL && !copies {
		return nil
	}
	if cfg.Replicas = is.Replicas; copies {
		cfg.Replicas = s.copies()
	}
	_, err := timed(ctx, func(ctx context.Context) (jetstream.KeyValue, error) { return s.js().UpdateKeyValue(ctx, cfg) })
	if err == nil {
		s.log.Info("bucket changed", "bucket", cfg.Bucket, "copies", cfg.Replicas)
	}
	if is.MaxAge == cfg.TTL {
		return nil
	}
	return err
}

// noBucket reports whether err says that a bucket is missing, or not served.
func noBucket(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrStreamNotFound)
}
