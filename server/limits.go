package server

import (
	"errors"
	"net/netip"

	"foyer/server/guard"
	"foyer/server/rtmp"
)

// refuse reports a refusal of the guard and puts it into words for the peer.
func (h *Host) refuse(addr netip.Addr, no *guard.Refusal, attrs ...any) error {
	h.guard().Refuse(addr, no, attrs...)
	status := Reject(no.Reason)
	status.Application = Because(no.Reason, no.RetryAfter)
	return &refused{status, no}
}

// refused is a refusal of the guard. An RTMP peer reads the status; the web
// side may want the rest.
type refused struct {
	*rtmp.StatusError
	no *guard.Refusal
}

func (r *refused) Unwrap() []error { return []error{r.StatusError, r.no} }

// limitOf are the limits that end a connection, by the error it ends with.
var limitOf = map[error]string{
	rtmp.ErrMessageSize: "message-size",
	rtmp.ErrSlow:        "outbox",
	rtmp.ErrStalled:     "progress",
	guard.ErrBudget:     "partial-memory",
}

// limited counts a connection that ended because it exceeded a limit.
func (h *Host) limited(addr netip.Addr, err error) {
	for cause, limit := range limitOf {
		if errors.Is(err, cause) {
			h.guard().Refuse(addr, &guard.Refusal{Limit: limit, Reason: err.Error()}, "err", err)
			return
		}
	}
}
