package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"foyer/client"
	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
)

// TestLongList has more rooms than one answer may carry.
func TestLongList(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &server.Host{}
	h.Handle("lobby", func() server.Application { return lobby.New(lobby.Config{Secret: "open", StaleAfter: time.Hour}) })
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- h.Serve(ctx, ln) }()
	url := "rtmp://" + ln.Addr().String() + "/lobby"
	const rooms = 700
	for i := range rooms {
		nc, err := client.Dial(ctx, url, client.Options{}, amf.String(fmt.Sprint("room", i)), amf.String("open"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		topic := amf.Object{{Name: "topic", Value: amf.String(strings.Repeat("long ", 50))}}
		if _, err := nc.Call(ctx, lobby.MethodReport, topic); err != nil {
			t.Fatal(err)
		}
	}
	for began := time.Now(); ; { // the shared object follows within half a second
		var out, errors bytes.Buffer
		if code := Main(ctx, []string{"rooms", url, "--json"}, nil, strings.NewReader(""), &out, &errors); code != 0 {
			t.Fatalf("exit status %d: %s", code, errors.String())
		}
		var list roomList
		if err := json.Unmarshal(out.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Rooms) == rooms {
			break
		}
		if time.Since(began) > patience {
			t.Fatalf("%d rooms, want %d", len(list.Rooms), rooms)
		}
	}
	stop()
	<-served
	h.Stop(t.Context())
}

// TestAddressesSeenFrom: a list that was asked for from elsewhere leads there.
func TestAddressesSeenFrom(t *testing.T) {
	entry := lobby.Entry{Name: "blue", State: lobby.StateLive, Status: lobby.Status{RTMP: "rtmp://localhost:1936/room/blue"}}
	for url, want := range map[string]string{
		"rtmp://live.example.org/lobby": "rtmp://live.example.org:1936/room/blue",
		"rtmp://localhost/lobby":        "rtmp://localhost:1936/room/blue",
	} {
		cmd := &roomsCommand{URL: url}
		if got := cmd.parseEntries(slices.Values([]amf.Value{entry.Value()}))[0].RTMP; got != want {
			t.Errorf("by %s: got %s, want %s", url, got, want)
		}
	}
}

// TestStates of rooms, as the table has them.
func TestStates(t *testing.T) {
	var out strings.Builder
	restarts := lobby.Status{Restarting: true}
	err := new(roomsCommand).print(&out, []lobby.Entry{
		{Name: "a", State: lobby.StateLive}, {Name: "b", State: lobby.StateLive, Status: restarts}, {Name: "c", State: lobby.StateStale, Status: restarts},
	})
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Fields(line)[3])
	}
	if want := "STATE live restarting stale"; strings.Join(got, " ") != want || err != nil {
		t.Errorf("got %s, want %s; %v", got, want, err)
	}
}
