package hostile

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The traces that a stranger may leave in the store: some rooms that it may
// open, and what it may write into one.
const (
	maxLeft    = 40  // subjects
	maxSubject = 256 // bytes of each
)

// leftovers fails the test when the store of a stopped server has more in it
// than the people's rooms and the permitted traces of a stranger.
func (s *site) leftovers() {
	s.t.Helper()
	engine, err := server.NewServer(&server.Options{
		DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(s.data, "store"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	go engine.Start() // until Shutdown
	defer engine.WaitForShutdown()
	defer engine.Shutdown()
	if !engine.ReadyForConnections(20 * time.Second) {
		s.t.Fatal("the store does not open again")
	}
	nc, err := nats.Connect("", nats.InProcessServer(engine))
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	var left []string
	streams := js.ListStreams(ctx)
	for info := range streams.Info() {
		stream, err := js.Stream(ctx, info.Config.Name)
		if err != nil {
			s.t.Fatal(err)
		}
		all, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
		if err != nil {
			s.t.Fatal(err)
		}
		for subject := range all.State.Subjects {
			if len(subject) > maxSubject {
				s.t.Errorf("the store has a subject of %d bytes in %s: %.80s…", len(subject), info.Config.Name, subject)
			}
			if !strings.Contains(subject, "calm") {
				left = append(left, subject)
			}
		}
	}
	if err := streams.Err(); err != nil {
		s.t.Fatal(err)
	}
	if len(left) > maxLeft {
		s.t.Errorf("the stranger left %d subjects in the store, want at most %d: %.400q…", len(left), maxLeft, left[:10])
	}
	s.t.Logf("left in the store: %d subjects", len(left))
}
