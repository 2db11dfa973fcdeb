package server

import (
	"errors"
	"net/netip"

	"foyer/server/backlog"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// limitOf are the limits whose crossing ends a connection, by their label.
var limitOf = map[error]string{
	rtmp.ErrMessageSize: "message-size",
	rtmp.ErrSlow:        "outbox",
	rtmp.ErrStalled:     "progress",
	guard.ErrBudget:     "partial-memory",
}

// limited counts a connection that ended because it went over a limit.
func (h *Host) limited(addr netip.Addr, err error) {
	for cause, limit := range limitOf {
		if errors.Is(err, cause) {
			h.guard().Refuse(addr, &guard.Refusal{Limit: limit, Reason: err.Error()}, "err", err)
			return
		}
	}
}

// wireConfig is Config with all that is left out, the same for all connections.
func (h *Host) wireConfig() *rtmp.Config {
	if cfg := h.wire.Load(); cfg != nil {
		return cfg
	}
	cfg := h.Config
	if cfg.Partial == nil {
		cfg.Partial = h.guard().Partial()
	}
	if cfg.Outboxes == nil {
		cfg.Outboxes = &h.outboxes
	}
	h.wire.CompareAndSwap(nil, cfg.WithDefaults())
	return h.wire.Load()
}

// Partial is what peers hold of messages that are not whole yet, whatever they
// come by.
func (h *Host) Partial() *guard.Budget { return h.wireConfig().Partial }

// Outboxes count what waits to be written to peers, whatever they come by.
func (h *Host) Outboxes() *backlog.Budget { return h.wireConfig().Outboxes }
