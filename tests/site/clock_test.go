package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"foyer/client"
	"foyer/room"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// clockAhead says by how many seconds the clock of a process is ahead.
const clockAhead = "CLOCK_AHEAD"

// skewedTime goes beside time.go, and skewedNow is in it instead of rightNow.
const (
	rightNow   = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n"
	skewedNow  = "\tsec, nsec, mono := runtimeNow()\n\tsec += ahead\n\tif mono == 0 {\n"
	skewedTime = `package time

import "syscall"

var ahead = func() (sec int64) {
	s, _ := syscall.Getenv("` + clockAhead + `")
	minus := len(s) > 0 && s[0] == '-'
	for _, c := range s {
		if '0' <= c && c <= '9' {
			sec = 10*sec + int64(c-'0')
		}
	}
	if minus {
		sec = -sec
	}
	return sec
}()
`
)

// buildSkewed builds this program with another package time: its wall clock is
// off, its monotonic clock is right, as with a machine whose clock was set wrong.
func buildSkewed(t *testing.T) (program string) {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir, folder := t.TempDir(), filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(folder, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), rightNow) != 1 {
		t.Fatalf("this version of Go makes the time otherwise: %s/time.go has not once\n%s", folder, rightNow)
	}
	replaced := make(map[string]string)
	for name, text := range map[string]string{"time.go": strings.Replace(string(source), rightNow, skewedNow, 1), "ahead.go": skewedTime} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[filepath.Join(folder, name)] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	program = filepath.Join(dir, "foyer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", file, "-o", program, "foyer").CombinedOutput(); err != nil {
		t.Fatalf("building with another clock: %v\n%s", err, out)
	}
	t.Logf("built after %v", time.Since(began).Round(time.Second))
	return program
}

// startSkewed starts the program and checks that its clock is off.
func startSkewed(t *testing.T, program, data string, ahead time.Duration, args ...string) *victim {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), clockAhead+"="+strconv.Itoa(int(ahead.Seconds())))
	v, err := runVictim(cmd, data, append([]string{"--lobby-secret=s", "--admin-token=a", "--stream-secret=k", "--node-secret=n"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if v.kill(); t.Failed() {
			t.Logf("the log of the server that is %v ahead ends with\n%s", ahead, strings.Join(v.log, "\n"))
		}
	})
	if err := v.await(t.Context()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(v.http + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	says, err := http.ParseTime(resp.Header.Get("Date"))
	if off := time.Until(says) - ahead; err != nil || off.Abs() > time.Minute {
		t.Fatalf("the clock is not %v ahead: it says %v, %v", ahead, says, err)
	}
	return v
}

// TestClockOff: nodes whose clocks are off by an hour, beside one that is right,
// and a server whose clock is set right between two starts.
func TestClockOff(t *testing.T) {
	if testing.Short() || os.Getenv("CI") != "true" && os.Getenv("FOYER_TEST_CLUSTER") != "1" {
		t.Skip("set FOYER_TEST_CLUSTER=1 to start servers with wrong clocks: it takes some 40 s, and a minute to build them")
	}
	program := buildSkewed(t)
	t.Run("three nodes", func(t *testing.T) { testNodesOff(t, program) })
	t.Run("one server", func(t *testing.T) { testSetBack(t, program) })
}

// testNodesOff has people talk in rooms of three nodes, through all of them, and
// kills the nodes with wrong clocks, one after the other.
func testNodesOff(t *testing.T, program string) {
	url := startNATS(t)
	clocks := []time.Duration{0, time.Hour, -time.Hour}
	nodes := make([]*victim, len(clocks))
	start := func(i int) {
		nodes[i] = startSkewed(t, program, t.TempDir(), clocks[i], "--nats="+url, fmt.Sprintf("--node=node%d", i+1), "--idle=3s")
	}
	c := &crowd{t: t, pause: 20 * time.Millisecond}
	for i := range nodes {
		start(i)
	}
	for i := range 2 * len(nodes) {
		l := newLedger(fmt.Sprintf("room%d", i+1))
		c.ledgers = append(c.ledgers, l)
		if _, _, _, err := readHistory(t.Context(), nodes[i/2].rtmp+"/room/"+l.room, 0); err != nil {
			t.Fatal(err)
		}
	}
	c.at(nodes[0].rtmp, nodes[1].rtmp, nodes[2].rtmp)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // until stop; the test waits for ended
		defer close(ended)
		c.talk(ctx)
	}()
	defer func() { stop(); <-ended }()
	c.heard("everybody talks", c.ledgers)
	listAll := func(want map[string]string, nodes ...*victim) {
		t.Helper()
		for _, n := range nodes {
			eventually(t, fmt.Sprintf("a node lists %v", want), func() bool {
				got := listedAt(t, n.http)
				for name, at := range want {
					if got[name] != at {
						return false
					}
				}
				return true
			})
		}
	}
	where := make(map[string]string)
	for i, l := range c.ledgers {
		where[l.room] = fmt.Sprintf("node%d live", i/2+1)
	}
	listAll(where, nodes...)
	recognised(t, nodes[1].rtmp+"/room/quick", nodes[2].rtmp+"/room/quick")
	ends(t, nodes)
	time.Sleep(6 * time.Second) // longer than a lease since they were claimed
	listAll(where, nodes...)    // nobody has stolen any
	for _, n := range nodes {
		saneAge(t, n)
	}

	for _, dies := range []int{1, 2} {
		left := []*victim{nodes[0], nodes[3-dies]}
		began := time.Now()
		nodes[dies].kill()
		c.at(left[0].rtmp, left[1].rtmp)
		c.heard("the rooms of the dead node are served again", c.ledgers)
		took := time.Since(began)
		t.Logf("the rooms of the node that was %v ahead were served again after %v", clocks[dies], took.Round(time.Millisecond))
		if took > takeover {
			t.Errorf("that is longer than %v", takeover)
		}
		eventually(t, "the others list its rooms as theirs", func() bool {
			a, b := listedAt(t, left[0].http), listedAt(t, left[1].http)
			for _, l := range c.ledgers {
				if a[l.room] != b[l.room] || !strings.HasSuffix(a[l.room], " live") || strings.HasPrefix(a[l.room], fmt.Sprintf("node%d ", dies+1)) {
					return false
				}
			}
			return true
		})
		t.Logf("and listed after %v", time.Since(began).Round(time.Millisecond))
		start(dies)
		c.at(nodes[0].rtmp, nodes[1].rtmp, nodes[2].rtmp)
		c.heard("everybody talks", c.ledgers)
	}
	stop()
	<-ended
	c.check(nodes[0].rtmp, nodes[1].rtmp, nodes[2].rtmp)
}

// testSetBack starts a server three times: first its clock is an hour ahead, then
// right, and in the end an hour behind.
func testSetBack(t *testing.T, program string) {
	data := t.TempDir()
	c := &crowd{t: t, ledgers: []*ledger{newLedger("blue"), newLedger("red")}}
	for i, ahead := range []time.Duration{time.Hour, 0, -time.Hour} {
		v := startSkewed(t, program, data, ahead)
		if i > 0 {
			c.check(v.rtmp)
		}
		c.at(v.rtmp)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { // until stop; waited for below
			defer close(ended)
			c.talk(ctx)
		}()
		c.heard("everybody talks", c.ledgers)
		if stop(); i == 0 {
			v.cmd.Process.Signal(syscall.SIGTERM)
			<-v.ended
		}
		<-ended
		if i == 2 {
			c.check(v.rtmp)
		}
		v.kill()
	}
}

// recognised checks that people whom a room knows again by a resume string have
// their place, through another node, and that people who are too fast are told
// when they may continue, by whatever clock.
func recognised(t *testing.T, first, then string) {
	t.Helper()
	come := func(uri string) *client.NetConnection {
		nc, err := client.Dial(t.Context(), uri, client.Options{}, amf.String("traveller"), amf.Null{}, amf.String(strings.Repeat("m", room.MinResume)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	come(first)
	nc := come(then) // and not: Nickname is already in use
	for n := range room.Burst + 1 {
		_, err := nc.Call(t.Context(), "say", amf.String("hello"))
		refused, no := errors.AsType[*rtmp.StatusError](err)
		if no != (n == room.Burst) || err != nil && !no {
			t.Fatalf("message %d: %v", n+1, err)
		}
		if no {
			if wait := number(refused.Application, "retryAfter"); wait <= 0 || wait > 2000 {
				t.Errorf("people may continue in %v ms", wait)
			}
		}
	}
}

// ends checks that a room of a node with a wrong clock is gone everywhere when it
// has ended.
func ends(t *testing.T, nodes []*victim) {
	t.Helper()
	for i, n := range nodes {
		name := fmt.Sprintf("brief%d", i+1)
		nc, err := client.Dial(t.Context(), n.rtmp+"/room/"+name, client.Options{}, amf.String("ann"))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range nodes {
			eventually(t, name+" is listed", func() bool { return listedAt(t, other.http)[name] == fmt.Sprintf("node%d live", i+1) })
		}
		nc.Close()
		for _, other := range nodes {
			eventually(t, name+" is gone", func() bool { _, there := listedAt(t, other.http)[name]; return !there })
		}
	}
}

// saneAge checks that a node knows how old its view of the others is.
func saneAge(t *testing.T, n *victim) {
	t.Helper()
	_, rest, found := strings.Cut(get(t, n.http+"/metrics"), "\nfoyer_bus_age_seconds ")
	value, _, _ := strings.Cut(rest, "\n")
	age, err := strconv.ParseFloat(value, 64)
	if !found || err != nil || age < 0 || age > 30 {
		t.Errorf("its view of the others is %q s old", value)
	}
	if page := get(t, n.http+"/"); strings.Contains(page, "out of reach") {
		t.Error("its lobby says that the others are out of reach")
	}
}
