package cli

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// limitSettings are what an address, and all strangers together, may have.
type limitSettings struct {
	MaxConnections     int      `group:"limits" placeholder:"N" help:"All connections together. Default: as many as this process may open files, minus some for the store."`
	AddressConnections int      `group:"limits" default:"100" placeholder:"N" help:"Connections of one address (IPv4, or IPv6 /64) at a time. 0: no limit. Default: ${default}."`
	AddressRate        int      `group:"limits" default:"300" placeholder:"N" help:"New connections of one address: so many at once, and in each minute. 0: no limit. Default: ${default}."`
	AddressRooms       int      `group:"limits" default:"5" placeholder:"N" help:"Rooms that one address opened and that still run. 0: no limit. Default: ${default}."`
	Exempt             networks `group:"limits" default:"127.0.0.0/8,::1" placeholder:"CIDR" help:"Addresses that the limits for addresses leave alone. Empty: nobody. Default: ${default}."`
	OpenRooms          string   `group:"limits" default:"everybody" enum:"everybody,pass,nobody" placeholder:"WHO" help:"Who may open a room that does not exist yet: everybody, pass (whoever shows the admin token) or nobody. Rooms of --rooms, and those of which something is kept, exist. Default: ${default}."`
	MaxRooms           int      `group:"limits" default:"10000" placeholder:"N" help:"Rooms at a time. The lobby and --rooms always have a place. Default: ${default}."`
}

// Descriptors that are left to what no stranger opens: the files of the store
// and of recordings. Of 1,024 it is an eighth.
const (
	minSpare     = 128
	maxSpare     = 1024
	spareShare   = 8
	reserveShare = 16 // of the connections, for --exempt
	maxReserve   = 1024
)

// check refuses limits that let nobody in.
func (l *limitSettings) check() error {
	switch {
	case l.MaxConnections < 0 || l.AddressConnections < 0 || l.AddressRate < 0 || l.AddressRooms < 0:
		return usagef("--max-connections, --address-connections, --address-rate and --address-rooms must not be less than nothing")
	case l.MaxRooms < 1:
		return usagef("--max-rooms must be at least 1")
	}
	return nil
}

// connections is how many there may be with that many descriptors; 0 when there
// is no limit. enough is false when more were asked for than that.
func (l *limitSettings) connections(descriptors uint64) (n int, enough bool) {
	if descriptors == 0 {
		return l.MaxConnections, true
	}
	spare := max(minSpare, min(descriptors/spareShare, maxSpare))
	most := int(min(max(descriptors, spare+1)-spare, 1<<30))
	if l.MaxConnections == 0 {
		return most, true
	}
	return min(l.MaxConnections, most), l.MaxConnections <= most
}

// apply makes the limits hold on a node that may be running. What is over a
// lower one stays until it ends by itself.
func (l *limitSettings) apply(n *node) {
	limits := n.guard.Limits()
	connections, enough := l.connections(descriptors())
	if !enough {
		n.log.Warn("fewer connections than --max-connections: raise the limit of open files", "connections", connections)
	}
	limits.Connections, limits.Reserve = connections, min(connections/reserveShare, maxReserve)
	limits.AddressConnections, limits.AddressRate, limits.AddressRooms = l.AddressConnections, l.AddressRate, l.AddressRooms
	limits.Exempt = l.Exempt
	n.guard.Set(limits)
	n.host.SetMaxInstances(l.MaxRooms)
	n.openRooms.Store(&l.OpenRooms)
}

// dial opens a connection of an instance, or to another node. It counts as one
// of the process.
func (n *node) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return n.guard.Dialed(nc), nil
}

// existTimeout is how long it may take to find out whether a room exists.
const existTimeout = time.Second

// opens says whether a peer may start an instance that does not run: it is
// server.Host.Opens.
func (n *node) opens(ctx context.Context, instance string, r *server.Request) bool {
	who := n.openRooms.Load()
	if *who == "everybody" || n.exists(ctx, instance) {
		return true
	}
	credential, _ := amf.AsString(r.Args.At(1))
	if *who != "pass" || credential == "" {
		return false
	}
	addr := r.Addr.Addr()
	wait, right := n.guard.Wait(addr), guard.Same(credential, string(n.secrets.Admin))
	if !right {
		n.guard.Failed(addr)
		n.log.Warn("room not opened", "instance", instance, slog.Any("remote", addr), "err", "wrong credential")
	}
	select {
	case <-time.After(wait):
		return right
	case <-ctx.Done():
		return false
	}
}

// exists reports whether something is kept of a room. What cannot be found out
// is left to the room, which will say that it cannot be opened.
func (n *node) exists(ctx context.Context, instance string) bool {
	name, ok := strings.CutPrefix(instance, "room/")
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, existTimeout)
	defer cancel()
	yes, err := n.store.Exists(ctx, name)
	return yes || err != nil
}
