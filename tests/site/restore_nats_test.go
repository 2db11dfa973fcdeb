package site

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foyer/client"
	"foyer/server/amf"
)

// TestRestoreNATS: what one server kept in its folder goes into a NATS, from
// there into a backup again, and into another NATS: it is the same chat.
func TestRestoreNATS(t *testing.T) {
	t.Parallel()
	const token = "operator-token-6"
	file := filepath.Join(t.TempDir(), "site.tar")
	var want string
	for round, store := range []string{"", startNATS(t), startNATS(t)} {
		flags := []string{"--admin-token=" + token, "--node=a", "--rooms=blue"}
		if store != "" {
			if status, said := command("restore", file, "--nats="+store); status != exitFine || !strings.Contains(said, "as it was on node a at 20") {
				t.Fatalf("restoring: %d %s", status, said)
			}
			flags = append(flags, "--nats="+store, "--node-secret=among nodes")
		}
		r := startServer(t, flags...)
		if round == 0 {
			nc, err := client.Dial(t.Context(), "rtmp://"+r.addr["rtmp"]+"/room/blue", client.Options{}, amf.String("ann"), amf.String(token))
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range [][]amf.Value{{amf.String("say"), amf.String("one")}, {amf.String("say"), amf.String("two")},
				{amf.String("say"), amf.String("three")}, {amf.String("remove"), amf.Number(2)}, {amf.String("title"), amf.String("Blue")}} {
				if _, err := nc.Call(t.Context(), string(call[0].(amf.String)), call[1:]...); err != nil {
					t.Fatal(err)
				}
			}
			nc.Close()
			_, want = r.ask(t, "/api/v1/rooms/blue/messages")
			if !strings.Contains(want, `"id":3`) || strings.Contains(want, "two") {
				t.Fatalf("it is kept: %s", want)
			}
		}
		eventually(t, "the room runs", func() bool { status, _ := r.ask(t, "/api/v1/rooms/blue"); return status == http.StatusOK })
		if _, got := r.ask(t, "/api/v1/rooms/blue/messages"); got != want {
			t.Errorf("round %d: %s\nwant %s", round, got, want)
		}
		eventually(t, "it has its title", func() bool { e := r.listed(t, "blue"); return e != nil && e.Title == "Blue" })
		if status, said := command("backup", "--url="+r.addr["http"], "--admin-token="+token, file); status != exitFine {
			t.Fatalf("backing up: %s", said)
		}
		if store != "" {
			if status, said := command("restore", file, "--nats="+store); status != exitFailed || !strings.Contains(said, "not empty") {
				t.Errorf("over what is there: %d %s", status, said)
			}
		}
		if status := r.stop(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}

	// Nothing goes into a NATS before the file was read to its end.
	store := startNATS(t)
	whole, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, whole[:len(whole)/2], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if status, said := command("restore", file, "--nats="+store); status != exitFailed || !strings.Contains(said, "incomplete") {
		t.Errorf("half a backup: %d %s", status, said)
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, said := command("restore", file, "--nats="+store); status != exitFine {
		t.Errorf("after that the whole one: %s", said)
	}
}
