package node

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

// Descriptors that are kept for files that no stranger opens: those of the store
// and of recordings. Of 1,024 it is an eighth.
const (
	minSpare     = 128
	maxSpare     = 1024
	spareShare   = 8
	reserveShare = 16 // of the connections, for --exempt
	maxReserve   = 1024
)

// connections is how many there may be with that many descriptors; 0 is no limit.
// enough is false when the settings ask for more.
func (l *LimitSettings) connections(descriptors uint64) (n int, enough bool) {
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

// dial opens a connection of an instance, or to another node. It counts as one
// of the process.
func (n *Node) dial(ctx context.Context, network, addr string) (net.Conn, error) {
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
func (n *Node) opens(ctx context.Context, instance string, r *server.Request) bool {
	who := n.openRooms.Load()
	if *who == "everybody" || n.exists(ctx, instance) {
		return true
	}
	credential, _ := amf.AsString(r.Args.At(1))
	if *who != "pass" || credential == "" {
		return false
	}
	addr := r.Addr.Addr()
	right := guard.Same(credential, string(n.secrets.Admin))
	wait := n.guard.Shown(addr, right, "for", "room")
	if !right {
		n.log.Warn("room not opened", "instance", instance, slog.Any("remote", addr), "err", "wrong credential")
	}
	select {
	case <-time.After(wait):
		return right
	case <-ctx.Done():
		return false
	}
}

// exists reports whether something is kept of a room. When this cannot be found
// out it says yes: the room will say that it cannot be opened.
func (n *Node) exists(ctx context.Context, instance string) bool {
	name, ok := strings.CutPrefix(instance, "room/")
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, existTimeout)
	defer cancel()
	yes, err := n.store.Exists(ctx, name)
	return yes || err != nil
}
