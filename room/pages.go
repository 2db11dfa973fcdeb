package room

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"foyer/server"
	"foyer/server/amf"
)

// How many pages of the stored chat are read at a time.
const (
	MaxPages      = 8                // of a room; one for each client
	MaxPagesLocal = 4                // for all programs that ask by HTTP
	MaxWaiting    = 1000             // how many wait for their turn
	ReadTimeout   = 10 * time.Second // for one page
)

// errLeft answers a client that left while it waited for a page.
var errLeft = errors.New("room: client left")

// pageRequest is a page that somebody asked for and that has to be looked up.
type pageRequest struct {
	client *server.Client
	page   page
	gap    bool // the answer cannot be complete: the messages that were asked for are gone
	answer func(amf.Value, error)
}

// pageReads are the requests for pages of a room.
type pageReads struct {
	waiting []*pageRequest
	busy    map[*server.Client]int // how many are being read
	on      int                    // how many, of all clients
	removed []int64                // messages, while pages were being read that may still have them
	wg      sync.WaitGroup         // pages that are being read
}

// historyOf is the method history.
func (r *Room) historyOf(from *server.Client, args amf.Args) (amf.Value, error) {
	p, err := parsePage(args.At(0))
	if err != nil {
		return nil, server.Fail("The query cannot be read: " + err.Error() + ".")
	}
	r.trim()
	// A client that has seen more than there is has seen messages that were lost with the power.
	gap := p.epoch >= 0 && p.epoch != r.chat.epoch || p.after > r.chat.last
	if gap {
		p.after, p.before = -1, -1
	}
	if found, more, ok := r.chat.page(p); ok {
		return r.pageValue(found, !gap, more), nil
	}
	if len(r.chat.pages.waiting) >= MaxWaiting {
		return nil, fail("Too many people are reading old messages at the moment.", time.Second)
	}
	r.chat.pages.waiting = append(r.chat.pages.waiting, &pageRequest{from, p, gap, r.in.Later()})
	r.readNextPage()
	return nil, server.ErrPending
}

// pageValue makes the answer of history.
func (r *Room) pageValue(found []message, complete, more bool) amf.Value {
	messages := make(amf.StrictArray, len(found))
	for i, m := range found {
		messages[i] = m.value()
	}
	return amf.Object{
		{Name: "epoch", Value: amf.Number(r.chat.epoch)},
		{Name: "messages", Value: messages},
		{Name: "complete", Value: amf.Bool(complete)},
		{Name: "more", Value: amf.Bool(more)},
		{Name: "last", Value: amf.Number(r.chat.last)},
	}
}

// readNextPage begins to read the pages whose turn it is.
func (r *Room) readNextPage() {
	w := &r.chat.pages
	for i := 0; i < len(w.waiting) && w.on < MaxPages; {
		next, share := w.waiting[i], 1
		if next.client.Local() {
			share = MaxPagesLocal
		}
		if w.busy[next.client] >= share {
			i++
			continue
		}
		w.waiting = slices.Delete(w.waiting, i, i+1)
		r.readPage(next)
	}
}

// readPage looks up a page beside the room. The store is not closed before it has ended.
func (r *Room) readPage(a *pageRequest) {
	w := &r.chat.pages
	if w.busy == nil {
		w.busy = make(map[*server.Client]int)
	}
	w.busy[a.client]++
	w.on++
	w.wg.Add(1)
	r.in.Go(func(ctx context.Context) {
		defer w.wg.Done()
		ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
		defer cancel()
		list, complete, more, err := r.store.Page(ctx, a.page.after, a.page.before, a.page.limit)
		found := parseMessages(list)
		if !r.in.Post(func() { r.pageRead(a, found, complete, more, err) }) {
			a.answer(nil, errLeft)
		}
	})
}

// pageRead answers. It leaves out messages that were removed meanwhile, and those
// that are stored but not yet told: they are on their way.
func (r *Room) pageRead(a *pageRequest, found []message, complete, more bool, err error) {
	w := &r.chat.pages
	if w.busy[a.client]--; w.busy[a.client] == 0 {
		delete(w.busy, a.client)
	}
	w.on--
	if err != nil {
		r.log.Warn("chat not read", "err", err)
		a.answer(nil, fail("Old messages cannot be read at the moment.", StoreRetry))
	} else {
		found = slices.DeleteFunc(found, func(m message) bool { return m.ID > r.chat.last || slices.Contains(w.removed, m.ID) })
		a.answer(r.pageValue(found, complete && !a.gap, more), nil)
	}
	if w.on == 0 {
		w.removed = nil
	}
	r.readNextPage()
}

// forgetPages forgets the requests of a client that leaves.
func (r *Room) forgetPages(c *server.Client) {
	r.chat.pages.waiting = slices.DeleteFunc(r.chat.pages.waiting, func(a *pageRequest) bool {
		if a.client == c {
			a.answer(nil, errLeft)
		}
		return a.client == c
	})
}
