package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"foyer/client"
	"foyer/internal/terminal"
	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// How long a lobby may take to let us in, and to answer.
const (
	dialTimeout = 15 * time.Second
	callTimeout = 20 * time.Second
)

// roomsCommand lists the rooms of a lobby.
type roomsCommand struct {
	URL string `arg:"" optional:"" default:"rtmp://localhost/lobby" help:"The lobby, or the server whose lobby it is. Default: ${default}."`

	Watch bool `help:"Stay, and print the list again whenever it changes."`
	JSON  bool `name:"json" help:"Print the list as a JSON object on one line."`
}

// Run prints the list, once or until ctx ends or the lobby goes away.
func (cmd *roomsCommand) Run(ctx context.Context, p *program) error {
	uri, err := lobbyAddress(cmd.URL)
	if err != nil {
		return err
	}
	dialling, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := client.Dial(dialling, uri, client.Options{})
	if err != nil {
		return fmt.Errorf("asking the lobby: %w", advice(err))
	}
	defer nc.Close()
	if !cmd.Watch {
		calling, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		v, err := nc.Call(calling, lobby.MethodRooms, amf.Object{{Name: "limit", Value: amf.Number(shortList)}})
		if err != nil {
			return fmt.Errorf("asking the lobby: %w", advice(err))
		}
		if list, _ := v.(amf.StrictArray); len(list) < shortList {
			return cmd.print(p.stdout, cmd.parseEntries(slices.Values(list)))
		}
	}
	return cmd.follow(ctx, p, nc)
}

// shortList is how many rooms are asked for by the method rooms, which answers
// in one message. The list of a larger lobby is taken from its shared object,
// which comes in parts, and is half a second behind at most.
const shortList = 100

// follow prints what the lobby's shared object says, with Watch again whenever
// it changes.
func (cmd *roomsCommand) follow(ctx context.Context, p *program, nc *client.NetConnection) error {
	changed := make(chan struct{}, 1) // one is enough: the list is printed as it is then
	rooms, err := nc.SharedObject(lobby.ObjectRooms, false, func([]sharedobject.Sync) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("asking the lobby: %w", err)
	}
	clear := ""
	if cmd.Watch && isTerminal(p.stdout) && !cmd.JSON {
		clear = "\x1b[H\x1b[2J"
	}
	late := time.After(callTimeout)
	for {
		select {
		case <-changed:
		case <-nc.Done():
			return fmt.Errorf("the lobby has gone: %w", nc.Err())
		case <-late:
			if !rooms.Complete() {
				return errors.New("asking the lobby: no answer (is this the address of a lobby?)")
			}
			continue
		case <-ctx.Done():
			return nil
		}
		if !rooms.Complete() {
			continue
		}
		if _, err := io.WriteString(p.stdout, clear); err != nil {
			return err
		}
		if err := cmd.print(p.stdout, cmd.parseEntries(maps.Values(rooms.Slots()))); err != nil || !cmd.Watch {
			return err
		}
	}
}

// parseEntries reads the rooms, the liveliest first. Addresses that say localhost get
// the host of the lobby.
func (cmd *roomsCommand) parseEntries(list iter.Seq[amf.Value]) []lobby.Entry {
	entries, host := []lobby.Entry{}, ""
	if u, err := url.Parse(cmd.URL); err == nil {
		host = u.Host
	}
	for v := range list {
		if e, err := lobby.ParseEntry(v); err == nil {
			entries = append(entries, e.SeenFrom(host))
		}
	}
	slices.SortFunc(entries, func(a, b lobby.Entry) int {
		return cmp.Or(-cmp.Compare(a.Activity, b.Activity), cmp.Compare(a.Name, b.Name))
	})
	return entries
}

// print prints the list as a table or as JSON.
func (cmd *roomsCommand) print(w io.Writer, entries []lobby.Entry) error {
	if cmd.JSON {
		return json.NewEncoder(w).Encode(roomList{At: time.Now().UnixMilli(), Rooms: entries})
	}
	if len(entries) == 0 {
		_, err := fmt.Fprintln(w, "no rooms yet: one starts when somebody joins it")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ROOM\tPEOPLE\tACTIVITY\tSTATE\tTITLE\tADDRESS")
	for _, e := range entries {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", e.Name, e.Users, bar(e.Activity), state(e), cmp.Or(terminal.Plain(e.Title), "-"), terminal.Plain(e.RTMP))
	}
	return t.Flush()
}

// state is how a room is, in a word.
func state(e lobby.Entry) string {
	if e.Restarting && e.State == lobby.StateLive {
		return "restarting"
	}
	return e.State
}

// bar shows a number from 0 to 1.
func bar(x float64) string {
	const width = 8
	n := int(min(1, max(0, x))*width + 0.5)
	return strings.Repeat("#", n) + strings.Repeat(".", width-n)
}

// roomList has the same shape as the answer of /api/v1/rooms.
type roomList struct {
	At    int64         `json:"at"`
	Rooms []lobby.Entry `json:"rooms"`
}
