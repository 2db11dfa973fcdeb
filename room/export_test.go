package room

import (
	"strconv"
	"time"

	"foyer/lobby"
	"foyer/server/amf"
)

// Status is the report to the lobby.
func (r *Room) Status() lobby.Status { return r.status() }

// ParseText and Line read texts.
func ParseText(v amf.Value) (text, wrong string) { return parseText(v) }

func Line(v amf.Value, max int) string { return line(v, max) }

// KeysAfter is how many keys are remembered of n messages, and then of one more after
// a pause: all those at a time, half of them in doubt.
func KeysAfter(n int, pause time.Duration) int {
	var o once
	for i := range n {
		if m := mark(strconv.Itoa(i)); i%2 == 0 {
			o.begin(m, nil, time.Now(), nil)
		} else {
			o.add(message{ID: int64(i), At: time.Now().UnixMilli(), Mark: m})
		}
	}
	time.Sleep(pause)
	o.add(message{ID: 1, At: time.Now().UnixMilli(), Mark: "last"})
	o.forget(time.Now())
	doubts := 0
	o.under.Range(func(any, any) bool { doubts++; return true })
	return len(o.said) + doubts
}
