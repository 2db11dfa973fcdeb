package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The environment of the kill test: the folder of the child, and how many
// rounds the parent does.
const (
	killDir    = "FOYER_KILL_DIR"
	killRounds = "FOYER_KILL_ROUNDS"
)

const roomsToKill = 10

// either is the text of a message that was being removed.
const either = "?"

// TestKillChild is the process that TestKill kills: it stores messages in many
// rooms, and says which are acknowledged.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		t.Skip("runs in a process of its own, see TestKill")
	}
	c, err := Open(t.Context(), Config{Dir: dir, Node: "killed", Sync: Second, History: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range roomsToKill {
		r, err := c.OpenRoom(t.Context(), fmt.Sprint("room", i), func(m []byte) { fmt.Printf("found %s\n", m) })
		if err != nil {
			t.Fatal(err)
		}
		go func() { // until the process is killed
			for n := 0; ; n++ {
				text := fmt.Sprintf("%d-%d-%d", os.Getpid(), i, n)
				id, err := say(r, text)
				if err != nil {
					fmt.Printf("\nfailed %v\n", err)
					return
				}
				fmt.Printf("\nsaid %d %d %s\n", i, id, text)
				if n%20 == 19 {
					fmt.Printf("\nremoving %d %d\n", i, id)
					r.Remove(id, func(bool, error) { fmt.Printf("\nremoved %d %d\n", i, id) })
				}
			}
		}()
	}
	<-t.Context().Done()
}

// A process that is killed at any moment loses nothing that it acknowledged,
// stores nothing twice, and gives out no id again.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 4
	if n, err := strconv.Atoi(os.Getenv(killRounds)); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	var said [roomsToKill]map[uint64]string // acknowledged, and not removed
	for i := range said {
		said[i] = make(map[uint64]string)
	}
	for range rounds {
		runAndKill(t, dir, time.Duration(50+rand.IntN(250))*time.Millisecond, func(line string) {
			var room int
			var id uint64
			var text string
			if n, _ := fmt.Sscanf(line, "said %d %d %s", &room, &id, &text); n == 3 {
				if was, ok := said[room][id]; ok {
					t.Errorf("room %d: the id %d of %s was given again, to %s", room, id, was, text)
				}
				said[room][id] = text
			} else if n, _ := fmt.Sscanf(line, "removing %d %d", &room, &id); n == 2 {
				said[room][id] = either
			} else if n, _ := fmt.Sscanf(line, "removed %d %d", &room, &id); n == 2 {
				said[room][id] = ""
			} else if strings.HasPrefix(line, "failed") {
				t.Error(line)
			}
		})
		c, err := Open(t.Context(), Config{Dir: dir, Node: "killed", Sync: Second, History: 1_000_000})
		if err != nil {
			t.Fatal(err)
		}
		for i := range said {
			checkKilled(t, open(t, c, fmt.Sprint("room", i)), said[i])
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range said {
		t.Logf("room %d: %d messages", i, len(said[i]))
	}
}

// runAndKill runs the child, reads its output, and kills it some time after its
// first line.
func runAndKill(t *testing.T, dir string, after time.Duration, line func(string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*hang)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKillChild$")
	child.Env = append(os.Environ(), killDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	words := 0
	for scan := bufio.NewScanner(out); scan.Scan(); words++ {
		if words == 0 {
			defer time.AfterFunc(after, func() { child.Process.Kill() }).Stop()
		}
		line(scan.Text())
	}
	if err := child.Wait(); err == nil || words < 2 {
		t.Fatalf("the child ended by itself, after %d lines: %v", words, err)
	}
}

// checkKilled reads the whole chat of a room.
func checkKilled(t *testing.T, r *Room, said map[uint64]string) {
	t.Helper()
	there := make(map[uint64]string)
	for after, more := int64(0), true; more; {
		var messages [][]byte
		var complete bool
		var err error
		messages, complete, more, err = r.Page(t.Context(), after, -1, 500)
		if err != nil || !complete {
			t.Fatalf("page after %d: complete %v, %v", after, complete, err)
		}
		for _, m := range messages {
			var id int64
			var text string
			fmt.Sscan(string(m), &id, &text)
			if id <= after {
				t.Errorf("%s: %d comes after %d", r.name, id, after)
			}
			after = id
			there[uint64(id)] = text
		}
	}
	for id, text := range said {
		if there[id] != text && text != either {
			t.Errorf("%s: message %d is %q, want %q", r.name, id, there[id], text)
		}
	}
	if r.Last() < uint64(len(said)) {
		t.Errorf("%s: last id %d of %d", r.name, r.Last(), len(said))
	}
}
