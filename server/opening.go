package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"foyer/server/guard"
)

// retryOpen is how long a peer should wait that could not start an instance.
const retryOpen = 30 * time.Second

// SetMaxInstances changes MaxInstances of a running host. Instances beyond it
// stay until they end by themselves.
func (h *Host) SetMaxInstances(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.MaxInstances = n
}

// full is the name by which an instance is known.
func (a *application) full(short string) string { return a.name + "/" + Fold(short) }

// instance finds the instance of a path, or starts it. Nothing is made for a
// name that is not valid, or for a peer that may not open it. r is nil when
// this process itself asks: it always may.
func (h *Host) instance(ctx context.Context, path string, r *Request) (*Instance, error) {
	name, _ := clean(path)
	h.mu.Lock()
	a, short := h.resolveLocked(name)
	switch {
	case h.draining:
		h.mu.Unlock()
		return nil, restarting()
	case a == nil:
		h.mu.Unlock()
		return nil, cmp.Or(h.movedTo(ctx, h.unmounted(name), r), error(NotDefined(name)))
	case !ValidName(short):
		h.mu.Unlock()
		return nil, invalidName(a.name)
	}
	in := h.instances[a.full(short)]
	h.mu.Unlock()
	if in != nil {
		return in, nil
	}
	if err := h.movedTo(ctx, a.full(short), r); err != nil {
		return nil, err
	}
	place, counted, err := h.mayOpen(ctx, a, a.full(short), r)
	if err != nil {
		return nil, err
	}
	in, err = h.open(a, short, place, counted)
	if err == errFull {
		return nil, h.refuse(r.Addr.Addr(), &guard.Refusal{Limit: "max-rooms", Reason: "Too many rooms are open on this server.", RetryAfter: retryOpen})
	}
	return in, err
}

// mayOpen decides whether a peer may start an instance, with which place of its
// address, and whether the instance counts for MaxInstances.
func (h *Host) mayOpen(ctx context.Context, a *application, name string, r *Request) (place guard.Place, counted bool, err error) {
	if r == nil || h.isAlways(name) {
		return place, false, nil
	}
	addr := r.Addr.Addr()
	var no *guard.Refusal
	if h.Opens != nil && !h.Opens(ctx, name, r) {
		no = &guard.Refusal{Limit: "open-rooms", Reason: "There is no room of this name."}
	} else {
		place, no = h.guard().OpenRoom(addr)
	}
	if no != nil && h.elsewhere(ctx, a, name) == nil { // to join a room that is open elsewhere opens none
		return place, true, h.refuse(addr, no, "instance", name)
	}
	return place, true, nil
}

// isAlways reports whether an instance may always start.
func (h *Host) isAlways(name string) bool {
	return slices.ContainsFunc(h.Always, func(always string) bool { return Fold(always) == name })
}

// movedTo returns the refusal of a peer that asks for an instance which another
// server has, or nil. Those of Always are this server's. Other nodes know where
// they go.
func (h *Host) movedTo(ctx context.Context, name string, r *Request) error {
	if h.Elsewhere == nil || r == nil || r.node != fromVisitor || h.isAlways(name) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	if no := h.Elsewhere(ctx, name, r); no != nil {
		return no
	}
	return nil
}

// unmounted is a clean path without one of the Mounts in front, and in the form
// of the name of an instance.
func (h *Host) unmounted(path string) string {
	for _, mount := range h.Mounts {
		m, _ := clean(mount)
		if below, ok := under(path, m); ok {
			path = below
			break
		}
	}
	return Fold(path)
}

// errFull means that too many instances run for another one to start.
var errFull = errors.New("server: too many instances")

// open starts an instance, unless somebody else has just done so. The place
// goes to the instance.
func (h *Host) open(a *application, short string, place guard.Place, counted bool) (in *Instance, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch in = h.instances[a.full(short)]; {
	case in != nil:
	case h.draining:
		err = restarting()
	case counted && h.counted >= cmp.Or(h.MaxInstances, DefaultMaxInstances):
		err = errFull
	}
	if in != nil || err != nil {
		place.Leave()
		return in, err
	}
	in = newInstance(h, a, short)
	in.life.counted, in.life.place = counted, place
	if counted {
		h.counted++
	}
	h.instances[in.name] = in
	go in.run() // until it is over; Stop waits for done, and so does anybody who needs the name
	return in, nil
}

// forget frees the name of an instance for the next one.
func (h *Host) forget(in *Instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.instances, in.name)
	if in.life.counted {
		h.counted--
	}
}
