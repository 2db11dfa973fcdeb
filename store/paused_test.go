//go:build unix

package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// pausedNode is the environment variable with NATS's address, for the process
// that is stopped.
const pausedNode = "FOYER_TEST_PAUSED_NODE"

// TestPausedProcess is such a process: a node with a room, until it has lost it.
func TestPausedProcess(t *testing.T) {
	url := os.Getenv(pausedNode)
	if url == "" {
		t.Skip("is run by TestProcessStopped")
	}
	c, err := Open(t.Context(), Config{URL: url, Node: "paused", RTMP: "rtmp://paused:1935", pace: &hurried})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, lost := claim(t, c, "room/blue")
	r, err := c.OpenRoom(t.Context(), "blue", nil)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("claimed")
	var line string
	fmt.Scanln(&line) // it is stopped while it waits
	_, err = say(r, "late")
	fmt.Println("owns", c.Owns("room/blue"), "could write", err == nil)
	<-lost
	fmt.Println("lost")
}

// A process that was stopped, and continues when another node has its room, can
// neither write nor believe that it owns the room.
func TestProcessStopped(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	b := e.node("b")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPausedProcess$")
	child.Env = append(os.Environ(), pausedNode+"=nats://"+e.addr)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	lines := bufio.NewScanner(out)
	expect := func(want string) {
		t.Helper()
		if lines.Scan(); lines.Text() != want {
			t.Fatalf("it said %q, want %q", lines.Text(), want)
		}
	}
	expect("claimed")
	if _, err := b.Claim(t.Context(), "room/blue", nil); !ownedBy(err, "paused") {
		t.Fatalf("got %v", err)
	}
	child.Process.Signal(syscall.SIGSTOP)
	defer child.Process.Signal(syscall.SIGCONT)
	eventually(t, "b gets it", func() bool {
		_, err := b.Claim(within(t, hang), "room/blue", nil)
		return err == nil
	})
	if _, err := b.OpenRoom(t.Context(), "blue", nil); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "say")
	child.Process.Signal(syscall.SIGCONT)
	expect("owns false could write false")
	expect("lost")
}
