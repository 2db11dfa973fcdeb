package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"foyer/client"
	"foyer/server/amf"
)

// A line is a message that somebody said, or tried to.
type line struct {
	person, number int // the messages of each person are numbered
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

// ask notes that a person is about to say the next message, and returns it.
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
	unanswered   int // those whose answer the end of the server cut off: they may be there or not

	lost       int // acknowledged, or seen in an earlier history, and not there
	doubled    int // there more than once, or two with one id
	disordered int // not in the order of the ids, or of one person's messages
	altered    int // there with another id, or said by nobody
	forgotten  int // rooms whose history began again, or is not complete

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

// tallyHead is above the tallies of a table.
var tallyHead = fmt.Sprintf("%13s %11s %6s %8s %6s %8s %10s", "acknowledged", "unanswered", "lost", "doubled", "order", "altered", "forgotten")

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
		t.wrong(&t.forgotten, "%s: the history began again: epoch %.0f, it was %.0f", l.room, epoch, l.epoch)
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

// historyPage is the most messages that a room hands out at once.
const historyPage = 200

// readHistory reads what a room keeps above an id, page by page, as a client does.
func readHistory(ctx context.Context, uri string, from int) (history []said, epoch float64, complete bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nc, err := client.Dial(ctx, uri, client.Options{})
	if err != nil {
		return nil, 0, false, err
	}
	defer nc.Close()
	complete = true
	for after, more := float64(from), true; more; {
		page, err := nc.Call(ctx, "history", amf.Object{
			{Name: "after", Value: amf.Number(after)}, {Name: "limit", Value: amf.Number(historyPage)},
		})
		if err != nil {
			return nil, 0, false, err
		}
		if now := number(page, "epoch"); epoch == 0 {
			epoch = now
		} else if now != epoch {
			return nil, 0, false, errors.New("it began again while it was read")
		}
		whole, _ := amf.AsBool(amf.Lookup(page, "complete"))
		complete = complete && whole
		list, _ := amf.Lookup(page, "messages").(amf.StrictArray)
		for _, m := range list {
			after = number(m, "id")
			history = append(history, said{int(after), text(m, "text")})
		}
		more, _ = amf.AsBool(amf.Lookup(page, "more"))
		more = more && len(list) > 0
	}
	return history, epoch, complete, nil
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
			t.wrong(&t.disordered, "%s: %q comes after message %d of the same person", l.room, s.text, l.latest[m.person])
		}
		found[s.text], ids[s.id], last, l.latest[m.person] = s.id, true, s.id, max(m.number, l.latest[m.person])
		l.last = max(l.last, s.id)
	}
	return found
}

// Everything that can go wrong with a history is found, and nothing else.
func TestLedger(t *testing.T) {
	// Two people: 1 said four messages, the last two without an answer; 2 said one.
	const one, two, three, four, other = "person 1, message 1", "person 1, message 2", "person 1, message 3", "person 1, message 4", "person 2, message 1"
	whole := []said{{1, one}, {2, other}, {4, two}}
	tests := []struct {
		name    string
		history []said
		epoch   float64
		partly  bool
		late    bool
		want    tally
	}{
		{name: "all is there", history: whole},
		{name: "the unanswered one too", history: append(whole[:3:3], said{5, three})},
		{name: "one is lost", history: whole[1:], want: tally{lost: 1}},
		{name: "all are lost", want: tally{lost: 3}},
		{name: "one is there twice", history: append(whole[:3:3], said{5, two}), want: tally{doubled: 1, altered: 1}},
		{name: "two with one id", history: []said{{1, one}, {1, other}, {4, two}}, want: tally{doubled: 1, altered: 1}},
		{name: "one has another id", history: []said{{1, one}, {2, other}, {5, two}}, want: tally{altered: 1}},
		{name: "one that nobody said", history: append(whole[:3:3], said{5, "hello"}), want: tally{altered: 1}},
		{name: "ids fall", history: []said{{2, other}, {1, one}, {4, two}}, want: tally{disordered: 1}},
		{name: "one person's messages turned round", history: []said{{1, two}, {2, other}, {4, one}}, want: tally{disordered: 1, altered: 2}},
		{name: "the unanswered one after later ones", history: append(whole[:3:3], said{5, four}, said{6, three}), want: tally{disordered: 1}},
		{name: "that, after a network was cut", history: append(whole[:3:3], said{5, four}, said{6, three}), late: true},
		{name: "an answered one, after a network was cut", history: []said{{1, two}, {2, other}, {4, one}}, late: true, want: tally{disordered: 1, altered: 2}},
		{name: "another epoch", history: whole, epoch: 2, want: tally{forgotten: 1}},
		{name: "not complete", history: whole, partly: true, want: tally{forgotten: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger("blue")
			l.late = tt.late
			l.check(0, nil, 2, true, new(tally)) // of a room that nobody has said anything in
			for _, text := range []string{l.ask(1), l.ask(2), l.ask(1), l.ask(1), l.ask(1)} {
				if id := map[string]int{one: 1, other: 2, two: 4}[text]; id > 0 {
					l.answered(text, id)
				}
			}
			tt.want.acknowledged, tt.want.unanswered = 3, 2
			var got tally
			l.epoch = 1
			l.check(0, tt.history, max(1, tt.epoch), !tt.partly, &got)
			if len(got.examples) != got.bad() {
				t.Errorf("%d examples: %q", len(got.examples), got.examples)
			}
			t.Log(got.examples)
			got.examples = nil
			if differ(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// differ reports whether two tallies count differently.
func differ(a, b tally) bool {
	return a.acknowledged != b.acknowledged || a.unanswered != b.unanswered || a.lost != b.lost || a.doubled != b.doubled ||
		a.disordered != b.disordered || a.altered != b.altered || a.forgotten != b.forgotten
}

// An unanswered message that was seen has to stay, with its id.
func TestLedgerSeen(t *testing.T) {
	l := newLedger("blue")
	text := l.ask(1)
	l.check(0, []said{{7, text}}, 1, true, new(tally))
	var got tally
	l.check(0, nil, 1, true, &got)
	if got.lost != 1 {
		t.Errorf("it went away: %+v", got)
	}
	got = tally{}
	l.check(0, []said{{8, text}}, 1, true, &got)
	if got.altered != 1 {
		t.Errorf("its id changed: %+v", got)
	}
}

// Messages that were checked are not asked for again; new ones have to fit to them.
func TestLedgerContinues(t *testing.T) {
	const one, two, three = "person 1, message 1", "person 1, message 2", "person 1, message 3"
	tests := []struct {
		name    string
		history []said
		epoch   float64
		want    tally
	}{
		{name: "all is there", history: []said{{3, two}, {4, three}}, epoch: 1},
		{name: "the new one is lost", epoch: 1, want: tally{lost: 1}},
		{name: "an id of before", history: []said{{2, three}}, epoch: 1, want: tally{disordered: 1, lost: 1}},
		{name: "a message of before again", history: []said{{3, one}}, epoch: 1, want: tally{disordered: 1, lost: 1}},
		{name: "another epoch", history: []said{{3, two}}, epoch: 2, want: tally{forgotten: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger("blue")
			l.answered(l.ask(1), 2)
			l.check(0, []said{{2, one}}, 1, true, new(tally))
			l.answered(l.ask(1), 3)
			l.ask(1)
			tt.want.acknowledged, tt.want.unanswered = 2, 1
			var got tally
			if l.check(l.last, tt.history, tt.epoch, true, &got); differ(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if tt.want.bad() > 0 {
				return
			}
			got = tally{}
			if l.check(0, append([]said{{2, one}}, tt.history...), 1, true, &got); differ(got, tt.want) {
				t.Errorf("in the end: got %+v, want %+v", got, tt.want)
			}
			if l.check(0, tt.history, 1, true, &got); got.lost != 1 {
				t.Errorf("what was lost later is not missed in the end: %+v", got)
			}
		})
	}
}
