package store

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// liveBucket has an entry for each room of each node, and one for each node,
// which only says that the node is there. It is in memory: all its entries are
// renewed.
const liveBucket = "ROOMS_LIVE"

// maxPending bounds the entries that NATS has not answered yet.
const maxPending = 16384

// A Directory tells the nodes about each other's rooms. It holds copies only: a
// node knows its own rooms without it.
type Directory struct {
	// set by newDirectory
	store   *Store
	cluster *cluster
	prefix  string // of the keys of this node
	wake    bell   // rung when something is due earlier than the queue said

	// owned by write
	conn *nats.Conn // the connection of js
	js   jetstream.JetStream

	mu       sync.Mutex
	own      map[string]*listing               // guarded by mu: the entries of this node, by room
	queue    queue                             // guarded by mu: the same entries, by when they are put next
	theirs   map[string]map[string]remoteEntry // guarded by mu: the entries of the others, by room, then node
	fresh    bool                              // guarded by mu: theirs is complete and up to date
	heard    time.Time                         // guarded by mu: when this node heard its own sign of life last
	watchers map[*watcher]bool                 // guarded by mu
}

// listing is an entry of this node.
type listing struct {
	room       string
	entry      []byte    // nil: gone
	news       bool      // entry has not been put yet
	quietUntil time.Time // changes that are put use up the time until this; the next may be put a gap before it
	due        time.Time // when it is put next
	index      int       // in the queue
}

// remoteEntry is an entry of another node.
type remoteEntry struct {
	entry []byte
	Epoch float64 // of the entry: it changes when the room starts
	since uint64  // the revision by which this node first knew of that start
	heard time.Time
}

func newDirectory(s *Store, c *cluster) (*Directory, error) {
	d := &Directory{
		store: s, cluster: c, prefix: kv(liveBucket, key(s.cfg.Node)), wake: newBell(),
		heard: time.Now(), own: make(map[string]*listing), theirs: make(map[string]map[string]remoteEntry), watchers: make(map[*watcher]bool),
	}
	if err := d.ready(); err != nil {
		return nil, err
	}
	hello, err := json.Marshal(owner{Node: s.cfg.Node, RTMP: s.cfg.RTMP})
	if err != nil {
		return nil, err
	}
	d.Put("", hello)
	c.running.Go(d.write)
	c.running.Go(d.read)
	return d, nil
}

// ready sets js for the present connection.
func (d *Directory) ready() (err error) {
	nc := d.store.nc()
	if d.conn == nc {
		return nil
	}
	d.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(maxPending), jetstream.WithPublishAsyncTimeout(tryTimeout),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { d.refused(m, err) }))
	if err == nil {
		d.conn = nc
	}
	return err
}

// Directory returns the directory of the nodes' rooms, or nil with the embedded
// engine, which has no other nodes.
func (s *Store) Directory() *Directory {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.directory
}

// Put tells the other nodes the state of a room of this node: a JSON object
// whose number epoch changes when the room starts. They are told within half a
// second, at once if nothing was told for a while; only the newest entry
// counts. It is renewed until Delete. Put does not block.
func (d *Directory) Put(room string, entry []byte) { d.set(room, entry) }

// Delete tells the other nodes that a room of this node has ended. It does not
// block.
func (d *Directory) Delete(room string) { d.set(room, nil) }

func (d *Directory) set(room string, entry []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, now := d.own[room], time.Now()
	switch {
	case l == nil && entry == nil:
		return
	case l == nil:
		l = &listing{room: room, entry: entry, news: true, due: now}
		d.own[room] = l
		heap.Push(&d.queue, l)
	case bytes.Equal(entry, l.entry):
		return
	default:
		l.entry, l.news = entry, true
		d.advance(l, l.quietUntil.Add(-d.cluster.pace.gap))
	}
	if entry == nil {
		d.advance(l, now)
	}
	d.wake.ring()
}

// advance moves l forward to due. The caller has mu.
func (d *Directory) advance(l *listing, due time.Time) {
	if due.Before(l.due) {
		l.due = due
		heap.Fix(&d.queue, l.index)
	}
}

// write puts the entries that are due, until leave.
func (d *Directory) write() {
	for made := false; ; {
		up, changed := d.cluster.link()
		if !up {
			made = false
		} else if !made {
			if made = d.make(); made {
				d.putAgain()
			}
		}
		wait := d.cluster.pace.refresh / 10
		if made {
			wait = d.flush()
		}
		timer := time.NewTimer(wait)
		select {
		case <-d.cluster.ctx.Done():
			timer.Stop()
			if up, _ := d.cluster.link(); up {
				d.deleteAll()
				d.flush()
				d.store.nc().FlushTimeout(tryTimeout) // a node that misses it sees the entry expire
			}
			return
		case <-changed:
			made = false
		case <-d.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// make makes the bucket; the caller then puts everything again. When it fails,
// read logs why.
func (d *Directory) make() bool { return d.ready() == nil && d.ensure(d.cluster.ctx) == nil }

func (d *Directory) ensure(ctx context.Context) error {
	ctx, cancel := d.cluster.linkedTo(ctx)
	defer cancel()
	return d.store.ensureBucket(ctx, jetstream.KeyValueConfig{
		Bucket: liveBucket, TTL: d.cluster.pace.live, LimitMarkerTTL: max(d.cluster.pace.live, time.Second), Storage: jetstream.MemoryStorage,
		Description: "which rooms the nodes have",
	})
}

// putAgain schedules every entry to be put again, spread over a while.
func (d *Directory) putAgain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.queue {
		if l.room != "" {
			l.due = time.Now().Add(rand.N(d.cluster.pace.refresh * 2 / 5))
		} else {
			l.due = time.Now()
		}
	}
	heap.Init(&d.queue)
}

// deleteAll schedules the deletion of every entry.
func (d *Directory) deleteAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.queue {
		l.entry, l.due = nil, time.Now()
	}
	heap.Init(&d.queue)
}

// flush puts the entries that are due, and returns how long it is until the
// next one.
func (d *Directory) flush() time.Duration {
	d.mu.Lock()
	now := time.Now()
	var due []*nats.Msg
	for len(d.queue) > 0 && !d.queue[0].due.After(now) {
		l := d.queue[0]
		m := &nats.Msg{Subject: d.prefix, Data: l.entry}
		if l.room != "" {
			m.Subject = subject(d.prefix, token(l.room))
		}
		if due = append(due, m); l.entry == nil {
			m.Header = nats.Header{"KV-Operation": {"DEL"}}
			heap.Pop(&d.queue)
			delete(d.own, l.room)
			continue
		}
		if l.due = now.Add(jitter(d.cluster.pace.refresh)); l.news {
			if l.news = false; l.quietUntil.Before(now) {
				l.quietUntil = now
			}
			l.quietUntil = l.quietUntil.Add(d.cluster.pace.gap)
		}
		heap.Fix(&d.queue, 0)
	}
	wait := d.cluster.pace.refresh
	if len(d.queue) > 0 {
		wait = d.queue[0].due.Sub(now)
	}
	d.mu.Unlock()
	for _, m := range due {
		if _, err := d.js.PublishMsgAsync(m); err != nil {
			d.refused(m, err)
		}
	}
	return wait
}

// refused schedules another try of an entry that NATS did not take.
func (d *Directory) refused(m *nats.Msg, err error) {
	d.store.log.Debug("directory entry not stored", "subject", m.Subject, "err", err)
	room := untoken(part(strings.TrimPrefix(strings.TrimPrefix(m.Subject, d.prefix), ".")))
	d.mu.Lock()
	defer d.mu.Unlock()
	due := time.Now().Add(jitter(2 * d.cluster.pace.gap))
	if l := d.own[room]; l != nil {
		d.advance(l, due)
	} else if m.Data == nil {
		l = &listing{room: room, due: due}
		d.own[room] = l
		heap.Push(&d.queue, l)
	}
	d.wake.ring()
}

// queue is a heap of listings, of which the first is due first.
type queue []*listing

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }
func (q *queue) Push(l any)        { l.(*listing).index = len(*q); *q = append(*q, l.(*listing)) }
func (q *queue) Pop() any {
	old := *q
	l := old[len(old)-1]
	*q = old[:len(old)-1]
	return l
}

// errUnheard is why a watch is restarted when this node's own entries do not
// come back to it.
var errUnheard = errors.New("its own entries do not come back")

// read follows the entries of the other nodes, until leave.
func (d *Directory) read() {
	for told := false; d.cluster.ctx.Err() == nil; {
		up, changed := d.cluster.link()
		if !up {
			select {
			case <-changed:
			case <-d.cluster.ctx.Done():
			}
			continue
		}
		err := d.follow(changed)
		was := d.setFresh(false)
		if d.cluster.ctx.Err() == nil {
			if was || !told { // once for each break
				d.store.log.Warn("directory of rooms not followed", "err", err)
			}
			told = true
			_ = pause(d.cluster.ctx, jitter(d.cluster.pace.refresh/10))
		}
	}
}

// follow reads all entries and then their changes, until the connection changes
// or this node's own sign of life is missed three times.
func (d *Directory) follow(changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(d.cluster.ctx)
	defer cancel()
	if err := d.ensure(ctx); err != nil {
		return err
	}
	kv, err := timed(ctx, func(ctx context.Context) (jetstream.KeyValue, error) { return d.store.js().KeyValue(ctx, liveBucket) })
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer w.Stop()
	begun := time.Now()
	beat, whole := begun, time.Time{}
	sweep := time.NewTicker(d.cluster.pace.refresh)
	defer sweep.Stop()
	for {
		select {
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return errUnheard
			case e == nil:
				whole = time.Now()
				d.setFresh(true)
			case d.take(e.Key(), e.Value(), e.Revision(), e.Operation()):
				beat = time.Now()
				d.mu.Lock()
				d.heard = beat
				d.mu.Unlock()
			}
		case <-sweep.C:
			if time.Since(beat) > 3*d.cluster.pace.refresh {
				return errUnheard
			}
			d.sweep(begun, whole)
		case <-changed:
			return nats.ErrDisconnected
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take notes an entry. It reports whether it was this node's own sign of life.
func (d *Directory) take(key string, entry []byte, revision uint64, op jetstream.KeyValueOp) (own bool) {
	node, name, ok := strings.Cut(key, ".")
	if own := d.prefix == kv(liveBucket, part(node)); own || !ok {
		return own && !ok
	}
	room := untoken(part(name))
	d.mu.Lock()
	defer d.mu.Unlock()
	if op != jetstream.KeyValuePut {
		d.forget(room, node, op == jetstream.KeyValueDelete)
		return false
	}
	t := remoteEntry{entry: entry, since: revision, heard: time.Now()}
	if json.Unmarshal(entry, &t) != nil {
		return false // from a node of another kind
	}
	if old, ok := d.theirs[room][node]; ok && old.Epoch == t.Epoch {
		t.since = old.since
	}
	if d.theirs[room] == nil {
		d.theirs[room] = make(map[string]remoteEntry)
	}
	d.theirs[room][node] = t
	if n, best := d.newest(room); n == node {
		d.tell(room, best.entry)
	}
	return false
}

// forget drops an entry. Watchers are told that the room is gone when that is
// certain; when a node just falls silent it is not. The caller has mu.
func (d *Directory) forget(room, node string, gone bool) {
	if _, ok := d.theirs[room][node]; !ok {
		return
	}
	delete(d.theirs[room], node)
	_, best := d.newest(room)
	if best.entry == nil {
		delete(d.theirs, room)
	}
	if best.entry != nil || gone {
		d.tell(room, best.entry)
	}
}

// newest returns the entry of the node that started a room last, or none.
// NATS's order decides, since epochs come from the clocks of nodes, which may
// be wrong. The caller has mu.
func (d *Directory) newest(room string) (node string, best remoteEntry) {
	for n, t := range d.theirs[room] {
		if best.entry == nil || best.since < t.since {
			node, best = n, t
		}
	}
	return node, best
}

// sweep forgets entries that were missing when everything was read from begun
// to whole, once their nodes have had the time to put them again, and entries
// that have expired without notice.
func (d *Directory) sweep(begun, whole time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for room, nodes := range d.theirs {
		for node, t := range nodes {
			missing := t.heard.Before(begun) && !whole.IsZero() && time.Since(whole) > 2*d.cluster.pace.refresh
			if missing || time.Since(t.heard) > d.cluster.pace.live+2*d.cluster.pace.refresh {
				d.forget(room, node, missing)
			}
		}
	}
}

// tell gives all watchers an entry. The caller has mu.
func (d *Directory) tell(room string, entry []byte) {
	for w := range d.watchers {
		w.tell(room, entry)
	}
}

// setFresh sets fresh, and returns what it was.
func (d *Directory) setFresh(fresh bool) (was bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was, d.fresh = d.fresh, fresh
	for w := range d.watchers {
		w.setFresh(fresh)
	}
	return was
}

// age returns how long ago this node heard its own sign of life: its knowledge
// of the others may be as old as that.
func (d *Directory) age() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Since(d.heard)
}

// A watcher calls back on a goroutine of its own. Of each room only the newest
// entry waits for it.
type watcher struct {
	wake bell

	mu    sync.Mutex
	rooms map[string][]byte // guarded by mu: entries to be told
	fresh *bool             // guarded by mu: to be told; nil: nothing new
}

// Watch calls changed with the entries of other nodes, on any goroutine, one at
// a time: first with all there are, then with changes and renewals. Of a room
// that several nodes have, the newest counts. A nil entry says that the room is
// gone. When a node falls silent its entries are not reported as gone; they are
// just not renewed. Watch calls fresh(true) when everything has been told, and
// fresh(false) when NATS is away or its messages do not come through. Once stop
// has returned, nothing more is called.
func (d *Directory) Watch(changed func(room string, entry []byte), fresh func(bool)) (stop func()) {
	w := &watcher{wake: newBell(), rooms: make(map[string][]byte)}
	d.mu.Lock()
	for room := range d.theirs {
		_, best := d.newest(room)
		w.tell(room, best.entry)
	}
	w.setFresh(d.fresh)
	d.watchers[w] = true
	d.mu.Unlock()
	ctx, cancel := context.WithCancel(d.cluster.ctx)
	ended := make(chan struct{})
	d.cluster.running.Go(func() {
		defer close(ended)
		w.run(ctx, changed, fresh)
	})
	return func() {
		d.mu.Lock()
		delete(d.watchers, w)
		d.mu.Unlock()
		cancel()
		<-ended
	}
}

func (w *watcher) tell(room string, entry []byte) {
	w.mu.Lock()
	w.rooms[room] = entry
	w.mu.Unlock()
	w.wake.ring()
}

func (w *watcher) setFresh(fresh bool) {
	w.mu.Lock()
	w.fresh = &fresh
	w.mu.Unlock()
	w.wake.ring()
}

func (w *watcher) run(ctx context.Context, changed func(string, []byte), fresh func(bool)) {
	for {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
		w.mu.Lock()
		rooms, whole := w.rooms, w.fresh
		w.rooms, w.fresh = make(map[string][]byte), nil
		w.mu.Unlock()
		for room, entry := range rooms {
			if ctx.Err() != nil {
				return
			}
			changed(room, entry)
		}
		if whole != nil {
			fresh(*whole)
		}
	}
}
