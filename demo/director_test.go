package demo

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The lines are worth reading: there are many, none is in a room twice, all are
// short enough to be said, and the names of the people differ.
func TestScenes(t *testing.T) {
	lines := 0
	for _, name := range names {
		s, err := loadScene(name)
		if err != nil {
			t.Fatal(err)
		}
		nicks := map[string]bool{strings.ToLower(s.host): true}
		for _, p := range s.people {
			if nicks[strings.ToLower(p)] {
				t.Errorf("%s: %s is there twice", name, p)
			}
			nicks[strings.ToLower(p)] = true
			if n := utf8.RuneCountInString(p); n > 24 {
				t.Errorf("%s: %s is too long for a nick with something after it", name, p)
			}
		}
		said := make(map[string]bool)
		for _, d := range s.dialogues {
			for _, l := range d {
				lines++
				if n := utf8.RuneCountInString(l.text); n > 500 || said[l.text] && n > 8 {
					t.Errorf("%s: too long, or twice: %q", name, l.text)
				}
				said[l.text] = true
			}
		}
	}
	if lines < 300 {
		t.Errorf("%d lines, want hundreds", lines)
	}
}

func TestParseScene(t *testing.T) {
	const head = "title: T\ntopic: a\ntags: x, y\nhost: h\npeople: a, b, c, d\n\n"
	tests := []struct{ name, text, err string }{
		{"good", head + "a: hi\nb: ho", ""},
		{"unknown key", "colour: blue\n" + head + "a: hi", "unknown key"},
		{"no dialogue", head, "want a title"},
		{"few people", "title: T\ntopic: a\nhost: h\npeople: a\n\na: hi", "want a title"},
		{"no role", head + "x: hi", "not a line"},
		{"no text", head + "hi", "not a line"},
	}
	for _, tt := range tests {
		_, err := parseScene("x", tt.text)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.err)
		}
	}
}

// evening returns what happens in a room in that time.
func evening(t *testing.T, name string, seed uint64, number int, length time.Duration) (actions []action, at []time.Duration) {
	t.Helper()
	s, err := loadScene(name)
	if err != nil {
		t.Fatal(err)
	}
	d := newDirector(s, seed, number)
	for now := time.Duration(0); now < length; {
		a := d.decide(now)
		now += a.pause
		actions, at = append(actions, a), append(at, now)
	}
	return actions, at
}

// The same seed gives the same evening, and another seed another one.
func TestDirectorIsDeterministic(t *testing.T) {
	one, _ := evening(t, "blue", 1, 0, time.Hour)
	again, _ := evening(t, "blue", 1, 0, time.Hour)
	other, _ := evening(t, "blue", 2, 0, time.Hour)
	if !slices.Equal(one, again) {
		t.Error("the same seed gives another evening")
	}
	if slices.Equal(one, other) {
		t.Error("another seed gives the same evening")
	}
}

// Only people in the room speak and leave, and only people outside come in.
func TestDirectorIsSensible(t *testing.T) {
	for number, name := range names {
		for seed := range uint64(5) {
			actions, _ := evening(t, name, seed, number, time.Hour)
			present := make(map[string]bool)
			kinds := make(map[kind]int)
			for _, a := range actions {
				kinds[a.kind]++
				if a.pause < 100*time.Millisecond || a.pause > 30*time.Second {
					t.Errorf("%s: a pause of %v", name, a.pause)
				}
				switch {
				case a.kind == topic:
				case a.kind == arrive && present[a.who], a.kind != arrive && !present[a.who]:
					t.Fatalf("%s, seed %d: %+v, while there are %v", name, seed, a, present)
				}
				if a.kind == arrive || a.kind == leave {
					present[a.who] = a.kind == arrive
				}
			}
			for _, k := range []kind{arrive, leave, say, rename, topic} {
				if kinds[k] < 3 {
					t.Errorf("%s, seed %d: action %d happens %d times in an hour", name, seed, k, kinds[k])
				}
			}
		}
	}
}

// Ten seconds after the start the rooms are alive, and at any time they differ.
func TestDirectorWaves(t *testing.T) {
	for seed := range uint64(5) {
		early := 0
		perMinute := make([][]int, 20)
		for number, name := range names {
			actions, at := evening(t, name, seed, number, 20*time.Minute)
			counts := make([]int, 20)
			arrived := 0
			for i, a := range actions {
				if at[i] < 10*time.Second && a.kind == say {
					early++
				}
				if at[i] < 10*time.Second && a.kind == arrive {
					arrived++
				}
				if m := int(at[i] / time.Minute); m < 20 && a.kind == say {
					counts[m]++
				}
			}
			if arrived < fewest {
				t.Errorf("seed %d: %d people in %s after ten seconds", seed, arrived, name)
			}
			for m, n := range counts {
				perMinute[m] = append(perMinute[m], n)
			}
			if lo, hi := slices.Min(counts), slices.Max(counts); hi < 2*lo || hi < 12 {
				t.Errorf("seed %d: %s says between %d and %d lines a minute: no waves", seed, name, lo, hi)
			}
		}
		if early < 3 {
			t.Errorf("seed %d: %d lines in the first ten seconds", seed, early)
		}
		for m, counts := range perMinute {
			if slices.Max(counts) < slices.Min(counts)*3/2 {
				t.Errorf("seed %d, minute %d: the rooms are equally busy: %v", seed, m, counts)
			}
		}
	}
}

// Somebody who is gone (was thrown out, or never came in) does nothing any
// more.
func TestDirectorForgetsTheGone(t *testing.T) {
	s, err := loadScene("blue")
	if err != nil {
		t.Fatal(err)
	}
	d := newDirector(s, 1, 0)
	gone := ""
	for now := time.Duration(0); now < 10*time.Minute; {
		a := d.decide(now)
		now += a.pause
		if a.who == gone && a.kind != arrive && gone != "" {
			t.Fatalf("%s has gone, but %+v", gone, a)
		}
		if gone == a.who {
			gone = ""
		}
		if a.kind == say && gone == "" && len(d.queue) > 0 {
			gone = d.queue[0].who
			d.gone(gone)
		}
	}
}
