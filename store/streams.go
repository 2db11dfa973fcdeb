package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Where things are stored. Operators may look into the buckets with the nats
// tool.
const (
	chatStream    = "CHAT" // the subject chat.<room> of each room
	chatSubject   = "chat"
	roomsBucket   = "ROOMS"   // keys state.<room>, ids.<room>, and owner.<room> for the fence
	objectsBucket = "OBJECTS" // keys <instance>.<object>, both escaped, and <instance>.=owner
)

// ensure makes the streams and buckets, and returns when the chat's stream was
// made.
func (s *Store) ensure(ctx context.Context) (made time.Time, err error) {
	if err := s.beingRestored(ctx); err != nil {
		return made, err
	}
	if made, err = s.ensureChat(ctx); err != nil {
		return made, fmt.Errorf("making the stream %s: %w", chatStream, err)
	}
	buckets := []jetstream.KeyValueConfig{
		{Bucket: roomsBucket, Storage: jetstream.FileStorage, Description: "what rooms know"},
		{Bucket: objectsBucket, Storage: jetstream.FileStorage, Description: "persistent shared objects"},
	}
	if !s.embedded() {
		buckets = append(buckets, s.claimBuckets()...)
	}
	for _, cfg := range buckets {
		if err := s.ensureBucket(ctx, cfg); err != nil {
			return made, err
		}
	}
	return made, nil
}

// ensureChat makes the stream of the chat, or sets its limits to the present
// ones.
func (s *Store) ensureChat(ctx context.Context) (made time.Time, err error) {
	cfg := jetstream.StreamConfig{
		Name: chatStream, Subjects: []string{subject(chatSubject, "*")}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: int64(s.cfg.History), MaxAge: s.cfg.HistoryAge, AllowDirect: true,
		// Duplicates are found by the sequence of each room's newest message
		// instead.
		Duplicates: min(time.Second, s.cfg.HistoryAge),
	}
	stream, err := timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return s.js().Stream(ctx, chatStream) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = s.withCopies(chatStream, func(copies int) error {
			cfg.Replicas = copies
			stream, err = timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return s.js().CreateStream(ctx, cfg) })
			return err
		})
	}
	if err != nil {
		return made, err
	}
	made = stream.CachedInfo().Created
	if err := majority(stream.CachedInfo().Cluster); err != nil {
		return made, err
	}
	is := stream.CachedInfo().Config
	limits := is.MaxMsgsPerSubject == cfg.MaxMsgsPerSubject && is.MaxAge == cfg.MaxAge
	copies := s.wantCopies(chatStream, is.Replicas)
	if limits && !copies {
		return made, nil
	}
	if cfg.Replicas = is.Replicas; copies {
		cfg.Replicas = s.copies()
	}
	_, err = timed(ctx, func(ctx context.Context) (jetstream.Stream, error) { return s.js().UpdateStream(ctx, cfg) })
	if err == nil {
		s.log.Info("stream changed", "stream", chatStream, "copies", cfg.Replicas)
	}
	if limits {
		return made, nil // as good as NATS can do now
	}
	return made, err
}

// unheard is how long the leading NATS server may hear nothing from another
// one. They speak every second.
const unheard = 5 * time.Second

// majority checks that the leading server hears from enough others to store
// something. A server that is cut off from them leads for a while longer, and
// says that all is well.
func majority(g *jetstream.ClusterInfo) error {
	if g == nil {
		return nil // there is only one server
	}
	silent := 0
	for _, r := range g.Replicas {
		if r.Active > unheard {
			silent++
		}
	}
	if 2*silent > len(g.Replicas) {
		return fmt.Errorf("%s has heard nothing from the others for %v", g.Leader, unheard)
	}
	return nil
}

// blink is how long the connection may be down before the store counts as away.
const blink = 300 * time.Millisecond

// watch checks whether the store works until ctx ends, and repairs what it can.
// Open starts it, Close waits for it.
func (s *Store) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchEvery):
		case <-s.woken:
		}
		err := s.checkHealth(ctx)
		if ctx.Err() == nil {
			s.noteHealth(err)
		}
	}
}

// checkHealth returns why nothing can be stored, or nil.
func (s *Store) checkHealth(ctx context.Context) error {
	err := s.revive(ctx)
	if s.noteDead(err); err != nil {
		return err
	}
	if err := s.measureDisk(); err != nil {
		return err
	}
	if !s.nc().IsConnected() && !s.embedded() && s.Ready() == nil {
		_ = pause(ctx, blink) // another server of the same NATS may take over at once
	}
	if !s.nc().IsConnected() {
		return s.away()
	}
	if err := s.checkVersion(); err != nil {
		return err
	}
	made, err := s.ensure(ctx)
	if err != nil {
		return fmt.Errorf("NATS at %s: %w", s.where(), s.noJetStream(err))
	}
	before := s.chatMade
	if s.chatMade = made; before.IsZero() || before.Equal(made) {
		return nil
	}
	s.log.Warn("store came back empty", "url", s.where())
	for _, r := range s.opened() {
		r.saveAgain()
	}
	s.emptied.ring()
	return nil
}

// Emptied receives a value when the store came back empty. Rooms that are open
// have stored their state again by then; objects should be saved again.
func (s *Store) Emptied() <-chan struct{} { return s.emptied }

// away returns the error while there is no connection.
func (s *Store) away() error {
	if err := s.nc().LastError(); err != nil && !s.embedded() {
		return fmt.Errorf("NATS at %s is away: %w", s.where(), err)
	}
	return fmt.Errorf("NATS at %s is away", s.where())
}

// noteHealth notes the result of checkHealth. When the store works again, the
// rooms find out whether messages whose answers were lost are stored.
func (s *Store) noteHealth(err error) {
	s.mu.Lock()
	was, began := s.unwell, s.reached
	s.unwell, s.reached = err, began || err == nil
	s.mu.Unlock()
	switch {
	case err == nil && !began:
		s.log.Info("store opened", "url", s.where(), "cluster", s.nc().ConnectedClusterName(), "sync", "as NATS is set there")
	case was == nil && err != nil:
		s.log.Error("store went away", "err", err)
	case was != nil && err == nil:
		s.log.Info("store came back", "url", s.where())
		for _, r := range s.opened() {
			r.lookUpUnsure()
		}
	}
}

// publish stores m and returns its sequence. It retries until ctx ends, so m
// may be refused because an earlier try has stored it.
func (s *Store) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if err := s.isBroken(); err != nil {
			return 0, err
		}
		seq, err := s.publishOnce(ctx, m)
		if err == nil {
			return seq, nil
		}
		if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.Code != 503 {
			return 0, err
		}
		if err := s.isBroken(); err != nil {
			return 0, err
		}
		s.woken.ring()
		if pause(ctx, wait) != nil {
			if !s.nc().IsConnected() {
				return 0, fmt.Errorf("cannot store: %w", s.away())
			}
			return 0, fmt.Errorf("cannot store: NATS at %s does not answer: %w", s.where(), err)
		}
	}
}

// try returns a context for one request. A request sent before the connection
// breaks is never answered.
func (s *Store) try(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.cluster != nil {
		return s.cluster.try(ctx)
	}
	return context.WithTimeout(ctx, tryTimeout)
}

// isBroken returns why the embedded engine cannot or must not write, or nil.
func (s *Store) isBroken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken:
		return fmt.Errorf("cannot store: %w", s.unwell)
	case s.diskLow != nil:
		return fmt.Errorf("cannot store: %w", s.diskLow)
	}
	return nil
}

// storeFailed is JetStream's error code when it could not write.
const storeFailed = 10077

func (s *Store) publishOnce(ctx context.Context, m *nats.Msg) (uint64, error) {
	ctx, cancel := s.try(ctx)
	defer cancel()
	answer, err := s.nc().RequestMsgWithContext(ctx, m)
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
			s.noteBroken(errors.New(ack.Error.Description))
		}
		return 0, ack.Error
	}
	return ack.Seq, nil
}

// worthRetrying reports whether a request that failed with err may succeed later:
// when an external NATS is back, or ours has waited for a slow disk.
func (s *Store) worthRetrying(err error) bool {
	if s.embedded() {
		return !s.closing() && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrConnectionClosed))
	}
	return !s.closing() && (uncertain(err) || apiCode(err) == jetstream.JSErrCodeStreamNotFound)
}

// closing reports whether Close was called.
func (s *Store) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// api makes a request of JetStream.
func (s *Store) api(ctx context.Context, method string, request, answer any) error {
	ctx, cancel := s.try(ctx)
	defer cancel()
	return s.request(ctx, "$JS.API."+method, request, answer)
}

// request makes a request of JetStream that may take as long as ctx.
func (s *Store) request(ctx context.Context, subject string, request, answer any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := s.nc().RequestWithContext(ctx, subject, data)
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

// apiCode returns the code of JetStream's error, or 0.
func apiCode(err error) jetstream.ErrorCode {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode
	}
	return 0
}

// wrongSequence reports whether a write was refused because something else was
// written before.
func wrongSequence(err error) bool {
	code := apiCode(err)
	return code == jetstream.JSErrCodeStreamWrongLastSequence || code == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}
