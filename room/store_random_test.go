package room_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/room"
	"foyer/server/amf"
)

// model is the history of a room, in its simplest form.
type model struct {
	limit     int
	ids       []int
	last      int
	forgotten int
}

func (m *model) add() {
	m.last++
	m.ids = append(m.ids, m.last)
	if len(m.ids) > m.limit {
		m.forgotten, m.ids = m.ids[0], m.ids[1:]
	}
}

// page returns the answer that history has to give, in short.
func (m *model) page(after, before, limit int) string {
	if after > m.last { // it was never given: the newest page, which is not complete
		return strings.Replace(m.page(-1, -1, limit), " complete", "", 1)
	}
	var found []string
	for _, id := range m.ids {
		if id > after && (before < 0 || id < before) {
			found = append(found, fmt.Sprint(id))
		}
	}
	more := len(found) > limit
	complete := more || m.forgotten == 0 || 0 <= before && before <= 1
	if after >= 0 {
		found = found[:min(len(found), limit)]
		complete = after >= m.forgotten || 0 <= before && before <= after+1
	} else {
		found = found[max(0, len(found)-limit):]
	}
	s := strings.Join(found, ",")
	if complete {
		s += " complete"
	}
	if more {
		s += " more"
	}
	return s
}

// reader is a client that comes and goes, and has to miss nothing.
type reader struct {
	ids   map[int]bool
	last  int
	epoch float64
}

// follow takes the calls of the room.
func (r *reader) follow(p *peer) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, push := range p.pushes {
		switch push.Method {
		case "message":
			n, _ := amf.AsNumber(amf.Lookup(push.Args[0], "id"))
			r.ids[int(n)], r.last = true, max(r.last, int(n))
		case "removed":
			n, _ := amf.AsNumber(push.Args[0])
			delete(r.ids, int(n))
		}
	}
	p.pushes = nil
}

// catchUp asks for the messages since, as PROTOCOL.md says.
func (r *reader) catchUp(t *testing.T, p *peer) {
	t.Helper()
	for more := true; more; {
		v := p.must("history", query("after", float64(r.last), "epoch", r.epoch, "limit", 20.0))
		if complete, _ := amf.AsBool(amf.Lookup(v, "complete")); !complete {
			t.Fatalf("after %d: a gap: %s", r.last, told(v))
		}
		for _, m := range amf.Lookup(v, "messages").(amf.StrictArray) {
			n, _ := amf.AsNumber(amf.Lookup(m, "id"))
			if int(n) <= r.last {
				t.Fatalf("after %d: %s", r.last, told(v))
			}
			r.ids[int(n)], r.last = true, int(n)
		}
		more, _ = amf.AsBool(amf.Lookup(v, "more"))
	}
}

// TestRandomHistory says, removes, restarts and asks at random.
func TestRandomHistory(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				m := &model{limit: []int{30, 300, 700, 2000}[seed%4]}
				v := &vault{Memory: room.Memory{History: m.limit}}
				cfg := keptIn(v)
				cfg.History = m.limit
				h := newHost(t, cfg)
				mod := moderate(t, h)
				seen := &reader{ids: make(map[int]bool), epoch: epochOf(mod.must("history"))}
				away := false // the reader
				for range 1500 {
					switch n := rnd.IntN(1000); {
					case n < 800:
						randomSay(t, rnd, v, m, mod)
					case n < 850 && m.last > 0:
						id := 1 + rnd.IntN(m.last)
						i, found := slices.BinarySearch(m.ids, id)
						if _, err := mod.call("remove", amf.Number(id)); (err == nil) != found {
							t.Fatalf("removing %d: %v", id, err)
						}
						if found {
							m.ids = slices.Delete(m.ids, i, i+1)
							delete(seen.ids, id) // also if it was removed while the reader was away
						}
					case n < 990:
						randomPage(t, rnd, m, mod)
					case n < 995 && m.limit == 2000:
						if away {
							seen.catchUp(t, mod)
						} else {
							seen.follow(mod)
						}
						away = !away
						mod.pushes = nil
					default:
						if !away {
							seen.follow(mod)
						}
						restart(t, mod)
						mod, away = moderate(t, h), true
					}
					if !away {
						seen.follow(mod)
					}
					mod.heard()
				}
				if m.limit < 2000 {
					return // the reader may have missed something
				}
				if away {
					seen.catchUp(t, mod)
				}
				for _, id := range m.ids {
					if !seen.ids[id] {
						t.Errorf("%d was missed", id)
					}
				}
				if len(seen.ids) != len(m.ids) {
					t.Errorf("the reader has %d messages of %d", len(seen.ids), len(m.ids))
				}
			})
		})
	}
}

// randomSay says something, which may fail, and may have failed only seemingly.
func randomSay(t *testing.T, rnd *rand.Rand, v *vault, m *model, p *peer) {
	t.Helper()
	time.Sleep(room.Refill)
	switch rnd.IntN(20) {
	case 0:
		v.set(func() { v.away = true })
		p.refused("say", amf.String("x"))
		v.set(func() { v.away = false })
	case 1:
		v.set(func() { v.silent = true })
		p.refused("say", amf.String("x"))
		v.set(func() { v.silent = false })
		v.found(v.lost[len(v.lost)-1])
		synctest.Wait()
		m.add()
	default:
		m.add()
		if got := brief(p.must("say", amf.String("x"))); got != fmt.Sprintf("{id:%d}", m.last) {
			t.Fatalf("got %s, want %d", got, m.last)
		}
	}
}

func randomPage(t *testing.T, rnd *rand.Rand, m *model, p *peer) {
	t.Helper()
	after, before, limit := -1, -1, 1+rnd.IntN(2*room.MaxLimit)
	q := amf.Object{{Name: "limit", Value: amf.Number(limit)}}
	if rnd.IntN(2) == 0 {
		after = rnd.IntN(m.last + 2)
		q = append(q, amf.Field{Name: "after", Value: amf.Number(after)})
	}
	if rnd.IntN(3) == 0 {
		before = rnd.IntN(m.last + 3)
		q = append(q, amf.Field{Name: "before", Value: amf.Number(before)})
	}
	if got, want := told(p.must("history", q)), m.page(after, before, min(limit, room.MaxLimit)); got != want {
		t.Fatalf("%s: got %s, want %s", brief(q), got, want)
	}
}
