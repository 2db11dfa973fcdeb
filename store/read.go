package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A stored message is a message as it is in a stream.
type stored struct {
	subject string // set by get only
	seq     uint64
	at      int64 // Unix ns
	header  nats.Header
	data    []byte
}

// id returns the id of a message, or of a mark the highest id before it.
func (m *stored) id() uint64 {
	for _, name := range []string{headerID, headerMark} {
		if id, err := strconv.ParseUint(m.header.Get(name), 10, 64); err == nil {
			return id
		}
	}
	return 0
}

// lastOf returns the newest message of a subject, nil when there is none.
func (s *Store) lastOf(ctx context.Context, stream, subject string) (*stored, error) {
	return s.get(ctx, stream, map[string]any{"last_by_subj": subject})
}

// get asks the server that leads the stream for a message, nil when there is none.
func (s *Store) get(ctx context.Context, stream string, request map[string]any) (*stored, error) {
	var answer struct {
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	err := s.api(ctx, "STREAM.MSG.GET."+stream, request, &answer)
	if apiCode(err) == jetstream.JSErrCodeMessageNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &stored{subject: answer.Message.Subject, seq: answer.Message.Seq, at: answer.Message.Time.UnixNano(), data: answer.Message.Data, header: nats.Header{}}
	if len(answer.Message.Header) > 0 {
		if m.header, err = nats.DecodeHeadersMsg(answer.Message.Header); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// read calls each with at most count messages of a subject, from a sequence on.
// Any copy of the stream may answer.
func (s *Store) read(ctx context.Context, subject string, from uint64, count int, each func(stored)) error {
	request, err := json.Marshal(map[string]any{"seq": from, "next_by_subj": subject, "batch": count})
	if err != nil {
		return err
	}
	inbox := s.nc().NewInbox()
	sub, err := s.nc().SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := s.nc().PublishRequest("$JS.API.DIRECT.GET."+chatStream, inbox, request); err != nil {
		return err
	}
	for {
		m, err := nextMsg(ctx, sub)
		if err != nil {
			return fmt.Errorf("reading from NATS: %w", err)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204", "404": // the end, or nothing at all
			return nil
		default:
			return fmt.Errorf("reading from NATS: %s %s", status, m.Header.Get("Description"))
		}
		seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return fmt.Errorf("reading from NATS: %w", err)
		}
		at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
		if err != nil {
			return fmt.Errorf("reading from NATS: %w", err)
		}
		each(stored{seq: seq, at: at.UnixNano(), header: m.Header, data: m.Data})
	}
}

// nextMsg waits for the next part of an answer.
func nextMsg(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	return timed(ctx, sub.NextMsgWithContext)
}

// delete removes a message from the chat's stream.
func (s *Store) delete(ctx context.Context, seq uint64) error {
	var answer struct{}
	err := s.api(ctx, "STREAM.MSG.DELETE."+chatStream, map[string]any{"seq": seq, "no_erase": true}, &answer)
	if code := apiCode(err); code == 10043 || code == jetstream.JSErrCodeMessageNotFound {
		return nil // it is gone already
	}
	return err
}

// value returns the value of a key, nil when there is none. It asks the server
// that decides about writes, since a copy may be behind.
func (s *Store) value(ctx context.Context, bucket string, parts ...part) ([]byte, error) {
	m, err := s.lastOf(ctx, "KV_"+bucket, kv(bucket, parts...))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", kv(bucket, parts...), err)
	}
	if m == nil || m.header.Get("KV-Operation") != "" {
		return nil, nil
	}
	return m.data, nil
}
