package site

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foyer/lobby"
)

// composePatience is how long a change among containers may take.
const composePatience = 3 * time.Minute

// composeOverride makes a dead room go away sooner, though not before compose,
// which takes its time, has said that it is dead.
const composeOverride = "services: {lobby: {environment: {FOYER_GONE_AFTER: 15s}}}\n"

// TestCompose brings up docker-compose.yml as a newcomer does: a lobby on one
// server, rooms on two others, people in them. Servers are killed, stopped and
// started; the lobby's page tells, and the chat continues. It runs when
// FOYER_TEST_DOCKER=1, which .ci/run says wherever images can be had.
func TestCompose(t *testing.T) {
	c := newCompose(t, root+"docker-compose.yml", composeOverride, "8080", "8081", "8082", "1935", "1936", "1937")
	c.run("up", "-d", "--build")
	if user := c.docker("image", "inspect", "-f", "{{.Config.User}}", "foyer"); user == "" || user == "0" || user == "root" {
		t.Errorf("the image runs as %q", user)
	}
	one, two := []string{"blue", "jazz", "workshop"}, []string{"garden", "night-train", "kitchen"}
	c.until("six rooms with people in them", func() bool {
		return c.all(one, "live", "rooms1", 3) && c.all(two, "live", "rooms2", 3)
	})
	c.until("pictures in rooms of both servers", func() bool {
		rooms := c.rooms()
		return rooms["blue"].Publishers == 1 && rooms["jazz"].Publishers == 1 && rooms["night-train"].Publishers == 1
	})
	if key1, key2 := c.exec("rooms1", "/foyer", "key", "jazz"), c.exec("rooms2", "/foyer", "key", "jazz"); lastLine(key1) != lastLine(key2) || !strings.Contains(key1, "key live?key=") {
		t.Errorf("the servers disagree about a key: %q, %q", key1, key2)
	}
	c.until("every server is healthy", func() bool {
		return strings.Count(c.docker("ps", "--filter", "label=com.docker.compose.project=foyer-test", "--format", "{{.Status}}"), "(healthy)") == 3
	})

	c.closed()

	c.run("kill", "rooms1")
	c.until("the rooms of a server that died are stale", func() bool { return c.all(one, "stale", "rooms1", 0) })
	c.until("then they go away", func() bool { return c.none(one) && c.all(two, "live", "rooms2", 1) })
	c.run("start", "rooms1")
	c.until("they come back, and so do the people and the pictures", func() bool {
		return c.all(one, "live", "rooms1", 3) && c.rooms()["jazz"].Publishers == 1
	})
	c.run("stop", "rooms1")
	c.until("the rooms of a server that stopped go away", func() bool { return c.none(one) })
	c.run("start", "rooms1")
	c.until("they come back", func() bool { return c.all(one, "live", "rooms1", 3) })

	c.run("stop", "lobby")
	said := c.lastMessage()
	c.until("the chat continues without the lobby", func() bool { return c.lastMessage() >= said+3 })
	c.run("start", "lobby")
	c.until("the lobby finds all six rooms", func() bool {
		return c.all(one, "live", "rooms1", 3) && c.all(two, "live", "rooms2", 3)
	})
}

// A compose is the containers under test.
type compose struct {
	t       *testing.T
	command []string
}

// newCompose finds out how compose is called here. The containers end with the test.
func newCompose(t *testing.T, file, override string, ports ...string) *compose {
	if testing.Short() || os.Getenv("FOYER_TEST_DOCKER") != "1" {
		t.Skip("set FOYER_TEST_DOCKER=1 to build and run the containers")
	}
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		t.Fatalf("there is no Docker engine here: %v: %s", err, out)
	}
	for _, port := range ports {
		ln, err := net.Listen("tcp", ":"+port)
		if err != nil {
			t.Fatalf("port %s is taken: %v", port, err)
		}
		ln.Close()
	}
	over := filepath.Join(t.TempDir(), "override.yml")
	writeFile(t, over, override)
	c := &compose{t: t, command: []string{"docker-compose"}}
	if exec.Command("docker", "compose", "version").Run() == nil {
		c.command = []string{"docker", "compose"}
	} else if _, err := exec.LookPath("docker-compose"); err != nil {
		t.Fatalf("there is no docker compose here: %v", err)
	}
	c.command = append(c.command, "-p", "foyer-test", "-f", file, "-f", over)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", c.output("logs", "--no-color", "--tail=30"))
		}
		c.output("down", "-v", "--remove-orphans")
	})
	return c
}

// output runs compose; what it printed counts, not whether it went well.
func (c *compose) output(args ...string) string {
	out, _ := exec.Command(c.command[0], append(c.command[1:], args...)...).CombinedOutput()
	return string(out)
}

// run runs compose, which must succeed.
func (c *compose) run(args ...string) {
	c.t.Helper()
	began := time.Now()
	cmd := exec.CommandContext(c.t.Context(), c.command[0], append(c.command[1:], args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	c.t.Logf("compose %s: %v", strings.Join(args, " "), time.Since(began).Round(100*time.Millisecond))
}

// exec runs a program in a container and returns what it printed.
func (c *compose) exec(args ...string) string {
	return strings.TrimSpace(c.output(append([]string{"exec", "-T"}, args...)...))
}

// closed checks that no container can write into its image, or has more rights
// than it needs.
func (c *compose) closed() {
	c.t.Helper()
	ids := strings.Fields(c.docker("ps", "-q", "--filter", "label=com.docker.compose.project=foyer-test"))
	for _, id := range ids {
		got := c.docker("inspect", "-f", "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}}", id)
		if got != "true [ALL] [no-new-privileges:true] false" {
			c.t.Errorf("a container runs with %s", got)
		}
	}
	if len(ids) < 3 {
		c.t.Errorf("only %d containers run", len(ids))
	}
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// docker runs docker and returns what it printed.
func (c *compose) docker(args ...string) string {
	c.t.Helper()
	out, err := exec.CommandContext(c.t.Context(), "docker", args...).Output()
	if err != nil {
		c.t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return string(bytes.TrimSpace(out))
}

// until waits for something to become true.
func (c *compose) until(what string, cond func() bool) {
	c.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(c.t.Context(), composePatience)
	defer cancel()
	for tick := time.NewTicker(200 * time.Millisecond); !cond(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("never happened: %s; the lobby lists %v", what, c.rooms())
		}
	}
	c.t.Logf("%s: after %v", what, time.Since(began).Round(100*time.Millisecond))
}

// rooms is the lobby's list by name; none when it does not answer.
func (c *compose) rooms() map[string]lobby.Entry {
	var list struct{ Rooms []lobby.Entry }
	c.fetch("http://localhost:8080/api/v1/rooms", &list)
	rooms := make(map[string]lobby.Entry)
	for _, e := range list.Rooms {
		rooms[e.Name] = e
	}
	return rooms
}

// all reports whether all of these are listed so, each with that many people or more.
func (c *compose) all(names []string, state, node string, people int) bool {
	rooms := c.rooms()
	for _, name := range names {
		if e := rooms[name]; e.State != state || e.Node != node || e.Users < people {
			return false
		}
	}
	return true
}

// none reports whether the lobby answers and none of these is listed.
func (c *compose) none(names []string) bool {
	rooms := c.rooms()
	for _, name := range names {
		if _, listed := rooms[name]; listed {
			return false
		}
	}
	return len(rooms) > 0
}

// lastMessage is the id of the newest message in a room of the second server.
func (c *compose) lastMessage() float64 {
	var history struct{ Messages []struct{ ID float64 } }
	c.fetch("http://localhost:8082/api/v1/rooms/garden/messages?limit=1", &history)
	if len(history.Messages) == 0 {
		return 0
	}
	return history.Messages[0].ID
}

// fetch reads JSON from an address, if something answers there.
func (c *compose) fetch(url string, v any) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		c.t.Error(fmt.Errorf("reading %s: %w", url, err))
	}
}
