package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"foyer/lobby"
	"foyer/netconnection"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// roomsCommand lists the rooms of a lobby.
type roomsCommand struct {
	URL string `arg:"" optional:"" default:"rtmp://localhost/lobby" help:"The lobby. Default: ${default}."`

	Watch bool `help:"Stay, and print the list again whenever it changes."`
	JSON  bool `name:"json" help:"Print the list as a JSON object on one line."`
}

// Run prints the list, once or until ctx ends or the lobby goes away.
func (cmd *roomsCommand) Run(ctx context.Context, p *program) error {
	dialling, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := netconnection.Dial(dialling, cmd.URL, netconnection.Options{})
	if err != nil {
		return fmt.Errorf("asking the lobby: %w", err)
	}
	defer nc.Close()
	if cmd.Watch {
		return cmd.watch(ctx, p, nc)
	}
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	v, err := nc.Call(calling, lobby.MethodRooms)
	if err != nil {
		return fmt.Errorf("asking the lobby: %w", err)
	}
	list, _ := v.(amf.StrictArray)
	return cmd.print(p.stdout, parseEntries(list))
}

// watch prints the list whenever the lobby's shared object changes.
func (cmd *roomsCommand) watch(ctx context.Context, p *program, nc *netconnection.NetConnection) error {
	changed := make(chan struct{}, 1) // one is enough: the list is printed as it is then
	rooms, err := nc.SharedObject(lobby.ObjectRooms, false, func([]sharedobject.Sync) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("following the list: %w", err)
	}
	clear := ""
	if isTerminal(p.stdout) && !cmd.JSON {
		clear = "\x1b[H\x1b[2J"
	}
	for {
		select {
		case <-changed:
		case <-nc.Done():
			return fmt.Errorf("the lobby has gone: %w", nc.Err())
		case <-ctx.Done():
			return nil
		}
		var list []amf.Value
		for _, v := range rooms.Slots() {
			list = append(list, v)
		}
		if _, err := io.WriteString(p.stdout, clear); err != nil {
			return err
		}
		if err := cmd.print(p.stdout, parseEntries(list)); err != nil {
			return err
		}
	}
}

// parseEntries reads the rooms, the liveliest first.
func parseEntries(list []amf.Value) []lobby.Entry {
	var entries []lobby.Entry
	for _, v := range list {
		if e, err := lobby.ParseEntry(v); err == nil {
			entries = append(entries, e)
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
		list := roomList{At: float64(time.Now().UnixMilli()), Rooms: make([]roomEntry, len(entries))}
		for i, e := range entries {
			list.Rooms[i] = newRoomEntry(e)
		}
		return json.NewEncoder(w).Encode(list)
	}
	if len(entries) == 0 {
		_, err := fmt.Fprintln(w, "no rooms yet: one starts when somebody joins it")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ROOM\tPEOPLE\tACTIVITY\tSTATE\tTITLE\tADDRESS")
	for _, e := range entries {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", e.Name, e.Users, bar(e.Activity), e.State, cmp.Or(plain(e.Title), "-"), plain(e.RTMP))
	}
	return t.Flush()
}

// bar shows a number from 0 to 1.
func bar(x float64) string {
	const width = 8
	n := int(min(1, max(0, x))*width + 0.5)
	return strings.Repeat("#", n) + strings.Repeat(".", width-n)
}

// roomList has the same shape as the answer of /api/v1/rooms.
type roomList struct {
	At    float64     `json:"at"`
	Rooms []roomEntry `json:"rooms"`
}

type roomEntry struct {
	Name              string   `json:"name"`
	State             string   `json:"state"`
	Since             float64  `json:"since"`
	Epoch             float64  `json:"epoch"`
	Seq               float64  `json:"seq"`
	Title             string   `json:"title"`
	Topic             string   `json:"topic"`
	Tags              []string `json:"tags"`
	Users             int      `json:"users"`
	Spectators        int      `json:"spectators"`
	Viewers           int      `json:"viewers"`
	Publishers        int      `json:"publishers"`
	MessagesPerMinute float64  `json:"messagesPerMinute"`
	Activity          float64  `json:"activity"`
	LastActive        float64  `json:"lastActive"`
	Live              bool     `json:"live"`
	Streams           []string `json:"streams"`
	Capacity          int      `json:"capacity"`
	Locked            bool     `json:"locked"`
	Unlisted          bool     `json:"unlisted"`
	Node              string   `json:"node"`
	RTMP              string   `json:"rtmp"`
	HTTP              string   `json:"http"`
}

func newRoomEntry(e lobby.Entry) roomEntry {
	return roomEntry{
		Name: e.Name, State: e.State, Since: e.Since, Epoch: e.Epoch, Seq: e.Seq,
		Title: e.Title, Topic: e.Topic, Tags: append([]string{}, e.Tags...),
		Users: e.Users, Spectators: e.Spectators, Viewers: e.Viewers, Publishers: e.Publishers,
		MessagesPerMinute: e.MessagesPerMinute, Activity: e.Activity, LastActive: e.LastActive,
		Live: e.Live, Streams: append([]string{}, e.Streams...), Capacity: e.Capacity,
		Locked: e.Locked, Unlisted: e.Unlisted, Node: e.Node, RTMP: e.RTMP, HTTP: e.HTTP,
	}
}
