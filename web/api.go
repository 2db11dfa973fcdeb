package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// callTimeout is how long an instance may take to answer a request.
const callTimeout = 5 * time.Second

// roomInstances is the beginning of the path of every room's instance.
const roomInstances = "room/"

// apiRooms is /api/v1/rooms: the lobby's list, or the rooms in it that match the
// parameters text, tag, language, live, open, sort, limit and after.
func (h *Handler) apiRooms(w http.ResponseWriter, r *http.Request) {
	query, err := listQuery(r.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if h.isOperator(r) {
		query = append(query, amf.Field{Name: "unlisted", Value: amf.Bool(true)})
	}
	rooms, more, err := h.someRooms(r, query)
	if err != nil {
		h.callProblem(w, err, h.elsewhere(r))
		return
	}
	list, news := make(amf.StrictArray, len(rooms)), make(amf.StrictArray, len(rooms), len(rooms)+2)
	for i, e := range rooms {
		list[i], news[i] = e.Value(), newsOf(e)
	}
	answer := amf.Object{{Name: "at", Value: now()}}
	if view := h.view(r.Context()); view != nil {
		answer = append(answer, amf.Field{Name: "view", Value: view.Value()})
		news = append(news, amf.Bool(view.Fresh))
	}
	if more {
		answer = append(answer, amf.Field{Name: "more", Value: amf.Bool(true)})
		news = append(news, amf.String("more"))
	}
	writeCacheable(w, r, append(answer, amf.Field{Name: "rooms", Value: list}), news)
}

// newsOf is an entry as far as a client cares: a report that changes nothing still has a
// new number.
func newsOf(e lobby.Entry) amf.Value {
	e.Seq = 0
	return e.Value()
}

// listQuery returns the argument of the lobby's method rooms.
func listQuery(params url.Values) (amf.Object, error) {
	var query amf.Object
	for _, name := range []string{"text", "tag", "language", "sort", "after"} {
		if v := params.Get(name); v != "" {
			query = append(query, amf.Field{Name: name, Value: amf.String(v)})
		}
	}
	for _, name := range []string{"live", "open"} {
		v := params.Get(name)
		if v == "" {
			continue
		}
		yes, err := strconv.ParseBool(v)
		if err != nil {
			return nil, errors.New(name + " must be true or false")
		}
		query = append(query, amf.Field{Name: name, Value: amf.Bool(yes)})
	}
	limit, err := wholeParams(params, "limit")
	return append(query, limit...), err
}

// wholeParams returns the members of an argument that are whole numbers.
func wholeParams(params url.Values, names ...string) (amf.Object, error) {
	var found amf.Object
	for _, name := range names {
		v := params.Get(name)
		if v == "" {
			continue
		}
		n, err := strconv.ParseUint(v, 10, 53)
		if err != nil {
			return nil, fmt.Errorf("%s must be a whole number", name)
		}
		found = append(found, amf.Field{Name: name, Value: amf.Number(n)})
	}
	return found, nil
}

// apiRoom is /api/v1/rooms/NAME: the lobby's entry of a room.
func (h *Handler) apiRoom(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	entry, err := h.entry(r, name, h.isOperator(r))
	if err != nil {
		h.callProblem(w, err, h.elsewhere(r))
		return
	}
	if entry == nil {
		problem(w, http.StatusNotFound, "No room of this name is running.")
		return
	}
	writeCacheable(w, r, entry.Value(), newsOf(*entry))
}

// apiMessages is /api/v1/rooms/NAME/messages: the answer of the room's method history
// (after, before, limit, epoch). It does not start the room.
func (h *Handler) apiMessages(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	query, err := wholeParams(r.URL.Query(), "after", "before", "limit", "epoch")
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if !server.ValidName(name) {
		problem(w, http.StatusNotFound, notRunningHere)
		return
	}
	history, err := h.call(r.Context(), roomInstances+name, "history", query)
	if err != nil {
		h.roomProblem(w, r, err)
		return
	}
	writeCacheable(w, r, history, history)
}

// notRunningHere is the answer for a room that does not run on this server.
const notRunningHere = "No room of this name is running on this server."

// apiIngest is /api/v1/rooms/NAME/ingest: the answer of the room's method ingest
// (stream). It does not start the room.
func (h *Handler) apiIngest(w http.ResponseWriter, r *http.Request) {
	var args []amf.Value
	if stream := r.URL.Query().Get("stream"); stream != "" {
		args = append(args, amf.String(stream))
	}
	h.askRoom(w, r, "ingest", args...)
}

// askRoom answers with the value of a room's method, or with 204 when there is none. A
// room refuses these methods only for a stream that does not exist.
func (h *Handler) askRoom(w http.ResponseWriter, r *http.Request, method string, args ...amf.Value) {
	name := r.PathValue("name")
	if !server.ValidName(name) {
		problem(w, http.StatusNotFound, notRunningHere)
		return
	}
	answer, err := h.call(r.Context(), roomInstances+name, method, args...)
	if refusal, ok := errors.AsType[*rtmp.StatusError](err); ok && refusal.Code == rtmp.CodeCallFailed {
		problem(w, http.StatusNotFound, refusal.Description)
		return
	}
	if err != nil {
		h.roomProblem(w, r, err)
		return
	}
	if _, nothing := answer.(amf.Null); nothing {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeJSON(w, answer)
}

// roomProblem answers for a failed call to the room that a request names.
func (h *Handler) roomProblem(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, server.ErrNotRunning) || !h.isElsewhereAnswered(w, r, r.PathValue("name")) {
		h.callProblem(w, err, notRunningHere)
	}
}

func (h *Handler) call(ctx context.Context, instance, method string, args ...amf.Value) (amf.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return h.cfg.Host.Call(ctx, instance, method, args...)
}

func now() amf.Number { return amf.Number(time.Now().UnixMilli()) }
