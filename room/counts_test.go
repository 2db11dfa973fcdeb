package room_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// visitor is a client, and what it is doing.
type visitor struct {
	*device            // by RTMP
	web     *peer      // or by the web
	nick    string     // "" of spectators
	plays   []*playing // the streams that it plays, the same one perhaps twice
	streams map[string]bool
}

type playing struct {
	stream *rtmp.Stream
	stop   func()
}

func (p *playing) end() {
	if p.stream != nil {
		p.stream.Close()
	} else {
		p.stop()
	}
}

// crowd does what visitors do, at random.
type crowd struct {
	*studio
	r        *rand.Rand
	mod      *peer
	visitors []*visitor
	away     map[string]time.Time // until when lost publishers of streams are waited for
	log      []string
}

func (c *crowd) did(format string, args ...any) { c.log = append(c.log, fmt.Sprintf(format, args...)) }

func (c *crowd) some() *visitor {
	if len(c.visitors) == 0 {
		return c.arrive()
	}
	return c.visitors[c.r.IntN(len(c.visitors))]
}

func (c *crowd) arrive() *visitor {
	v := &visitor{streams: make(map[string]bool)}
	if len(c.visitors) >= 12 {
		return c.some()
	}
	switch c.r.IntN(3) {
	case 0:
		v.device = c.device()
	case 1:
		v.web = spectate(c.t, c.host)
	case 2:
		v.nick = fmt.Sprint("n", len(c.log))
		v.web = join(c.t, c.host, v.nick)
	}
	c.did("arrive %q", v.nick)
	c.visitors = append(c.visitors, v)
	return v
}

func (c *crowd) play() {
	v, name := c.some(), fmt.Sprint("s", c.r.IntN(3))
	if len(v.plays) >= 3 {
		return
	}
	if v.device != nil {
		if len(v.streams) > 0 {
			return // a device does only one thing here
		}
		v.device.play(name)
		v.plays = append(v.plays, &playing{stream: v.device.stream})
	} else {
		stop, err := v.web.client.Play(name, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		v.plays = append(v.plays, &playing{stop: stop})
	}
	c.did("play %s", name)
}

func (c *crowd) stopPlay() {
	if v := c.some(); len(v.plays) > 0 {
		v.plays[0].end()
		if v.plays[0].stream == nil {
			v.plays[0].stop() // twice is once
		}
		v.plays = v.plays[1:]
		c.did("stop")
	}
}

func (c *crowd) publish() {
	v, name := c.some(), fmt.Sprint("s", c.r.IntN(3))
	if v.device == nil || len(v.plays) > 0 || len(v.streams) > 0 {
		return
	}
	older := slices.IndexFunc(c.visitors, func(o *visitor) bool { return o.streams[name] })
	v.device.must(name)
	v.streams[name] = true
	delete(c.away, name)
	c.did("publish %s", name)
	if older >= 0 { // taken over, and its connection ended
		<-c.visitors[older].session.Done()
		c.visitors = slices.Delete(c.visitors, older, older+1)
	}
}

func (c *crowd) unpublish() {
	if v := c.some(); len(v.streams) > 0 {
		v.device.stream.Close()
		clear(v.streams)
		c.did("unpublish")
	}
}

func (c *crowd) leave() {
	i := c.r.IntN(max(1, len(c.visitors)))
	if i == len(c.visitors) {
		return
	}
	v := c.visitors[i]
	how := c.r.IntN(3)
	switch {
	case v.device != nil && how == 0:
		v.device.session.Close(nil)
		<-v.device.session.Done()
	case v.device != nil:
		v.device.crash()
		for name := range v.streams {
			c.away[name] = time.Now().Add(grace)
		}
	case v.nick != "" && how == 0:
		c.mod.must("kick", amf.String(v.nick))
	default:
		v.web.client.Leave(rtmp.ErrClosed)
		v.web.client.Leave(rtmp.ErrClosed)
	}
	c.visitors = slices.Delete(c.visitors, i, i+1)
	c.did("leave %d", how)
}

func (c *crowd) release() {
	name := fmt.Sprint("s", c.r.IntN(3))
	if _, err := c.mod.call("release", amf.String(name)); err != nil {
		return
	}
	c.did("release %s", name)
	delete(c.away, name)
	time.Sleep(room.ReleaseTime) // the same key and address
	c.visitors = slices.DeleteFunc(c.visitors, func(v *visitor) bool { return v.streams[name] })
}

// want counts what visitors are doing. The streams are also those whose publisher
// is waited for.
func (c *crowd) want() (w [4]int, streams []string) {
	w[0] = 1 // the moderator
	streams = []string{}
	for _, v := range c.visitors {
		switch {
		case v.nick != "":
			w[0]++
		case len(v.plays) == 0 && len(v.streams) == 0:
			w[1]++
		}
		if len(v.plays) > 0 {
			w[2]++
		}
		if len(v.streams) > 0 {
			w[3]++
		}
		for name := range v.streams {
			streams = append(streams, name)
		}
	}
	maps.DeleteFunc(c.away, func(_ string, until time.Time) bool { return !until.After(time.Now()) })
	streams = slices.AppendSeq(streams, maps.Keys(c.away))
	slices.Sort(streams)
	return w, streams
}

// TestCounts: whatever clients do, the room counts the ones that are there.
func TestCounts(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			var blue *room.Room
			s := newStudio(t, graceful())
			s.host.Handle("room", func() server.Application { blue = room.New(graceful()).(*room.Room); return blue })
			c := &crowd{studio: s, r: rand.New(rand.NewPCG(seed, 0)), mod: moderate(t, s.host), away: make(map[string]time.Time)}
			acts := []func(){func() { c.arrive() }, func() { c.arrive() }, c.play, c.play, c.stopPlay, c.publish, c.publish, c.unpublish,
				c.leave, c.release, func() { time.Sleep(time.Duration(c.r.IntN(20)) * time.Second) }}
			for range 150 {
				acts[c.r.IntN(len(acts))]()
				synctest.Wait()
				want, streams := c.want()
				do(c.mod, func() {
					st := blue.Status()
					if got := [4]int{st.Users, st.Spectators, st.Viewers, st.Publishers}; got != want ||
						!slices.Equal(st.Streams, streams) || st.Live != (len(streams) > 0) {
						t.Errorf("seed %d: got %v %v, want %v %v after %q", seed, got, st.Streams, want, streams, c.log)
					}
				})
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestHalfOpenViewer: a viewer whose network is gone is not counted for ever.
func TestHalfOpenViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var blue *room.Room
		s := newStudio(t, config())
		s.host.Handle("room", func() server.Application { blue = room.New(config()).(*room.Room); return blue })
		ann := join(t, s.host, "ann")
		viewers := func() (n int) {
			synctest.Wait()
			do(ann, func() { n = blue.Status().Viewers })
			return n
		}
		dead := s.peer() // nobody answers the pings for it
		dead.Command(0, "createStream", 2, amf.Null{})
		dead.Expect("_result", 2)
		dead.Command(1, "play", 3, amf.Null{}, amf.String("live"))
		if n := viewers(); n != 1 {
			t.Errorf("%d viewers", n)
		}
		time.Sleep(31 * time.Second)
		if n := viewers(); n != 0 {
			t.Errorf("%d viewers after 31 s of silence", n)
		}
	})
}
