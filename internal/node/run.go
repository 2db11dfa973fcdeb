package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"foyer/room"
	"foyer/server"
)

// minStop is the least time for the second half of a stop, when the people have
// left or had their time: connections end, recordings are finished.
const minStop = 2 * time.Second

// startAgain is between two tries to start what could not start yet.
const startAgain = time.Second

// Run serves until ctx ends or something fails, with beside running next to
// it; both have ended when it returns.
func (n *Node) Run(ctx context.Context, beside func(context.Context) error) error {
	// The connections outlive ctx: while the node stops, rooms still say
	// goodbye to the lobby, and everybody is told why the connection ends.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	g, running := errgroup.WithContext(ctx)
	for _, ln := range n.listeners() {
		if ln.proto != protoControl {
			n.log.Info("listening", "proto", ln.proto, "addr", ln.Addr().String())
		}
		g.Go(func() error { return n.serve(serving, ln) })
	}
	for _, task := range []func(context.Context){n.storeAgain, n.sweepObjects, n.upkeep} {
		g.Go(func() error {
			task(running)
			return nil
		})
	}
	if n.auto != nil {
		g.Go(func() error { return n.auto.Run(running) })
	}
	g.Go(func() error {
		later, err := n.start()
		switch {
		case err != nil && running.Err() != nil:
			return nil // a stop has come between
		case err != nil:
			return err
		}
		if len(later) > 0 {
			g.Go(func() error {
				n.startLater(running, later)
				return nil
			})
		}
		return ignore(beside(running), context.Canceled)
	})
	g.Go(func() error {
		<-running.Done()
		n.stop()
		stopServing()
		return nil
	})
	return g.Wait()
}

// start starts the rooms that never stop and opens for business. What cannot
// start yet, because other nodes share a store that is not there, comes later.
func (n *Node) start() (later []string, err error) {
	if len(n.secrets.Made) > 0 {
		n.log.Info("secrets made", "data", n.settings.Data, "files", n.secrets.Made)
	}
	n.secrets.Warn(n.log)
	if n.lobby == "" {
		n.log.Warn("rooms report to nobody: no lobby here, and none named by --lobby")
	}
	if err := n.startLobby(); err != nil {
		return nil, fmt.Errorf("starting the lobby: %w", err)
	}
	if later, err = n.startRooms(); err != nil {
		return nil, err
	}
	n.greet()
	n.unready.CompareAndSwap(&errStarting, nil)
	n.log.Info("node started", "node", n.settings.Node, "apps", n.settings.Apps, "lobby", n.lobby)
	return later, nil
}

// startRooms starts the rooms that never stop, and returns those that it could not.
func (n *Node) startRooms() (later []string, err error) {
	for i, name := range n.settings.Rooms {
		if n.several() && n.store.Ready() != nil {
			n.log.Warn("rooms not started yet: they wait for the store", "rooms", n.settings.Rooms[i:])
			return append(later, n.settings.Rooms[i:]...), nil
		}
		if err := n.startRoom(name); err != nil {
			if n.several() {
				n.log.Warn("room not started yet", "instance", "room/"+name, "err", err)
				later = append(later, name)
				continue
			}
			return nil, fmt.Errorf("starting room %s: %w", name, err)
		}
	}
	return later, nil
}

// startLater starts rooms as soon as they can be, until ctx ends.
func (n *Node) startLater(ctx context.Context, rooms []string) {
	tick := time.NewTicker(startAgain)
	defer tick.Stop()
	for len(rooms) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		rooms = slices.DeleteFunc(slices.Clone(rooms), func(name string) bool {
			return ctx.Err() == nil && n.store.Ready() == nil && n.startRoom(name) == nil
		})
	}
	n.log.Info("all rooms started")
}

// startRoom starts a room, unless another node has.
func (n *Node) startRoom(name string) error {
	err := n.host.Start("room/" + name)
	if _, away := errors.AsType[*server.ElsewhereError](err); away {
		n.log.Info("room runs elsewhere", "instance", "room/"+name, "err", err)
		return nil
	}
	if errors.Is(err, room.ErrUnreadable) { // as it has said; the others start
		return nil
	}
	return err
}

// stop lets the people go, then stops the instances, the recordings, the store
// and the web side, and cuts them off when they take too long.
func (n *Node) stop() {
	n.unready.Store(&errStopping)
	n.log.Info("node stopping", "node", n.settings.Node)
	began, rest := time.Now(), max(n.settings.Drain/4, minStop)
	ctx, cancel := context.WithTimeout(context.Background(), max(n.settings.Drain-rest, 0))
	n.host.Drain(ctx)
	if ctx.Err() != nil && n.settings.Drain > 0 {
		n.log.Warn("people cut off", "node", n.settings.Node, "dur", time.Since(began))
	}
	cancel()
	ctx, cancel = context.WithTimeout(context.Background(), rest)
	defer cancel()
	n.host.Stop(ctx)
	if n.recorder != nil {
		n.recorder.Close() // what it has to say it has logged
	}
	n.pages.Close()
	for _, s := range n.web {
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
	}
	if err := n.store.Close(); err != nil { // last: somebody may be reading a backup
		n.log.Error("store not closed", "err", err)
	}
}

// close closes the listeners of a node that did not come to run.
func (n *Node) close() (err error) {
	for _, ln := range n.listeners() {
		err = errors.Join(err, ln.Close())
	}
	if n.auto != nil {
		n.auto.Close()
	}
	if n.recorder != nil {
		err = errors.Join(err, n.recorder.Close())
	}
	if n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	return err
}

// ignore is err unless it is one of those.
func ignore(err error, those ...error) error {
	for _, e := range those {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
