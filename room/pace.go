package room

import "time"

// Burst messages may come at once, then one every Refill.
const (
	Burst  = 5
	Refill = time.Second
)

// pace is how fast somebody does something. The zero value is rested.
type pace struct {
	spent float64 // of Burst
	at    time.Time
}

// wait returns how long the next one has to wait: zero when it may come now.
func (p *pace) wait(now time.Time) time.Duration {
	if p.spent > 0 {
		p.spent = max(0, p.spent-now.Sub(p.at).Seconds()/Refill.Seconds())
	}
	p.at = now
	if over := p.spent + 1 - Burst; over > 1e-9 {
		return time.Duration(over * float64(Refill))
	}
	return 0
}

// take is for one that came.
func (p *pace) take(now time.Time) {
	p.wait(now)
	p.spent++
}

// give takes one back: it has not come.
func (p *pace) give() { p.spent = max(0, p.spent-1) }
