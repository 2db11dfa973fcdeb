package rtmp_test

import (
	"bytes"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// Conversations with real programs are kept in testdata/*.flow and replayed
// with nothing installed. To record them again, with the programs:
//
//	go test ./server/rtmp -run TestFlows -update
var update = flag.Bool("update", false, "record the conversations in testdata again")

// jukebox plays messages that ffmpeg once published, and takes whatever is
// published.
type jukebox struct{ tape []rtmp.Message }

func (j jukebox) ServeCall(c *rtmp.Call)       { echo(c) }
func (j jukebox) ServePublish(p *rtmp.Publish) { p.Accept(&tape{}) }
func (j jukebox) ServePlay(p *rtmp.Play) {
	pl := p.Accept(nil)
	for _, m := range j.tape {
		pl.WriteMessage(m)
	}
	pl.Status(rtmp.CodeUnpublishNotify, "The end.")
}

const publishFlow = "testdata/ffmpeg-publish.flow"

// conversations are the programs and their arguments, with ADDR for the
// server's address. The one in which ffmpeg publishes comes first, since the
// players get its pictures.
var conversations = []struct {
	file string
	args []string
}{
	{"ffmpeg-publish", []string{"ffmpeg", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=32x32:rate=10:duration=0.5",
		"-f", "lavfi", "-i", "sine=sample_rate=8000:duration=0.3", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "40", "-g", "5",
		"-c:a", "aac", "-b:a", "8k", "-rtmp_conn", "S:Room S:secretPassword6 O:1 NN:n:3.5 O:0", "-f", "flv", "rtmp://ADDR/chapter4/lobby/key"}},
	{"ffmpeg-play", []string{"ffmpeg", "-loglevel", "error", "-i", "rtmp://ADDR/room/blue/key", "-c", "copy", "-f", "null", "-"}},
	{"rtmpdump-play", []string{"rtmpdump", "--live", "-q", "-r", "rtmp://ADDR/room/blue/key", "-C", "S:Room", "-C", "B:1", "-o", "/dev/null"}},
	{"gst-publish", []string{"gst-launch-1.0", "-q", "audiotestsrc", "num-buffers=4", "samplesperbuffer=100", "!",
		"audio/x-raw,format=S16LE,rate=11025,channels=1", "!", "flvmux", "streamable=true", "!", "rtmp2sink", "location=rtmp://ADDR/room/key"}},
	{"gst-play", []string{"gst-launch-1.0", "-q", "rtmp2src", "location=rtmp://ADDR/room/key", "num-buffers=5", "!", "fakesink"}},
	{"gortmp-publish", nil},
}

// film returns the messages that ffmpeg published.
func film(t testing.TB) (ms []rtmp.Message) {
	t.Helper()
	for _, m := range clientMessages(t, publishFlow) {
		if m.Type == rtmp.TypeVideo || m.Type == rtmp.TypeAudio {
			ms = append(ms, m)
		}
	}
	return append([]rtmp.Message{data(1, amf.String("onMetaData"), amf.ECMAArray{{Name: "width", Value: amf.Number(32)}})}, ms...)
}

func readFlows(t testing.TB, file string) []flow {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flows, err := parseFlows(f)
	if err != nil {
		t.Fatal(err)
	}
	return flows
}

func record(t *testing.T, file string, args []string) {
	t.Helper()
	j := jukebox{}
	if file != publishFlow {
		j.tape = film(t)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var rec *recorder
	wg.Go(func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		rec = &recorder{Conn: nc}
		if s := accept(t, rec, nil, j); s != nil {
			t.Logf("session ended: %v", s.Run(t.Context()))
		}
	})
	addr := ln.Addr().String()
	if args == nil {
		publishWithGoRTMP(t, addr)
	} else {
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "ADDR", addr)
		}
		run(t, program(t, args[0], args[1:]...))
	}
	ln.Close()
	wg.Wait()
	if rec == nil {
		t.Fatal("nobody came")
	}
	var b bytes.Buffer
	if err := writeFlows(&b, rec.conversation()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFlows(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.file, func(t *testing.T) {
			file := filepath.Join("testdata", c.file+".flow")
			if *update {
				record(t, file, append([]string(nil), c.args...))
			}
			flows := readFlows(t, file)
			j := jukebox{}
			if file != publishFlow {
				j.tape = film(t)
			}
			var want []byte
			for _, f := range flows {
				if f.FromServer {
					want = append(want, f.Bytes...)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				cnc, snc := rtmptest.Pipe()
				ended := make(chan error, 1) // it ends once
				go func() { ended <- accept(t, snc, nil, j).Run(t.Context()) }()
				got, err := replay(cnc, flows, synctest.Wait)
				if err != nil {
					t.Error(err)
				}
				if err := <-ended; err != rtmp.ErrClosed && err != rtmp.ErrGoodbye {
					t.Errorf("session ended with %v", err)
				}
				sameMessages(t, want, got)
			})
		})
	}
}

// sameMessages compares the messages of a server. Lanes may overtake each
// other, so each is compared by itself. A program that left did not hear the
// last words, so the server may say more now.
func sameMessages(t *testing.T, want, got []byte) {
	t.Helper()
	lanes := func(b []byte) [3][]rtmp.Message {
		ms, err := rtmp.NewChunkReader(rtmp.InitialChunkSize, rtmp.Publisher).Feed(b)
		if err != nil {
			t.Fatal(err)
		}
		var lanes [3][]rtmp.Message
		for _, m := range ms {
			switch {
			case m.Type <= rtmp.TypeSetPeerBandwidth:
				lanes[0] = append(lanes[0], m)
			case m.Type == rtmp.TypeCommandAMF0:
				lanes[1] = append(lanes[1], m)
			default:
				lanes[2] = append(lanes[2], m)
			}
		}
		return lanes
	}
	w, g := lanes(want), lanes(got)
	for i := range g {
		g[i] = g[i][:min(len(g[i]), len(w[i]))]
	}
	if d := cmp.Diff(w, g, sameBytes, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the server says something else now: (-recorded +got)\n%.3000s", d)
	}
}

// FuzzCommand: a command that was read is the same after writing and reading it
// again.
func FuzzCommand(f *testing.F) {
	files, err := filepath.Glob("testdata/*.flow")
	if err != nil || len(files) == 0 {
		f.Fatal("no conversations", err)
	}
	for _, file := range files {
		for _, m := range clientMessages(f, file) {
			if m.Type == rtmp.TypeCommandAMF0 || m.Type == rtmp.TypeDataAMF0 {
				f.Add(m.Payload, false)
				f.Add(append([]byte{0}, m.Payload...), true)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, amf3 bool) {
		m := rtmp.Message{Type: rtmp.TypeCommandAMF0, Payload: b}
		if amf3 {
			m.Type = rtmp.TypeCommandAMF3
		}
		name, tx, values, err := rtmp.ParseCommandMessage(m)
		if err != nil {
			return
		}
		var args []amf.Value
		for _, v := range values {
			args = append(args, v.(amf.Value))
		}
		again := rtmp.CommandMessage(0, true, name, tx, args...)
		name2, tx2, values2, err := rtmp.ParseCommandMessage(again)
		if err != nil {
			t.Fatalf("%x, written as %x: %v", b, again.Payload, err)
		}
		third := rtmp.CommandMessage(0, true, name2, tx2, asValues(values2)...)
		if name2 != name || !bytes.Equal(third.Payload, again.Payload) {
			t.Fatalf("%q %v, written and read again: %q %v\n%x\n%x", name, values, name2, values2, again.Payload, third.Payload)
		}
	})
}

func asValues(vs []any) (all []amf.Value) {
	for _, v := range vs {
		all = append(all, v.(amf.Value))
	}
	return all
}

// clientMessages returns what the client of a conversation sent.
func clientMessages(t testing.TB, file string) (all []rtmp.Message) {
	t.Helper()
	r := rtmp.NewChunkReader(rtmp.InitialChunkSize, rtmp.Publisher)
	for _, f := range readFlows(t, file) {
		if f.FromServer {
			continue
		}
		ms, err := r.Feed(f.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ms...)
	}
	return all
}

func TestReadFlowsRefuses(t *testing.T) {
	for _, text := range []string{"00000000  00 11\n", ">>> Flow 1 (client to server)\n00000000  zz\n"} {
		if _, err := parseFlows(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
