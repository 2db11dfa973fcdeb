package site

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// clusterOverride lets the test reach each node, and keeps every message, so
// that one that is missing is lost. The crowd of the test comes from one
// address, which therefore is exempt here as it is not elsewhere.
const clusterOverride = `
services:
  node1: {ports: ["127.0.0.1:8081:8080", "127.0.0.1:1936:1935"], environment: {FOYER_HISTORY: 10000000, FOYER_EXEMPT: "0.0.0.0/0"}}
  node2: {ports: ["127.0.0.1:8082:8080", "127.0.0.1:1937:1935"], environment: {FOYER_HISTORY: 10000000, FOYER_EXEMPT: "0.0.0.0/0"}}
  node3: {ports: ["127.0.0.1:8083:8080", "127.0.0.1:1938:1935"], environment: {FOYER_HISTORY: 10000000, FOYER_EXEMPT: "0.0.0.0/0"}}
`

// A clusterNode is a node, with where the override has it.
type clusterNode struct{ name, rtmp, http string }

var clusterNodes = []clusterNode{
	{"node1", "rtmp://127.0.0.1:1936", "http://127.0.0.1:8081"},
	{"node2", "rtmp://127.0.0.1:1937", "http://127.0.0.1:8082"},
	{"node3", "rtmp://127.0.0.1:1938", "http://127.0.0.1:8083"},
}

const clusterFront = "rtmp://127.0.0.1:1935"

// TestClusterCompose brings up docker-compose.cluster.yml. People talk, through
// the front and on the nodes, and watch. The nodes restart one after the other;
// then every node and every NATS server is killed once. All rooms are served
// again in time, and nothing that was acknowledged is lost. In the end two NATS
// servers are away, and people continue to watch.
func TestClusterCompose(t *testing.T) {
	t.Setenv("NODE_SECRET", "0123456789abcdef0123456789abcdef")
	c := newCompose(t, root+"docker-compose.cluster.yml", clusterOverride, "8080", "8081", "8082", "8083", "1935", "1936", "1937", "1938")
	c.images()
	c.run("up", "-d", "--build")
	for _, n := range clusterNodes {
		c.until(n.name+" is ready", func() bool { return ready(n.http) })
	}
	c.closed()
	for _, path := range []string{"/metrics", "//metrics", "/%6Detrics", "/METRICS", "/admin", "/debug/pprof/", "/api/v1/backup", "/api/v1//backup?x"} {
		if status := c.status("http://localhost:8080" + path); status != http.StatusNotFound {
			t.Errorf("the front answers %s with %d", path, status)
		}
	}
	people := &crowd{t: t, pause: 100 * time.Millisecond}
	for i, n := range clusterNodes { // the first to come decides where a room runs
		l := newLedger(fmt.Sprintf("room%d", i+1))
		people.ledgers = append(people.ledgers, l)
		if _, _, _, err := readHistory(t.Context(), n.rtmp+"/room/"+l.room, 0); err != nil {
			t.Fatal(err)
		}
		c.until("the front's lobby lists "+l.room+" of "+n.name, func() bool { return c.rooms()[l.room].Node == n.name })
	}
	a := startAudience(t, clusterFront, people.ledgers, c.key)
	c.watchElsewhere(a, people.ledgers)
	people.at(reachable("")...)
	talking, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // until stop; endTalk waits
		defer close(ended)
		people.talk(talking)
	}()
	endTalk := func() { stop(); <-ended }
	t.Cleanup(endTalk)
	people.heard("everybody talks", people.ledgers)
	a.watching("everybody watches")
	c.until("the front's lobby counts them", func() bool { return c.rooms()["room1"].Users >= 3 && c.rooms()["room3"].Publishers == 1 })
	a.forget()
	for _, n := range clusterNodes { // one after the other, as for a new version
		people.at(reachable(n.name)...)
		c.run("stop", n.name)
		c.run("start", n.name)
		c.until(n.name+" is ready again", func() bool { return ready(n.http) })
		people.heard("everybody talks", people.ledgers)
		a.watching("everybody watches")
	}
	a.check(dark)
	for _, n := range clusterNodes {
		people.at(reachable("")...)
		c.kill(n.name, people, a)
		c.until(n.name+" is back", func() bool { return ready(n.http) })
	}
	people.at(reachable("")...)
	for _, name := range []string{"nats1", "nats2", "nats3"} {
		c.kill(name, people, a)
		c.until(name+" is back", func() bool { return c.healthy(name) })
	}
	c.docker("kill", c.container("nats1"))
	c.docker("kill", c.container("nats2"))
	c.until("no node can store", func() bool {
		return !slices.ContainsFunc(clusterNodes, func(n clusterNode) bool { return ready(n.http) })
	})
	a.watching("everybody watches without NATS")
	c.until("the front has the lobby still", func() bool { return len(c.rooms()) == len(people.ledgers) })
	c.run("start", "nats1", "nats2")
	c.until("all nodes can store again", func() bool {
		return !slices.ContainsFunc(clusterNodes, func(n clusterNode) bool { return !ready(n.http) })
	})
	people.heard("everybody talks again", people.ledgers)
	endTalk()
	a.end()
	people.check(reachable("")...)
}

// kill kills a container while people talk and watch, and starts it again when
// all rooms are served.
func (c *compose) kill(name string, people *crowd, a *audience) {
	c.t.Helper()
	c.docker("kill", c.container(name))
	began := time.Now()
	people.at(reachable(name)...)
	people.heard("all rooms are served without "+name, people.ledgers)
	took := time.Since(began)
	c.t.Logf("without %s all rooms were served after %v", name, took.Round(time.Millisecond))
	if took > takeover {
		c.t.Errorf("that is longer than %v", takeover)
	}
	a.watching("everybody watches without " + name)
	c.run("start", name)
}

// reachable are the front and the nodes but one.
func reachable(without string) (rtmp []string) {
	rtmp = []string{clusterFront}
	for _, n := range clusterNodes {
		if n.name != without {
			rtmp = append(rtmp, n.rtmp)
		}
	}
	return rtmp
}

// watchElsewhere has somebody watch each room through a node that does not run it.
func (c *compose) watchElsewhere(a *audience, ledgers []*ledger) {
	c.t.Helper()
	var there []*viewer
	for i, l := range ledgers {
		there = append(there, &viewer{uri: clusterNodes[(i+1)%3].rtmp + "/room/" + l.room})
	}
	ctx, stop := context.WithCancel(c.t.Context())
	b := &audience{t: c.t, viewers: there, stop: stop}
	for _, v := range there {
		b.people.Go(func() { v.watch(ctx) })
	}
	defer b.end()
	b.watching("rooms are watched through nodes that do not run them")
	for i, l := range ledgers {
		if node := c.rooms()[l.room].Node; node != clusterNodes[i].name {
			c.t.Errorf("%s runs on %s", l.room, node)
		}
	}
}

// status is how a request is answered, whatever redirects say.
func (c *compose) status(url string) int {
	c.t.Helper()
	client := http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(url)
	if err != nil {
		c.t.Error(err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// container is the id of a service's container.
func (c *compose) container(service string) string {
	c.t.Helper()
	return c.docker("ps", "-aq", "--filter", "label=com.docker.compose.project=foyer-test", "--filter", "label=com.docker.compose.service="+service)
}

// healthy reports whether a service says so itself.
func (c *compose) healthy(service string) bool {
	return c.docker("inspect", "-f", "{{.State.Health.Status}}", c.container(service)) == "healthy"
}

// key is the publishing key of a room, as a node prints it.
func (c *compose) key(room string) string {
	_, key, ok := strings.Cut(c.exec("node1", "/foyer", "key", room), "live?key=")
	if !ok {
		c.t.Errorf("no key for %s", room)
	}
	return strings.Fields(key + " ")[0]
}

// ready reports whether a node says so.
func ready(base string) bool {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(base + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// images gets the images that the file names: from a registry, or, where there
// is none, what stands in for them.
func (c *compose) images() {
	c.t.Helper()
	missing := make(map[string]string)
	for _, m := range regexp.MustCompile(`image: ((nats|haproxy):\S+)`).FindAllStringSubmatch(c.output("config"), -1) {
		missing[m[2]] = m[1]
	}
	if len(missing) != 2 {
		c.t.Fatalf("the images are %v", missing)
	}
	names := []string{missing["nats"], missing["haproxy"]}
	if !slices.ContainsFunc(names, func(name string) bool { return !present(c.t.Context(), name) }) {
		return
	}
	if out, err := exec.CommandContext(c.t.Context(), "testdata/stand-ins.sh", names...).CombinedOutput(); err != nil {
		c.t.Skipf("%v cannot be pulled here, and nothing can stand in for them: %v\n%s", names, err, out)
	}
}

// present reports whether there is an image, here or in a registry.
func present(ctx context.Context, name string) bool {
	if exec.CommandContext(ctx, "docker", "image", "inspect", name).Run() == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "pull", "-q", name).Run() == nil
}
