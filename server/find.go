package server

import "context"

// Running reports whether an instance ("room/blue") runs, here or on another
// node. It starts nothing.
func (h *Host) Running(instance string) bool {
	in, away := h.find(context.Background(), instance)
	return in != nil || away != nil
}

// find looks for an instance. in is the one of that name here; away is another
// node that is known to run it.
func (h *Host) find(ctx context.Context, instance string) (in *Instance, away *ElsewhereError) {
	name, _ := clean(instance)
	h.mu.Lock()
	a, short := h.resolveLocked(name)
	if a == nil || !ValidName(short) {
		h.mu.Unlock()
		return nil, nil
	}
	in = h.instances[a.full(short)]
	h.mu.Unlock()
	if in != nil {
		return in, nil
	}
	return nil, h.elsewhere(ctx, a, a.full(short))
}

// elsewhere returns the other node that runs an instance, or nil.
func (h *Host) elsewhere(ctx context.Context, a *application, name string) *ElsewhereError {
	if !a.claimed || h.Owners == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	return h.Owners.Find(ctx, name)
}

// reach returns the running instance of that name, which may be a tunnel to its
// owner, or nil when no node runs it. It blocks until the instance has started.
func (h *Host) reach(ctx context.Context, instance string) *Instance {
	in, away := h.find(ctx, instance)
	if away != nil {
		in, _ = h.instance(ctx, instance, nil)
	}
	if in == nil {
		return nil
	}
	select {
	case <-in.life.started:
	case <-ctx.Done():
		return nil
	}
	if in.life.startErr != nil {
		return nil
	}
	return in
}

// resolveLocked finds the application of a clean path and the short name of the
// instance. The application is the longest mounted path that matches.
func (h *Host) resolveLocked(path string) (a *application, short string) {
	longest := -1
	try := func(mount string) {
		below, ok := under(path, mount)
		if !ok {
			return
		}
		for name, candidate := range h.apps {
			rest, ok := under(below, name)
			if matched := len(path) - len(rest); ok && matched > longest {
				a, short, longest = candidate, rest, matched
			}
		}
	}
	try("")
	for _, mount := range h.Mounts {
		m, _ := clean(mount)
		try(m)
	}
	if a != nil && short == "" {
		short = defaultInstance
	}
	return a, short
}
