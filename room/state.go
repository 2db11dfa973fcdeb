package room

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// How long opening a store may take, and when to try again to save.
const (
	OpenTimeout = 10 * time.Second
	StoreRetry  = 2 * time.Second
	SaveRetry   = 5 * time.Second
	SaveSoon    = time.Second // for changes that nobody waits for
)

// MaxState bounds the state of a room, in bytes: NATS takes messages of 1 MiB
// unless told otherwise.
const MaxState = 768 << 10

// state is everything a room knows but its chat, as JSON: with it, a room that
// restarts is the same room. The chat is stored message by message.
type state struct {
	Format    int    `json:"format,omitempty"` // stateFormat; higher ones are those of newer programs
	Name      string `json:"name,omitempty"`   // as the room was first opened
	ChatEpoch int64  `json:"chatEpoch"`        // when the history began, in ms since 1970
	Users     int    `json:"users"`            // no user with a higher number has said anything; 0: nobody has
	settings
	doors
	keys
}

// stateFormat is what this program writes. The next one is 1.
const stateFormat = 0

// ErrUnreadable is wrapped by the error of a room that does not start because its
// state cannot be read: as a new room, it would have no bans and no lock.
var ErrUnreadable = errors.New("room: stored state cannot be read")

// Readable returns nil if state was saved by this program or an earlier one, or is
// nil; otherwise an error that wraps ErrUnreadable.
func Readable(state []byte) error {
	_, err := parseState(state)
	return err
}

func parseState(data []byte) (k state, err error) {
	if data == nil {
		return k, nil
	}
	if err := json.Unmarshal(data, &k); err != nil {
		return k, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if k.Format > stateFormat {
		return k, fmt.Errorf("%w: a newer program wrote it: format %d, not %d", ErrUnreadable, k.Format, stateFormat)
	}
	return k, nil
}

// storage is the store of the room, and how saving the state is going.
type storage struct {
	Store
	written []byte      // by the newest save
	begun   int         // how many saves
	running int         // how many of them have not ended
	failed  bool        // the newest one
	retry   *time.Timer // saves again; nil when that is not due
	soon    bool        // a change is to be saved that nobody waits for
}

// open opens the store and restores the room. It blocks; nobody is in yet.
func (r *Room) open() error {
	ctx, cancel := context.WithTimeout(context.Background(), OpenTimeout)
	defer cancel()
	store, err := r.cfg.Open(ctx, server.Fold(r.name), func(data []byte) {
		for _, m := range parseMessages([][]byte{data}) {
			r.chat.once.found(m)
			r.in.Post(func() { r.said(m) })
		}
	})
	if err != nil {
		r.log.Error("room not opened", "err", err)
		return notOpened()
	}
	k, err := parseState(store.State())
	if err != nil {
		store.Close()
		r.log.Error("room state not read: the room does not start", "room", r.name, "err", err,
			"advice", "restore a backup, use the newer program that wrote it, or begin with an empty room: foyer forget "+r.name)
		return errors.Join(reject("This room cannot be opened: its stored state cannot be read. It stays closed until its operators have seen to it.", 0), err)
	}
	r.store.Store = store
	r.chat.fill(parseMessages(store.Newest()), int64(store.Last()))
	if err := r.recall(ctx, time.Now()); err != nil {
		store.Close()
		r.log.Error("room not opened", "err", err)
		return notOpened()
	}
	r.in.Go(func(ctx context.Context) { // also when the room ends in a panic
		<-ctx.Done()
		r.chat.pages.wg.Wait()
		store.Close()
	})
	r.restore(k)
	return nil
}

// notOpened refuses people while the store cannot be read.
func notOpened() error {
	return refusedFor(&rtmp.StatusError{Level: "error", Code: rtmp.CodeConnectFailed, Description: "The room cannot be opened at the moment."}, SaveRetry)
}

// restore makes the room what it was before.
func (r *Room) restore(k state) {
	if ValidName(k.Name) && server.Fold(k.Name) == server.Fold(r.name) {
		r.name = k.Name
	}
	r.chat.begin(k.ChatEpoch, k.Users, r.link.epoch)
	r.people.last = k.Users
	r.settings = k.settings
	r.doors.begin(k.doors, time.Now())
	r.stage.keys = k.keys
	if k.Retention != (retention{}) {
		r.store.Limit(k.Retention.Count, k.Retention.age())
	}
	if k.Record != nil && r.cfg.Recorder != nil {
		r.cfg.Recorder.Record(r.name, *k.Record)
	}
	r.store.written = r.snapshot()
}

// snapshot returns the state to save. If it is too long, which takes a thousand
// bans that are explained at length, the reasons of the bans are left out.
func (r *Room) snapshot() []byte {
	now := time.Now()
	r.doors.drop(now)
	r.stage.Released.drop(now)
	k := state{
		Name: r.name, ChatEpoch: r.chat.epoch, Users: r.chat.speakers.most, settings: r.settings, doors: r.doors, keys: r.stage.keys,
	}
	if k.Locked {
		k.Members = k.Members.with(r.people.list)
	}
	data, _ := json.Marshal(k) // there is nothing in it that has no JSON
	if len(data) > MaxState {
		k.Bans = slices.Clone(k.Bans)
		for i := range k.Bans {
			k.Bans[i].Reason = ""
		}
		data, _ = json.Marshal(k)
	}
	return data
}

// saved answers the current call when the whole state is stored.
func (r *Room) saved() (amf.Value, error) {
	s := &r.store
	if s.running == 0 && !s.failed && bytes.Equal(s.written, r.snapshot()) {
		return amf.Null{}, nil
	}
	return r.whenSaved("This holds now, but it cannot be stored at the moment.")
}

// whenSaved saves the state and answers the current call then: null, or a failure with
// that text.
func (r *Room) whenSaved(failure string) (amf.Value, error) {
	answer := r.in.Later()
	r.save(func(err error) {
		if err != nil {
			answer(nil, fail(failure, StoreRetry))
			return
		}
		answer(amf.Null{}, nil)
	})
	return nil, server.ErrPending
}

// save stores the state, and tries again until that succeeds. done hears of the first
// try; once the room has stopped, it may run on any goroutine.
func (r *Room) save(done func(error)) {
	s := &r.store
	s.written, s.soon = r.snapshot(), false
	s.begun++
	s.running++
	n := s.begun
	r.store.Save(s.written, func(err error) {
		if !r.in.Post(func() { r.wasSaved(n, err); done(err) }) {
			done(err)
		}
	})
}

func (r *Room) wasSaved(n int, err error) {
	s := &r.store
	s.running--
	if n < s.begun {
		return // a newer one counts
	}
	if err != nil && !s.failed {
		r.log.Error("room state not stored", "err", err)
	}
	s.failed = err != nil
	if s.failed && s.retry == nil {
		s.retry = r.in.After(SaveRetry, func() {
			s.retry = nil
			if s.failed && s.running == 0 {
				r.save(func(error) {})
			}
		})
	}
}

// saveSoon stores a change that nobody waits for, together with others of the next second.
func (r *Room) saveSoon() {
	if r.store.soon {
		return
	}
	r.store.soon = true
	r.in.After(SaveSoon, func() {
		if r.store.soon {
			r.save(func(error) {})
		}
	})
}
