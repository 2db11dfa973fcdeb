package cli

import (
	"fmt"
	"sync"
)

// A line is a message that somebody said, or tried to.
type line struct {
	person, number int // his messages are numbered
	id             int // as acknowledged, or as first seen in the history; 0: neither
	acknowledged   bool
}

// A ledger is what was said in one room, over all rounds.
type ledger struct {
	room string
	late bool // a network was cut: it may deliver what had no answer after what was said later, on another connection

	// owned by the check between the rounds
	epoch  float64     // of the history; 0 while there was nothing in it
	last   int         // the highest id that was in it
	latest map[int]int // up to there, number of each person's last message

	// guarded by mu
	mu    sync.Mutex
	lines map[string]*line // by their texts
	next  map[int]int      // number of a person's next message
}

func newLedger(room string) *ledger {
	return &ledger{room: room, lines: make(map[string]*line), next: make(map[int]int), latest: make(map[int]int)}
}

// ask notes that a person is about to say his next message, and returns it.
func (l *ledger) ask(person int) (text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next[person]++
	number := l.next[person]
	text = fmt.Sprintf("person %d, message %d", person, number)
	l.lines[text] = &line{person: person, number: number}
	return text
}

// answered notes that a message was acknowledged.
func (l *ledger) answered(text string, id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.lines[text]
	m.id, m.acknowledged = id, true
}

// A said is a message of a history.
type said struct {
	id   int
	text string
}

// A tally counts what was found in the histories of all rooms. All but the
// first two must be 0.
type tally struct {
	acknowledged int // messages that were answered with their id
	unanswered   int // those whose answer the end of the server cut off; being there or not is both right

	lost       int // acknowledged, or seen in an earlier history, and not there
	doubled    int // there more than once, or two with one id
	disordered int // not in the order of the ids, or of one person's messages
	altered    int // there with another id, or said by nobody
	forgotten  int // rooms whose history says that it began anew, or is not complete

	examples []string // of what is wrong
}

// maxExamples bounds the examples of a tally.
const maxExamples = 10

func (t *tally) wrong(count *int, format string, args ...any) {
	*count++
	if len(t.examples) < maxExamples {
		t.examples = append(t.examples, fmt.Sprintf(format, args...))
	}
}

// bad is how much is wrong.
func (t *tally) bad() int { return t.lost + t.doubled + t.disordered + t.altered + t.forgotten }

// String is t as a part of a row of the table.
func (t *tally) String() string {
	return fmt.Sprintf("%13d %11d %6d %8d %6d %8d %10d", t.acknowledged, t.unanswered, t.lost, t.doubled, t.disordered, t.altered, t.forgotten)
}

// check compares the room's history from an id on with what was said: all of
// it, from 0, or what came since the last check, from last.
func (l *ledger) check(after int, history []said, epoch float64, complete bool, t *tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch != 0 && epoch != l.epoch {
		t.wrong(&t.forgotten, "%s: the history began anew: epoch %.0f, it was %.0f", l.room, epoch, l.epoch)
	} else if !complete {
		t.wrong(&t.forgotten, "%s: the history says that it is not complete", l.room)
	}
	found := l.checkOrder(after, history, t)
	if len(history) > 0 { // before that, nothing of it needs to be kept
		l.epoch = epoch
	}
	for text, m := range l.lines {
		id, there := found[text]
		switch {
		case m.acknowledged:
			t.acknowledged++
		default:
			t.unanswered++
		}
		switch {
		case m.id == 0 && there:
			m.id = id // and there it stays
		case m.id <= after: // that has been checked, or is nowhere
		case !there:
			t.wrong(&t.lost, "%s: %q has the id %d and is not there", l.room, text, m.id)
		case id != m.id:
			t.wrong(&t.altered, "%s: %q has the id %d and is there with %d", l.room, text, m.id, id)
		}
	}
}

// checkOrder looks at the messages of a history beside each other, and returns
// their ids by their texts.
func (l *ledger) checkOrder(after int, history []said, t *tally) (found map[string]int) {
	if after == 0 {
		clear(l.latest)
	}
	found = make(map[string]int, len(history))
	ids, last := make(map[int]bool, len(history)), after
	for _, s := range history {
		m := l.lines[s.text]
		_, twice := found[s.text]
		switch {
		case m == nil:
			t.wrong(&t.altered, "%s: message %d, %q, was said by nobody", l.room, s.id, s.text)
			continue
		case twice:
			t.wrong(&t.doubled, "%s: %q is there as %d and as %d", l.room, s.text, found[s.text], s.id)
		case ids[s.id]:
			t.wrong(&t.doubled, "%s: two messages have the id %d, one is %q", l.room, s.id, s.text)
		case s.id <= last:
			t.wrong(&t.disordered, "%s: message %d comes after message %d", l.room, s.id, last)
		case m.number <= l.latest[m.person] && (m.acknowledged || !l.late):
			t.wrong(&t.disordered, "%s: %q comes after his message %d", l.room, s.text, l.latest[m.person])
		}
		found[s.text], ids[s.id], last, l.latest[m.person] = s.id, true, s.id, max(m.number, l.latest[m.person])
		l.last = max(l.last, s.id)
	}
	return found
}
