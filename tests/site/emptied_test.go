package site

import (
	"fmt"
	"net"
	"testing"

	nats "github.com/nats-io/nats-server/v2/server"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/sharedobject"
	"foyer/store"
)

// TestNATSCameBackEmpty: the persistent objects of running rooms are stored again
// when NATS comes back empty, whichever node made the streams again, and are there
// after everything has started again.
func TestNATSCameBackEmpty(t *testing.T) {
	t.Parallel()
	host := ownHost()
	first := runNATS(t, host, nats.RANDOM_PORT)
	port := first.Addr().(*net.TCPAddr).Port
	defer stopNATS(first)
	flags := []string{"--nats=" + first.ClientURL(), "--lobby-secret=secretPassword6", "--node-secret=among nodes"}
	nodes := []*running{startServer(t, append(flags, "--node=a")...), startServer(t, append(flags, "--node=b")...)}
	rooms := []string{"blue", "red"}
	score := func(i int, nick string) (*client.NetConnection, *client.SharedObject) {
		nc, err := client.Dial(t.Context(), "rtmp://"+nodes[i].addr["rtmp"]+"/room/"+rooms[i], client.Options{}, amf.String(nick))
		if err != nil {
			t.Fatal(err)
		}
		so, err := nc.SharedObject("public/score", true, func([]sharedobject.Sync) {})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the object is there", so.Complete)
		return nc, so
	}
	for i := range nodes {
		nc, so := score(i, "ann")
		if err := so.Set("best", amf.Number(99)); err != nil {
			t.Fatal(err)
		}
		other, seen := score(i, "bob") // it hears of what is stored
		eventually(t, "it is stored", func() bool { v, _ := seen.Get("best"); return v == amf.Number(99) })
		other.Close()
		defer nc.Close()
	}
	stopNATS(first)
	eventually(t, "NATS is away", func() bool { status, _ := nodes[0].ask(t, "/readyz"); return status != 200 })
	look, err := store.Open(t.Context(), store.Config{URL: startNATSAt(t, host, port), Node: "look", Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	for _, name := range rooms {
		eventually(t, "it is stored again", func() bool {
			objects, _, err := look.LoadObjects(t.Context(), "room/"+name)
			return err == nil && len(objects["public/score"]) > 0
		})
	}
	for _, n := range nodes {
		if status := n.stop(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
	for i := range nodes {
		nodes[i] = startServer(t, append(flags, fmt.Sprintf("--node=%d", i))...)
		nc, so := score(i, "ann")
		if v, _ := so.Get("best"); v != amf.Number(99) {
			t.Errorf("%s has %v", rooms[i], so.Slots())
		}
		nc.Close()
	}
}
