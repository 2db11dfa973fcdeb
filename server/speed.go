package server

import (
	"fmt"
	"time"

	"foyer/server/guard"
	"foyer/server/rtmp"
)

const (
	// speedWindow is the number of seconds over which the bitrate of a
	// publication is averaged.
	speedWindow = 10
	// MaxMessageRate is how many messages a second a publication may have,
	// averaged over the same time: each costs something, however short.
	// Pictures with sound take about a hundred.
	MaxMessageRate = 5000
	// messageOverhead is how many bytes a message counts for beside its
	// payload.
	messageOverhead = 12
)

// A speed is how much came in the last seconds. The zero value is at rest.
type speed struct {
	slots [speedWindow]int64 // of a second each
	sum   int64
	at    int64 // the second of the newest slot
}

// add counts n that came in a second, and returns how many came in the window
// that ends with that second.
func (s *speed) add(second int64, n int) int64 {
	for ; s.at < second; s.at++ {
		if second-s.at >= speedWindow {
			*s = speed{at: second}
			break
		}
		slot := &s.slots[(s.at+1)%speedWindow]
		s.sum -= *slot
		*slot = 0
	}
	s.slots[s.at%speedWindow] += int64(n)
	s.sum += int64(n)
	return s.sum
}

// SetMaxBitrate sets how fast one publication may be, in bits a second,
// averaged over ten seconds. It applies to publications that are on as well. 0,
// the initial value: no limit.
func (h *Host) SetMaxBitrate(bits int64) { h.maxBitrate.Store(bits) }

// tooFast counts a message of the publication, and reports whether the
// publication is over the limit. The publisher's reader calls it.
func (p *publication) tooFast(now time.Time, m *rtmp.Message) bool {
	second := int64(now.Sub(p.begun) / time.Second)
	most := p.client.in.host.maxBitrate.Load()
	bytes := p.bytes.add(second, len(m.Payload)+messageOverhead)
	messages := p.messages.add(second, 1)
	return most > 0 && bytes > most/8*speedWindow || messages > MaxMessageRate*speedWindow
}

// slowDown ends a publication that is too fast.
func (ss *streams) slowDown(p *publication) {
	if p.over.Load() {
		return
	}
	reason := fmt.Sprintf("The broadcast is faster than %v Mbit/s, averaged over %d seconds: set a lower bitrate in the encoder, and begin again.",
		float64(ss.in.host.maxBitrate.Load())/1e6, speedWindow)
	if p.messages.sum > MaxMessageRate*speedWindow { // its reader does not change it any more
		reason = fmt.Sprintf("The broadcast has more than %d messages a second, averaged over %d seconds: check the settings of the encoder, and begin again.", MaxMessageRate, speedWindow)
	}
	no := ss.in.host.guard().Refuse(p.client.IP(), &guard.Refusal{Limit: "bitrate", Reason: reason},
		"instance", ss.in.name, "stream", p.stream.name, "client", p.client.ID())
	status := badName(no.Reason)
	status.Application = Because(no.Reason, no.RetryAfter)
	ss.in.EndStream(p.stream.name, status)
}
