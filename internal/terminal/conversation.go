package terminal

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

const (
	// dialTimeout bounds one attempt to come in.
	dialTimeout = 15 * time.Second
	// callTimeout bounds one call of a method.
	callTimeout = 20 * time.Second
	// historyPage is the most messages that a room hands out at once.
	historyPage = 200
	// historyOverlap is how many messages back we look for some that were removed
	// while the connection was lost.
	historyOverlap = 150

	// The delay before another attempt to connect grows from the first to the
	// last of these, with jitter, and starts over after a stable connection.
	minReconnect    = 500 * time.Millisecond
	maxReconnect    = 15 * time.Second
	stableReconnect = 10 * time.Second
)

// Options say who comes to which room.
type Options struct {
	URI     string // of the room
	Nick    string
	Token   string // the admin token, to be a moderator; empty: none
	History int    // how many of the newest messages to begin with; 200 at most
}

// conversation is one with these options; nothing hears of it yet.
func (o Options) conversation() *conversation {
	return &conversation{uri: o.URI, nick: o.Nick, token: o.Token, history: min(max(0, o.History), historyPage)}
}

// A conversation is one person's stay in a room. It comes back when the
// connection is lost, and then shows what was said in between. It follows when
// the server sends people elsewhere.
type conversation struct {
	// set by the maker
	token   string
	history int                                                               // how many of the newest messages to begin with
	emit    func(event)                                                       // called by run, one at a time
	dialer  func(ctx context.Context, network, addr string) (net.Conn, error) // nil means the network's own

	// owned by run
	uri      string  // of the room; set by the maker
	epoch    float64 // of the room
	wasIn    bool
	people   map[string]person
	title    string
	topic    string
	caught   bool              // the history of this connection has come
	pending  []event           // messages that came before it
	expelled error             // why the room threw us out, if it did
	resume   string            // by which the room knows us again
	follow   *client.Reconnect // what the server asks for; nil when it does not
	shown    []float64         // ids of the last messages that were shown, in order

	// guarded by mu; every change closes changed
	mu      sync.Mutex
	changed chan struct{}
	nick    string
	nc      *client.NetConnection // nil while away or still catching up
	last    float64               // highest message id shown
}

// An errRefused is the room's reason for not doing something.
type errRefused struct {
	reason     string
	retryAfter time.Duration // zero: it makes no sense to try again
}

func (e *errRefused) Error() string { return e.reason }

// run stays in the room until ctx ends, which is fine, or the room says no.
func (c *conversation) run(ctx context.Context) error {
	delay := minReconnect
	c.resume = crand.Text()
	for {
		began := time.Now()
		err := c.visit(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if c.final(err) {
			return err
		}
		if time.Since(began) > stableReconnect {
			delay = minReconnect
		}
		wait := time.Duration(rand.Float64() * float64(delay)).Round(time.Millisecond)
		if c.follow == nil {
			c.emit(event{Type: "status", Level: "error", Code: rtmp.CodeConnectClosed, Text: "connection lost: " + reason(err), RetryAfter: max(1, float64(wait.Milliseconds()))})
		} else {
			wait = c.take(*c.follow, wait)
		}
		delay = min(2*delay, maxReconnect)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// take prepares to go where the server wants us, or back to where we are. It
// returns how long to wait: people spread over at least the time that the
// server named.
func (c *conversation) take(r client.Reconnect, jitter time.Duration) time.Duration {
	c.follow = nil
	wait := r.RetryAfter + max(jitter, time.Duration(rand.Float64()*float64(r.RetryAfter))).Round(time.Millisecond)
	c.emit(event{Type: "status", Level: rtmp.LevelStatus, Code: rtmp.CodeReconnectRequest, Text: r.Description, RetryAfter: max(1, float64(wait.Milliseconds()))})
	if r.URI != c.uri {
		c.uri, c.epoch, c.shown, c.title, c.topic = r.URI, 0, nil, "", ""
		c.update(func() { c.last = 0 })
	}
	return wait
}

// final reports whether it makes no sense to come back after err: the room refused.
// When it refused our nick, the nick is somebody else's now: a lost connection of
// our own makes way.
func (c *conversation) final(err error) bool {
	if !c.wasIn {
		return true
	}
	status, ok := errors.AsType[*rtmp.StatusError](err)
	return ok && status.Code == rtmp.CodeConnectRejected
}

// reason is err for a person's eyes.
func reason(err error) string {
	if status, ok := errors.AsType[*rtmp.StatusError](err); ok && status.Description != "" {
		return status.Description
	}
	return err.Error()
}

// visit is one connection, from dialling to its end. It returns the reason.
//
// Everything that the connection tells is posted to visit's loop, which owns the
// state and calls emit. While the loop is busy the connection is held back.
func (c *conversation) visit(ctx context.Context) error {
	inbox := make(chan func()) // unbuffered: order and back-pressure
	left := make(chan struct{})
	post := func(f func()) {
		select {
		case inbox <- f:
		case <-left:
		}
	}
	nc, err := c.dial(ctx, post)
	if err != nil {
		return err
	}
	c.enter(nc, post)
	epoch, from := c.epoch, c.from()
	var beside sync.WaitGroup
	calls, cancel := context.WithCancel(ctx)
	beside.Go(func() {
		pages, err := c.fetch(calls, nc, epoch, from)
		post(func() { c.catchUp(nc, pages, err) })
	})
	for open := true; open && c.follow == nil; {
		select {
		case f := <-inbox:
			f()
		case <-nc.Done():
			open = false
		case <-ctx.Done():
			open = false
		}
	}
	c.update(func() { c.nc = nil })
	cancel()
	close(left)
	nc.Close()
	beside.Wait()
	if c.expelled != nil {
		return c.expelled
	}
	return nc.Err()
}

// dial comes in: the room accepts or says no.
func (c *conversation) dial(ctx context.Context, post func(func())) (*client.NetConnection, error) {
	method := func(f func(amf.Args)) func(amf.Args) (amf.Value, error) {
		return func(args amf.Args) (amf.Value, error) {
			post(func() { f(args) })
			return amf.Undefined{}, nil
		}
	}
	o := client.Options{
		Methods: map[string]func(amf.Args) (amf.Value, error){
			"message": method(func(a amf.Args) { c.message(parseMessage(a.At(0))) }),
			"removed": method(func(a amf.Args) {
				id, _ := amf.AsNumber(a.At(0))
				c.removed(id)
			}),
			"notice": method(func(a amf.Args) { c.emit(event{Type: "notice", Text: text(a.At(0), "text")}) }),
		},
		OnStatus:    func(s *rtmp.StatusError) { post(func() { c.status(s) }) },
		OnReconnect: func(r client.Reconnect) { post(func() { c.follow = &r }) },
		Dial:        c.dialer,
	}
	c.mu.Lock()
	args := []amf.Value{amf.String(c.nick), amf.String(c.token), amf.String(c.resume)}
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return client.Dial(ctx, c.uri, o, args...)
}

// status takes a status of the connection: the room may have thrown us out.
func (c *conversation) status(s *rtmp.StatusError) {
	if s.Code == rtmp.CodeConnectRejected {
		c.expelled = s
		return
	}
	c.emit(statusEvent(s))
}

// enter tells that we are in, and follows the room's shared objects.
func (c *conversation) enter(nc *client.NetConnection, post func(func())) {
	c.wasIn, c.caught, c.pending = true, false, nil
	c.emit(event{Type: "status", Level: "status", Code: rtmp.CodeConnectSuccess, Text: "connected to " + c.uri, URL: c.uri})
	var users, room *client.SharedObject
	c.people = nil // so that the first list is told as a whole
	users, _ = nc.SharedObject("users", false, func([]sharedobject.Sync) { post(func() { c.syncUsers(users.Slots()) }) })
	room, _ = nc.SharedObject("room", false, func([]sharedobject.Sync) { post(func() { c.syncRoom(room.Slots()) }) })
}

// syncUsers tells of people who came, left or changed their nicks.
func (c *conversation) syncUsers(slots map[string]amf.Value) {
	now := make(map[string]person, len(slots))
	for id, v := range slots {
		p := parsePerson(v)
		p.ID = id
		now[id] = p
	}
	before := c.people
	c.people = now
	if before == nil {
		c.emit(event{Type: "people", Users: byNick(now)})
		return
	}
	for _, p := range byNick(before) {
		if _, in := now[p.ID]; !in {
			c.emit(event{Type: "leave", User: &p})
		}
	}
	for _, p := range byNick(now) {
		old, in := before[p.ID]
		switch {
		case !in:
			c.emit(event{Type: "join", User: &p})
		case old.Nick != p.Nick:
			c.emit(event{Type: "rename", User: &p, Old: old.Nick})
		}
	}
}

// syncRoom tells what changed about the room.
func (c *conversation) syncRoom(slots map[string]amf.Value) {
	for _, s := range []struct {
		slot string
		now  *string
	}{{"title", &c.title}, {"topic", &c.topic}} {
		if v, _ := amf.AsString(slots[s.slot]); v != *s.now {
			*s.now = v
			c.emit(event{Type: s.slot, Text: v})
		}
	}
}

// message takes a message that was just said. Before the history has come it
// waits, so that messages are shown in order and once.
func (c *conversation) message(m event) {
	if !c.caught {
		c.pending = append(c.pending, m)
		return
	}
	if m.ID > c.last {
		c.show(m)
	}
}

// removed takes a message away.
func (c *conversation) removed(id float64) {
	c.shown = slices.DeleteFunc(c.shown, func(shown float64) bool { return shown == id })
	c.pending = slices.DeleteFunc(c.pending, func(m event) bool { return m.ID == id })
	c.emit(event{Type: "removed", ID: id})
}

// show emits a message and remembers that it did.
func (c *conversation) show(m event) {
	c.emit(m)
	if c.shown = append(c.shown, m.ID); len(c.shown) > historyOverlap {
		c.shown = slices.Delete(c.shown, 0, 1)
	}
	c.update(func() { c.last = m.ID })
}

// pages is what was said before this connection, as far as it is of interest.
type pages struct {
	epoch    float64
	last     float64 // highest id there is
	after    float64 // all messages above it are here,
	messages []event
	complete bool // unless this is false
}

// from is after which id to ask: a bit before the last one shown, to hear what
// was removed meanwhile.
func (c *conversation) from() float64 {
	if len(c.shown) > 0 {
		return c.shown[0] - 1
	}
	return c.last // written by run only
}

// fetch asks for what was said after an id, or, the first time (epoch 0) and
// when the room has lost its history, for the newest.
func (c *conversation) fetch(ctx context.Context, nc *client.NetConnection, epoch, after float64) (pages, error) {
	if epoch == 0 {
		p, _, err := c.page(ctx, nc, amf.Object{{Name: "limit", Value: amf.Number(max(1, c.history))}})
		p.complete = true
		return p, err
	}
	all := pages{after: after, complete: true}
	for more := true; more; {
		var p pages
		var err error
		p, more, err = c.page(ctx, nc, amf.Object{
			{Name: "after", Value: amf.Number(after)}, {Name: "epoch", Value: amf.Number(epoch)}, {Name: "limit", Value: amf.Number(historyPage)},
		})
		if err != nil {
			return all, err
		}
		if p.epoch != epoch { // these are the newest
			p.messages = p.messages[max(0, len(p.messages)-max(1, c.history)):]
			return p, nil
		}
		all.complete = all.complete && p.complete
		all.epoch, all.last, all.messages = p.epoch, p.last, append(all.messages, p.messages...)
		if len(p.messages) == 0 {
			break
		}
		after = p.messages[len(p.messages)-1].ID
	}
	return all, nil
}

// page is one call of history.
func (c *conversation) page(ctx context.Context, nc *client.NetConnection, query amf.Object) (p pages, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	v, err := nc.Call(ctx, "history", query)
	if err != nil {
		return p, false, fmt.Errorf("asking for the history: %w", err)
	}
	p.epoch, p.last = number(v, "epoch"), math.Inf(1) // for rooms that do not say
	if last, ok := amf.AsNumber(amf.Lookup(v, "last")); ok {
		p.last = last
	}
	p.complete, _ = amf.AsBool(amf.Lookup(v, "complete"))
	more, _ = amf.AsBool(amf.Lookup(v, "more"))
	list, _ := amf.Lookup(v, "messages").(amf.StrictArray)
	for _, m := range list {
		p.messages = append(p.messages, parseMessage(m))
	}
	return p, more, nil
}

// catchUp shows what fetch got, then what came meanwhile. From now on others
// may speak through nc.
func (c *conversation) catchUp(nc *client.NetConnection, p pages, err error) {
	first := c.epoch == 0
	if err == nil {
		c.compare(p)
	}
	if !first || c.history > 0 {
		for _, m := range p.messages {
			if m.ID > c.last {
				c.show(m)
			}
		}
	}
	c.caught = true
	for _, m := range c.pending {
		c.message(m)
	}
	c.pending = nil
	c.update(func() {
		if n := len(p.messages); n > 0 {
			c.last = max(c.last, p.messages[n-1].ID)
		}
		c.nc = nc
	})
}

// compare tells which of the shown messages the room no longer has, and whether
// some are missing after them.
func (c *conversation) compare(p pages) {
	began := c.epoch == 0 || c.last == 0 // nothing was there to be lost
	if p.epoch != c.epoch || p.last < c.last {
		if !began {
			c.emit(event{Type: "gap"})
		}
		// The ids mean other messages now. In a history that lost its end they are
		// the same up to there.
		last := 0.0
		if p.epoch == c.epoch {
			last = p.last
		}
		c.epoch, c.shown = p.epoch, nil
		c.update(func() { c.last = last })
		return
	}
	here := make(map[float64]bool, len(p.messages))
	for _, m := range p.messages {
		here[m.ID] = true
	}
	if !p.complete { // what is not here may be too old
		p.after = p.last
		if len(p.messages) > 0 {
			p.after = p.messages[0].ID - 1
		}
		if !began && p.after > c.last {
			c.emit(event{Type: "gap"})
		}
	}
	c.shown = slices.DeleteFunc(c.shown, func(id float64) bool {
		gone := id > p.after && !here[id]
		if gone {
			c.emit(event{Type: "removed", ID: id})
		}
		return gone
	})
}

// update changes state that others wait for.
func (c *conversation) update(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// await blocks until cond, called with mu held, is true.
func (c *conversation) await(ctx context.Context, cond func() bool) error {
	for {
		c.mu.Lock()
		if cond() {
			c.mu.Unlock()
			return nil
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// call calls a method of the room, waiting for a connection first. The room's
// no is an *errRefused.
func (c *conversation) call(ctx context.Context, method string, args ...amf.Value) (amf.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var nc *client.NetConnection
	if err := c.await(ctx, func() bool { nc = c.nc; return nc != nil }); err != nil {
		return nil, err
	}
	v, err := nc.Call(ctx, method, args...)
	if status, ok := errors.AsType[*rtmp.StatusError](err); ok && status.Code == rtmp.CodeCallFailed {
		refused := &errRefused{reason: reason(err), retryAfter: time.Duration(number(status.Application, "retryAfter")) * time.Millisecond}
		if r := text(status.Application, "reason"); r != "" {
			refused.reason = r
		}
		return nil, refused
	}
	return v, err
}

// say says something. It returns when the room has stored it and it was shown. After an
// error the room may have it all the same: say it again with the same key, and it is
// said once.
func (c *conversation) say(ctx context.Context, line, key string) error {
	v, err := c.call(ctx, "say", amf.String(line), amf.Object{{Name: "key", Value: amf.String(key)}})
	if err != nil {
		return err
	}
	id := number(v, "id")
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.await(ctx, func() bool { return c.last >= id || c.nc == nil })
}

// rename changes our nick.
func (c *conversation) rename(ctx context.Context, nick string) error {
	v, err := c.call(ctx, "nick", amf.String(nick))
	if err != nil {
		return err
	}
	shown, _ := amf.AsString(amf.Lookup(v, "nick"))
	c.update(func() { c.nick = cmp.Or(shown, nick) })
	return nil
}

// setTopic changes the room's topic, for a moderator.
func (c *conversation) setTopic(ctx context.Context, topic string) error {
	_, err := c.call(ctx, "topic", amf.String(topic))
	return err
}

// move sends the audience to another room, for a moderator.
func (c *conversation) move(ctx context.Context, room string) error {
	_, err := c.call(ctx, "move", amf.String(room))
	return err
}
