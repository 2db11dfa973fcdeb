package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"foyer/client"
	"foyer/room"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

const (
	// earlyKills is how many of the servers are killed while they start, and
	// earlyKill in which time.
	earlyKills, earlyKill = 0.2, 150 * time.Millisecond
	// minTalk is the part of --for that people have at least.
	minTalk = 0.2
)

// verifyCommand kills a server again and again while people talk.
type verifyCommand struct {
	Rounds int           `default:"20" placeholder:"N" help:"How often the server is killed while people talk. Default: ${default}."`
	Rooms  int           `default:"10" placeholder:"N" help:"In how many rooms they talk. Default: ${default}."`
	People int           `default:"3" placeholder:"N" help:"How many talk at once in each. Default: ${default}."`
	For    time.Duration `default:"2s" placeholder:"TIME" help:"How long they talk before it is killed, at most. Default: ${default}."`
	Data   string        `placeholder:"DIR" help:"The data folder; it stays. Default: a temporary one, which stays when something is wrong."`
	Seed   uint64        `placeholder:"N" help:"The same number, the same moments. Default: other ones each time."`
	Serve  []string      `arg:"" optional:"" passthrough:"" help:"After --, flags of 'foyer serve', as in: foyer verify -- --sync=second."`
}

// Help is shown by verify --help.
func (verifyCommand) Help() string {
	return `It starts this program as a server, on free ports and with a data folder of its own. In several rooms people come, say what a room lets them say at once, wait for each answer, and go; others come after them. At a random moment the server is killed (SIGKILL), started again, sometimes killed while it starts, and then what is new in every room's history is read; after the last round all of it.

Every message that was acknowledged must be there, once, with its id, in order. One whose answer the kill cut off may be there or not; if it is, it has to stay. The exit status is 1 when anything is wrong.

This shows what the end of the process does, not that of the power: what the system has taken, it keeps.`
}

// A verification is one run of the command.
type verification struct {
	cmd     *verifyCommand
	data    string
	random  *rand.Rand
	ledgers []*ledger
	visitor atomic.Int64 // numbers the nicks
}

// Run plays the rounds and says what was found.
func (cmd *verifyCommand) Run(ctx context.Context, p *program) (err error) {
	if cmd.Rounds < 1 || cmd.Rooms < 1 || cmd.People < 1 || cmd.For <= 0 {
		return usagef("--rounds, --rooms, --people and --for must be more than nothing")
	}
	seed := cmd.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	v := &verification{cmd: cmd, data: cmd.Data, random: rand.New(rand.NewPCG(seed, 0))}
	if v.data == "" {
		if v.data, err = os.MkdirTemp("", "foyer-verify-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				os.RemoveAll(v.data)
			}
		}()
	}
	for i := range cmd.Rooms {
		v.ledgers = append(v.ledgers, newLedger(fmt.Sprintf("verify%d", i+1)))
	}
	fmt.Fprintf(p.stdout, "%d rounds with %d people in each of %d rooms; seed %d, data in %s\n\n", cmd.Rounds, cmd.People, cmd.Rooms, seed, v.data)
	t, err := v.rounds(ctx, p.stdout)
	if err != nil {
		return fmt.Errorf("%w (the data is in %s)", err, v.data)
	}
	return v.verdict(p.stdout, t)
}

// rounds plays them, and returns what was found in all that is kept after the
// last, or in what is new after one that shows that something is wrong.
func (v *verification) rounds(ctx context.Context, w io.Writer) (t *tally, err error) {
	fmt.Fprintf(w, "%5s %9s %8s %13s %11s %6s %8s %6s %8s %10s\n", "round", "killed in", "ready in", "acknowledged", "unanswered", "lost", "doubled", "order", "altered", "forgotten")
	server, err := v.start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if server != nil {
			server.kill()
		}
	}()
	for round := 1; round <= v.cmd.Rounds; round++ {
		length := time.Duration((minTalk + (1-minTalk)*v.random.Float64()) * float64(v.cmd.For))
		if err := v.talk(ctx, server, length); err != nil {
			return nil, err
		}
		if server, err = v.start(ctx); err != nil {
			return nil, err
		}
		if t, err = v.check(ctx, server.rtmp, false); err != nil {
			return nil, err
		}
		fmt.Fprintf(w, "%5d %9v %8v %s\n", round, length.Round(time.Millisecond), server.took.Round(time.Millisecond), t)
		if t.bad() > 0 {
			return t, nil // later rounds would only repeat it
		}
	}
	if t, err = v.check(ctx, server.rtmp, true); err == nil {
		fmt.Fprintf(w, "%5s %9s %8s %s\n", "all", "", "", t)
	}
	return t, err
}

// verdict says in words what was found. It is an error when something is wrong.
func (v *verification) verdict(w io.Writer, t *tally) error {
	fmt.Fprintln(w)
	for _, example := range t.examples {
		fmt.Fprintln(w, example)
	}
	switch {
	case t.bad() > 0:
		return fmt.Errorf("of %d acknowledged messages %d are lost, %d doubled, %d out of order, %d altered, and %d histories were forgotten; the data is in %s",
			t.acknowledged, t.lost, t.doubled, t.disordered, t.altered, t.forgotten, v.data)
	case t.acknowledged == 0:
		return errors.New("nothing was acknowledged, so nothing could be lost: give it more time with --for")
	}
	_, err := fmt.Fprintf(w, "%d messages were acknowledged: each is there, once, in order.\n", t.acknowledged)
	return err
}

// start starts the server, after one that is killed while it starts, maybe.
func (v *verification) start(ctx context.Context) (*victim, error) {
	for {
		server, err := startVictim(os.Args[0], v.data, v.cmd.Serve)
		if err != nil {
			return nil, err
		}
		if v.random.Float64() >= earlyKills {
			return server, server.await(ctx)
		}
		select {
		case <-time.After(time.Duration(v.random.Float64() * float64(earlyKill))):
		case <-ctx.Done():
		}
		server.kill()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// talk has people talk in every room until the server is killed, after length.
// The server has ended when it returns.
func (v *verification) talk(ctx context.Context, server *victim, length time.Duration) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var people errgroup.Group
	for _, l := range v.ledgers {
		for person := range v.cmd.People {
			people.Go(func() error { return v.chatter(ctx, server.rtmp+"/room/"+l.room, l, person+1) })
		}
	}
	var err error
	select {
	case <-time.After(length):
	case <-server.ended:
		err = fmt.Errorf("the server ended by itself; its log ends with\n%s", strings.Join(server.log, "\n"))
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	server.kill()
	stop() // whoever is dialling
	return errors.Join(err, people.Wait())
}

// chatter is one person's place in a room: visitor after visitor says what a
// newcomer may say at once. It ends with the server.
func (v *verification) chatter(ctx context.Context, uri string, l *ledger, person int) error {
	for {
		nick := fmt.Sprintf("visitor%d", v.visitor.Add(1))
		nc, err := client.Dial(ctx, uri, client.Options{}, amf.String(nick))
		if status, no := errors.AsType[*rtmp.StatusError](err); no {
			return fmt.Errorf("%s let nobody in: %w", l.room, status)
		}
		if err != nil {
			return nil // it is gone
		}
		for range room.Burst {
			text := l.ask(person)
			answer, err := nc.Call(ctx, "say", amf.String(text))
			if _, no := errors.AsType[*rtmp.StatusError](err); err != nil && !no {
				nc.Close()
				return nil // it is gone, and nobody knows whether it has the message
			}
			if err == nil {
				l.answered(text, int(number(answer, "id")))
			}
		}
		nc.Close()
	}
}

// check reads what is new in the history of every room, or all of it, and
// compares it with what was said.
func (v *verification) check(ctx context.Context, rtmp string, all bool) (*tally, error) {
	t := new(tally)
	for _, l := range v.ledgers {
		after := l.last
		if all {
			after = 0
		}
		history, epoch, complete, err := readHistory(ctx, rtmp+"/room/"+l.room, after)
		if err != nil {
			return nil, fmt.Errorf("reading the history of %s: %w", l.room, err)
		}
		l.check(after, history, epoch, complete, t)
	}
	return t, nil
}

// readHistory reads what a room keeps above an id, page by page, as a client does.
func readHistory(ctx context.Context, uri string, from int) (history []said, epoch float64, complete bool, err error) {
	dial, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := client.Dial(dial, uri, client.Options{})
	if err != nil {
		return nil, 0, false, err
	}
	defer nc.Close()
	complete = true
	for after, more := float64(from), true; more; {
		var p pages
		p, more, err = new(conversation).page(ctx, nc, amf.Object{
			{Name: "after", Value: amf.Number(after)}, {Name: "limit", Value: amf.Number(historyPage)},
		})
		if err != nil {
			return nil, 0, false, err
		}
		if epoch != 0 && p.epoch != epoch {
			return nil, 0, false, errors.New("it began anew while it was read")
		}
		epoch, complete = p.epoch, complete && p.complete
		for _, m := range p.messages {
			history = append(history, said{int(m.ID), m.Text})
			after = m.ID
		}
		if len(p.messages) == 0 {
			break
		}
	}
	return history, epoch, complete, nil
}
