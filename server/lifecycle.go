package server

import (
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"foyer/server/rtmp"
)

// run is the instance goroutine. Host starts it and waits for done.
func (in *Instance) run() {
	defer close(in.done)
	in.protect(in.start)
	close(in.started)
	for !in.over() {
		<-in.turn.mailbox.wake
		in.turn.run()
	}
	in.end()
}

// start makes the application.
func (in *Instance) start() {
	in.startErr = errors.New("application panicked")
	err := in.place()
	if err == nil && in.tunnel == nil {
		err = in.objects.load()
	}
	if err == nil {
		err = in.code.OnAppStart(in)
	}
	if in.startErr = err; err != nil {
		level := slog.LevelWarn
		if errors.Is(err, errUnreachable) {
			level = slog.LevelDebug // who came tries again, and complains in the end
		} else if s, ok := errors.AsType[*rtmp.StatusError](err); ok && s.Code == rtmp.CodeConnectRejected {
			level = slog.LevelInfo // who came asked for what cannot be
		}
		in.log.Log(in.ctx, level, "instance refused to start", "err", err)
		return
	}
	if c, ok := in.code.(Caller); ok {
		in.turn.methods = c.Methods()
	}
	in.objects.sharer, _ = in.code.(Sharer)
	in.streams.publisher, _ = in.code.(Publisher)
	in.streams.player, _ = in.code.(Player)
	in.log.Info("instance started")
	in.emptied()
	in.objects.flush()
}

// protect is the one place where a panic of an application ends.
func (in *Instance) protect(f func()) {
	defer in.recover(func() { in.broken = true })
	f()
}

// recover is deferred around code of the application.
func (in *Instance) recover(then func()) {
	if r := recover(); r != nil {
		in.log.Error("application panicked", "err", r, "stack", string(debug.Stack()))
		then()
	}
}

// over reports whether the instance has to end, and closes the mailbox then.
// Somebody who arrives at the last moment keeps an idle one going.
func (in *Instance) over() bool {
	switch {
	case in.quit || in.broken || in.startErr != nil:
		return in.turn.mailbox.close(false)
	case in.guests > 0 || in.pinned.Load():
		return false
	case in.idled || in.refused && !in.welcomed:
		return in.turn.mailbox.close(true)
	}
	return false
}

// emptied starts the wait for the end of an instance without guests. It runs
// at the start too, for an instance may be made only to refuse somebody.
func (in *Instance) emptied() {
	in.vacant = time.Now()
	if in.idle != nil {
		in.idle.Reset(in.host.idle())
		return
	}
	in.idle = time.AfterFunc(in.host.idle(), func() {
		in.post(func() {
			in.idled = in.guests == 0 && time.Since(in.vacant) >= in.host.idle()
		})
	})
}

// occupied ends that wait.
func (in *Instance) occupied() {
	in.idled = false
	in.idle.Stop()
}

// end lets everybody go, and returns when all that the instance started has
// ended. The mailbox is closed.
func (in *Instance) end() {
	in.stopping = true
	in.turn.drain()
	for c := range in.pending {
		in.protect(func() { in.drop(c, in.unsettled()) })
	}
	for c := range in.streams.pulls {
		c.Close(in.farewell())
		in.protect(func() { in.drop(c, in.farewell()) })
	}
	for len(in.clients) > 0 {
		c := in.clients[len(in.clients)-1]
		c.Close(in.farewell())
		in.protect(func() { in.drop(c, in.farewell()) })
	}
	if in.startErr == nil && !in.broken {
		in.protect(in.code.OnAppStop)
	}
	if in.idle != nil {
		in.idle.Stop()
	}
	for l := range in.links {
		l.goodbye()
	}
	in.cancel()
	in.wg.Wait() // for saves, too
	if in.startErr == nil && !in.broken && !in.lost {
		in.objects.saveRest()
		in.wg.Wait()
	}
	if in.disclaim != nil {
		in.disclaim()
	}
	in.host.forget(in)
	in.opened.Leave()
	if in.startErr == nil {
		in.log.Info("instance stopped")
	}
}
