package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Where things are kept. The buckets are for the nats tool, too.
const (
	chatStream    = "CHAT" // the subject chat.<room> of each room
	chatSubject   = "chat"
	roomsBucket   = "ROOMS"   // keys state.<room>, ids.<room>, and owner.<room> for the fence
	objectsBucket = "OBJECTS" // keys <instance>.<object>, both escaped, and <instance>.=owner
)

// ensure makes what things are kept in, and returns when the chat was made.
func (c *Cluster) ensure(ctx context.Context) (made time.Time, err error) {
	if err := c.beingRestored(ctx); err != nil {
		return made, err
	}
	if made, err = c.ensureChat(ctx); err != nil {
		return made, fmt.Errorf("making the stream %s: %w", chatStream, err)
	}
	buckets := []jetstream.KeyValueConfig{
		{Bucket: roomsBucket, Storage: jetstream.FileStorage, Description: "what rooms know"},
		{Bucket: objectsBucket, Storage: jetstream.FileStorage, Description: "persistent shared objects"},
	}
	if !c.embedded() {
		buckets = append(buckets, c.claimBuckets()...)
	}
	for _, cfg := range buckets {
		if err := c.ensureBucket(ctx, cfg); err != nil {
			return made, err
		}
	}
	return made, nil
}

// ensureChat makes the stream of the chat, or gives it the limits of today.
func (c *Cluster) ensureChat(ctx context.Context) (made time.Time, err error) {
	cfg := jetstream.StreamConfig{
		Name: chatStream, Subjects: []string{subject(chatSubject, "*")}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: int64(c.cfg.History), MaxAge: c.cfg.HistoryAge, AllowDirect: true,
		// Every room's newest message is told by its own sequence; doubles are found by that.
		Duplicates: min(time.Second, c.cfg.HistoryAge),
	}
	s, err := timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return c.js().Stream(ctx, chatStream) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = c.withCopies(chatStream, func(copies int) error {
			cfg.Replicas = copies
			s, err = timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return c.js().CreateStream(ctx, cfg) })
			return err
		})
	}
	if err != nil {
		return made, err
	}
	made = s.CachedInfo().Created
	if err := majority(s.CachedInfo().Cluster); err != nil {
		return made, err
	}
	is := s.CachedInfo().Config
	limits := is.MaxMsgsPerSubject == cfg.MaxMsgsPerSubject && is.MaxAge == cfg.MaxAge
	copies := c.wantCopies(chatStream, is.Replicas)
	if limits && !copies {
		return made, nil
	}
	if cfg.Replicas = is.Replicas; copies {
		cfg.Replicas = c.copies()
	}
	_, err = timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return c.js().UpdateStream(ctx, cfg) })
	if err == nil {
		c.log.Info("stream changed", "stream", chatStream, "copies", cfg.Replicas)
	}
	if limits {
		return made, nil // as good as it can be
	}
	return made, err
}

// unheard is how long the NATS server that leads may hear nothing of another.
// They speak every second.
const unheard = 5 * time.Second

// majority checks that the server that leads hears of so many others that it can
// store something. One that is cut off from them goes on leading for a while,
// and says that all is well.
func majority(g *jetstream.ClusterInfo) error {
	if g == nil {
		return nil // it is one server only
	}
	silent := 0
	for _, r := range g.Replicas {
		if r.Active > unheard {
			silent++
		}
	}
	if 2*silent > len(g.Replicas) {
		return fmt.Errorf("%s has heard nothing of the others for %v", g.Leader, unheard)
	}
	return nil
}

// blink is how long there may be no connection before the store is away.
const blink = 300 * time.Millisecond

// wake makes watch look at once.
func (c *Cluster) wake() {
	select {
	case c.look <- struct{}{}:
	default:
	}
}

// watch looks whether the store is well until ctx ends, and puts right what it
// can. Open starts it, Close waits for it.
func (c *Cluster) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchEvery):
		case <-c.look:
		}
		err := c.examine(ctx)
		if ctx.Err() == nil {
			c.judge(err)
		}
	}
}

// examine returns why nothing can be stored, or nil.
func (c *Cluster) examine(ctx context.Context) error {
	err := c.revive(ctx)
	if c.mourn(err); err != nil {
		return err
	}
	if err := c.measureDisk(); err != nil {
		return err
	}
	if !c.nc().IsConnected() && !c.embedded() && c.Ready() == nil {
		_ = pause(ctx, blink) // another server of the same NATS may be there at once
	}
	if !c.nc().IsConnected() {
		return c.away()
	}
	if err := c.recent(); err != nil {
		return err
	}
	made, err := c.ensure(ctx)
	if err != nil {
		return fmt.Errorf("NATS at %s: %w", c.where(), c.noJetStream(err))
	}
	before := c.made
	if c.made = made; before.IsZero() || before.Equal(made) {
		return nil
	}
	c.log.Warn("store came back empty", "url", c.where())
	for _, r := range c.opened() {
		r.rescue()
	}
	select {
	case c.emptied <- struct{}{}:
	default:
	}
	return nil
}

// Emptied has a value when the store came back empty: rooms that are open have
// stored their state again then, and objects want to be saved again.
func (c *Cluster) Emptied() <-chan struct{} { return c.emptied }

// away is the error while there is no connection.
func (c *Cluster) away() error {
	if err := c.nc().LastError(); err != nil && !c.embedded() {
		return fmt.Errorf("NATS at %s is away: %w", c.where(), err)
	}
	return fmt.Errorf("NATS at %s is away", c.where())
}

// judge keeps what examine said. When the store is well again, the rooms find
// out what became of what they did not hear of.
func (c *Cluster) judge(err error) {
	c.mu.Lock()
	was, began := c.unwell, c.reached
	c.unwell, c.reached = err, began || err == nil
	c.mu.Unlock()
	switch {
	case err == nil && !began:
		c.log.Info("store opened", "url", c.where(), "cluster", c.nc().ConnectedClusterName(), "sync", "as NATS is set there")
	case was == nil && err != nil:
		c.log.Error("store went away", "err", err)
	case was != nil && err == nil:
		c.log.Info("store came back", "url", c.where())
		for _, r := range c.opened() {
			r.check()
		}
	}
}

// publish stores m and returns its sequence. It tries again while ctx allows,
// so m may be refused although a try before has stored it.
func (c *Cluster) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if err := c.isBroken(); err != nil {
			return 0, err
		}
		seq, err := c.publishOnce(ctx, m)
		if err == nil {
			return seq, nil
		}
		if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.Code != 503 {
			return 0, err
		}
		if err := c.isBroken(); err != nil {
			return 0, err
		}
		c.wake()
		if pause(ctx, wait) != nil {
			if !c.nc().IsConnected() {
				return 0, fmt.Errorf("cannot store: %w", c.away())
			}
			return 0, fmt.Errorf("cannot store: NATS at %s does not answer: %w", c.where(), err)
		}
	}
}

// try is a context for one request. What is asked before the connection breaks
// is never answered.
func (c *Cluster) try(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.others != nil {
		return c.others.try(ctx)
	}
	return context.WithTimeout(ctx, tryTimeout)
}

// isBroken says why the embedded engine can or may write nothing, or nil.
func (c *Cluster) isBroken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken:
		return fmt.Errorf("cannot store: %w", c.unwell)
	case c.low != nil:
		return fmt.Errorf("cannot store: %w", c.low)
	}
	return nil
}

// storeFailed is the error code of JetStream when it could not write.
const storeFailed = 10077

func (c *Cluster) publishOnce(ctx context.Context, m *nats.Msg) (uint64, error) {
	ctx, cancel := c.try(ctx)
	defer cancel()
	answer, err := c.nc().RequestMsgWithContext(ctx, m)
	if err != nil {
		return 0, err
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("reading the answer of NATS: %w", err)
	}
	if ack.Error != nil {
		if ack.Error.ErrorCode == storeFailed {
			c.broke(errors.New(ack.Error.Description))
		}
		return 0, ack.Error
	}
	return ack.Seq, nil
}

// mayCome reports whether what failed with err may succeed when NATS is ready:
// an external one that is away, or ours when it has waited for a slow disk.
func (c *Cluster) mayCome(err error) bool {
	if c.embedded() {
		return !c.ending() && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrConnectionClosed))
	}
	return !c.ending() && (uncertain(err) || apiCode(err) == jetstream.JSErrCodeStreamNotFound)
}

// ending reports whether Close was called.
func (c *Cluster) ending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// api asks JetStream.
func (c *Cluster) api(ctx context.Context, method string, request, answer any) error {
	ctx, cancel := c.try(ctx)
	defer cancel()
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := c.nc().RequestWithContext(ctx, "$JS.API."+method, data)
	if err != nil {
		return fmt.Errorf("asking NATS: %w", err)
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := errors.Join(json.Unmarshal(m.Data, &failed), json.Unmarshal(m.Data, answer)); err != nil {
		return fmt.Errorf("reading the answer of NATS: %w", err)
	}
	if failed.Error != nil {
		return failed.Error
	}
	return nil
}

// apiCode is the code of JetStream's error, or 0.
func apiCode(err error) jetstream.ErrorCode {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode
	}
	return 0
}
