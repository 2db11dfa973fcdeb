package demo

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// fewest is how many people are in a room at low water, not counting the
	// host.
	fewest = 2
	// A wave, from low water to low water, takes this long in every room, so
	// that they stay apart.
	wave = 5 * time.Minute
	// The pause between two lines, at low and at high water.
	slowPace = 9 * time.Second
	fastPace = 1500 * time.Millisecond
	// A room fills this fast in the beginning.
	fillPace = 400 * time.Millisecond
	// How long somebody who comes in looks around before saying hello.
	greetPace = 800 * time.Millisecond
	// How long a topic stays.
	topicStays = 3 * time.Minute
)

// Lines for people who come in and who leave.
var (
	greetings = []string{"hi all", "hello!", "evening", "hey, what did I miss?", "back again", "good to see you lot", "just looking in", "hi hi"}
	farewells = []string{"off to bed, good night", "see you tomorrow", "that's my bus, bye", "bye everyone", "dinner's ready, later", "right, I'm off", "good night all", "gone, be nice to each other"}
	asides    = []string{" (brb)", "|tea", "|away", "_"}
)

// kind is what an action does.
type kind uint8

const (
	arrive kind = iota // the person who comes in
	leave              // the person leaves
	say                // the person says text
	rename             // the person changes their nick to text
	topic              // the host sets the topic to text
)

// An action is one thing that happens in a room, after a pause. who is a name
// from the scene, whatever nick that person has at the time.
type action struct {
	kind  kind
	who   string
	text  string
	pause time.Duration
}

// A director decides what happens in one room. It belongs to one goroutine.
type director struct {
	scene *scene
	rand  *rand.Rand

	phase   float64  // where the room begins in the wave, from 0 to 1
	present []string // in order of arrival
	nicks   map[string]string
	queue   []action // decided already
	next    []int    // dialogues that were not heard lately, the next one last
	topicAt time.Duration
	topic   int
}

// newDirector returns a Director for a scene. number is the number of the room:
// it spreads the rooms over the wave, so that at any time some are full and
// some are quiet.
func newDirector(s *scene, seed uint64, number int) *director {
	d := &director{scene: s, rand: rand.New(rand.NewPCG(seed, uint64(number))), nicks: make(map[string]string)}
	const golden = 0.618 // spreads any number of rooms evenly
	_, d.phase = math.Modf(0.25 + float64(number)*golden)
	return d
}

// tide returns how full the room should be after t, from 0 to 1.
func (d *director) tide(t time.Duration) float64 {
	x := float64(t)/float64(wave) + d.phase
	return 0.5 - 0.5*math.Cos(2*math.Pi*x)
}

// decide returns what happens next, t after the start. The director assumes
// that the action succeeds; see gone.
func (d *director) decide(t time.Duration) action {
	if len(d.queue) == 0 {
		d.plan(t)
	}
	a := d.queue[0]
	d.queue = d.queue[1:]
	switch a.kind {
	case arrive:
		d.present = append(d.present, a.who)
	case leave:
		d.gone(a.who)
	case rename:
		d.nicks[a.who] = a.text
	}
	return a
}

// gone notes that somebody is not in the room, and forgets what was planned for
// them.
func (d *director) gone(who string) {
	d.present = slices.DeleteFunc(d.present, func(p string) bool { return p == who })
	d.queue = slices.DeleteFunc(d.queue, func(a action) bool { return a.who == who })
	delete(d.nicks, who)
}

// plan puts at least one action into the queue.
func (d *director) plan(t time.Duration) {
	tide := d.tide(t)
	want := fewest + int(math.Round(tide*float64(len(d.scene.people)-fewest)))
	pace := d.pace(tide)
	switch n := len(d.present); {
	case n < fewest || n < want && t < 10*time.Second:
		d.arrival(d.around(fillPace), d.chance(0.4))
	case t-d.topicAt > topicStays && len(d.scene.topics) > 1:
		d.topicAt, d.topic = t, (d.topic+1)%len(d.scene.topics)
		d.queue = append(d.queue, action{topic, "", d.scene.topics[d.topic], pace})
	case n < want && d.chance(0.5):
		d.arrival(pace, d.chance(0.5))
	case n > want && d.chance(0.5):
		d.departure(pace)
	case d.chance(0.1):
		d.aside(pace)
	default:
		d.dialogue(tide)
	}
}

// pace returns the pause before a line, at that tide.
func (d *director) pace(tide float64) time.Duration {
	return d.around(slowPace - time.Duration(tide*float64(slowPace-fastPace)))
}

// around returns a duration near t.
func (d *director) around(t time.Duration) time.Duration {
	return time.Duration((0.6 + 0.8*d.rand.Float64()) * float64(t))
}

func (d *director) chance(p float64) bool { return d.rand.Float64() < p }

// arrival lets somebody come in.
func (d *director) arrival(pause time.Duration, greet bool) {
	var absent []string
	for _, p := range d.scene.people {
		if !slices.Contains(d.present, p) {
			absent = append(absent, p)
		}
	}
	if len(absent) == 0 {
		d.dialogue(1)
		return
	}
	who := absent[d.rand.IntN(len(absent))]
	d.queue = append(d.queue, action{arrive, who, "", pause})
	if greet {
		d.queue = append(d.queue, action{say, who, d.pick(greetings), d.around(greetPace)})
	}
}

// departure lets somebody leave.
func (d *director) departure(pause time.Duration) {
	who := d.pick(d.present)
	if d.chance(0.5) {
		d.queue = append(d.queue, action{say, who, d.pick(farewells), pause})
		pause = d.around(2 * time.Second)
	}
	d.queue = append(d.queue, action{leave, who, "", pause})
}

// aside changes a nick for a while, or changes it back.
func (d *director) aside(pause time.Duration) {
	who := d.pick(d.present)
	nick := who
	if d.nicks[who] == "" || d.nicks[who] == who {
		nick += d.pick(asides)
	}
	d.queue = append(d.queue, action{rename, who, nick, pause})
}

// dialogue lets the people in the room say the lines of a dialogue that was not
// heard lately.
func (d *director) dialogue(tide float64) {
	if len(d.next) == 0 {
		d.next = d.rand.Perm(len(d.scene.dialogues))
	}
	lines := d.scene.dialogues[d.next[len(d.next)-1]]
	d.next = d.next[:len(d.next)-1]
	cast := d.rand.Perm(len(d.present))
	for _, l := range lines {
		who := d.present[cast[int(l.role-'a')%len(cast)]]
		d.queue = append(d.queue, action{say, who, l.text, d.pace(tide)})
	}
}

func (d *director) pick(from []string) string { return from[d.rand.IntN(len(from))] }
