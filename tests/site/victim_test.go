package site

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// startPatience is how long a server may take until it is ready. One that has
// been killed has its files to look through.
const startPatience = 30 * time.Second

// keptOutput is how much of a server's log is kept, for when it fails.
const keptOutput = 20

// keepAll has the server keep every message, so that one that is missing is
// lost. Nothing else of the environment's settings is for it.
var keepAll = []string{"FOYER_HISTORY=10000000", "FOYER_HISTORY_AGE=87600h"}

// A victim is a server in a process of its own, to be killed.
type victim struct {
	cmd  *exec.Cmd
	took time.Duration // from its start until it was ready

	rtmp, http string // its addresses, once it is ready

	ready chan error // whether it became ready; has room for the one answer
	ended chan struct{}
	log   []string // the last lines; owned by read until ended
}

// startVictim starts this program as a server on free ports of the loopback.
func startVictim(data string, args []string) (*victim, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"foyer"} // see TestMain
	return runVictim(cmd, data, args)
}

// runVictim is startVictim for a command that runs the program.
func runVictim(cmd *exec.Cmd, data string, args []string) (*victim, error) {
	v := &victim{cmd: cmd, ready: make(chan error, 1), ended: make(chan struct{})}
	v.cmd.Args = append(append(v.cmd.Args, "serve", "--rtmp=127.0.0.1:0", "--http=127.0.0.1:0",
		"--data="+data, "--node=victim", "--log-format=json", "--log-level=info"), args...)
	v.cmd.Env = append(slices.DeleteFunc(v.cmd.Environ(), func(s string) bool { return strings.HasPrefix(s, "FOYER_") }), keepAll...)
	out, err := v.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	began := time.Now()
	go func() { // ends with the process; kill waits for it
		defer close(v.ended)
		v.read(bufio.NewScanner(out), began)
		v.cmd.Wait()
	}()
	return v, nil
}

// read reads the log of the server to its end.
func (v *victim) read(log *bufio.Scanner, began time.Time) {
	log.Buffer(nil, 1<<20)
	started := false
	for log.Scan() {
		var record struct{ Msg, Proto, Addr string }
		json.Unmarshal(bytes.TrimSpace(log.Bytes()), &record) // what is no record says nothing
		switch {
		case record.Msg == "listening" && record.Proto == "rtmp":
			v.rtmp = "rtmp://" + record.Addr
		case record.Msg == "listening" && record.Proto == "http":
			v.http = "http://" + record.Addr
		case record.Msg == "node started" && !started:
			started, v.took = true, time.Since(began)
			v.ready <- nil
		}
		v.log = append(v.log, log.Text())
		v.log = v.log[max(0, len(v.log)-keptOutput):]
	}
	if !started {
		v.ready <- errors.New("it ended before it was ready")
	}
}

// await waits until the server is ready.
func (v *victim) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	var err error
	select {
	case err = <-v.ready:
	case <-ctx.Done():
		err = fmt.Errorf("it was not ready: %w", context.Cause(ctx))
	}
	if err != nil {
		v.kill()
		return fmt.Errorf("starting the server: %w; its log ends with\n%s", err, strings.Join(v.log, "\n"))
	}
	return nil
}

// kill ends the server as a power failure of the process would: it gets no
// chance to do anything about it.
func (v *victim) kill() {
	v.cmd.Process.Kill() // it may have ended by itself
	<-v.ended
}
