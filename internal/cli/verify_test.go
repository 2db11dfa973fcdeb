package cli

import (
	"strings"
	"testing"
)

// What can go wrong with a history is found, and nothing else.
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

// What was checked before is not asked for again; what is new has to fit to it.
func TestLedgerGoesOn(t *testing.T) {
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

// Without anything acknowledged nothing is proved; examples are bounded.
func TestVerdict(t *testing.T) {
	var out strings.Builder
	v := &verification{data: "somewhere"}
	if err := v.verdict(&out, new(tally)); err == nil || !strings.Contains(err.Error(), "nothing was acknowledged") {
		t.Error(err)
	}
	if err := v.verdict(&out, &tally{acknowledged: 5}); err != nil || !strings.Contains(out.String(), "5 messages were acknowledged: each is there") {
		t.Error(err, out.String())
	}
	l, bad := newLedger("blue"), new(tally)
	for range 100 {
		l.answered(l.ask(1), 1)
	}
	l.check(0, nil, 1, true, bad)
	if err := v.verdict(&out, bad); err == nil || !strings.Contains(err.Error(), "100 are lost") || len(bad.examples) != maxExamples {
		t.Error(err, len(bad.examples))
	}
}
