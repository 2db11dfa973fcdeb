package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"foyer/server"
	"foyer/server/guard"
	"foyer/server/rtmp"
)

// problem answers with a problem document (RFC 9457). Its type about:blank means that
// the title is that of the status, and that there is no more to know about the type.
func problem(w http.ResponseWriter, status int, detail string) {
	body, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{"about:blank", http.StatusText(status), status, detail})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	problem(w, http.StatusNotFound, "There is nothing at this address.")
}

// failed answers a request that this server could not serve because of an error of
// its own, and logs the error.
func (h *Handler) failed(w http.ResponseWriter, msg string, err error, attrs ...any) {
	h.log.Error(msg, append(attrs, "err", err)...)
	problem(w, http.StatusInternalServerError, "The server could not do this because of an error of its own. The reason is in its log.")
}

// callProblem answers for a failed call to an instance, in the words of the application
// if there are any.
func (h *Handler) callProblem(w http.ResponseWriter, err error, absent string) {
	status, said := errors.AsType[*rtmp.StatusError](err)
	switch {
	case errors.Is(err, server.ErrNotRunning):
		problem(w, http.StatusNotFound, absent)
	case said:
		problem(w, http.StatusBadRequest, status.Description)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, "There was no answer in time. Try again in a moment.")
	default:
		h.failed(w, "call failed", err)
	}
}

// tooManyRequests answers a request that is over a limit.
func tooManyRequests(w http.ResponseWriter, no *guard.Refusal) {
	seconds := max(1, int64((no.RetryAfter+time.Second-1)/time.Second))
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	problem(w, http.StatusTooManyRequests, fmt.Sprintf("%s Try again in %d s.", no.Reason, seconds))
}
