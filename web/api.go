package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"

	"foyer/lobby"
)

const (
	// MaxBody is how much a request may bring.
	MaxBody = 16 << 10
	// callTimeout is how long an instance may take to answer a request.
	callTimeout = 5 * time.Second
)

// Where the applications are.
const (
	lobbyInstance = "lobby"
	roomInstances = "room/"
)

// apiRooms is /api/v1/rooms: the lobby's list, or the part of it that is
// wanted (text, tag, language, live, open, sort, limit, after).
func (h *Handler) apiRooms(w http.ResponseWriter, r *http.Request) {
	query, err := listQuery(r.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if h.isOperator(r) {
		query = append(query, amf.Field{Name: "unlisted", Value: amf.Bool(true)})
	}
	rooms, more, err := h.someRooms(r.Context(), query)
	if err != nil {
		h.callProblem(w, err, h.elsewhere())
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

// newsOf is what an entry tells: a room with nothing to tell only counts on.
func newsOf(e lobby.Entry) amf.Value {
	e.Seq = 0
	return e.Value()
}

// view is how old the lobby's view of other nodes is; nil when there are none.
func (h *Handler) view(ctx context.Context) *lobby.View {
	v, err := h.call(ctx, lobbyInstance, lobby.MethodView)
	if err != nil && !errors.Is(err, server.ErrNotRunning) {
		h.log.Warn("lobby did not answer", "err", err)
	}
	return lobby.ParseView(v)
}

// listQuery is the argument of the lobby's method rooms.
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
			return nil, errors.New(name + ": want true or false")
		}
		query = append(query, amf.Field{Name: name, Value: amf.Bool(yes)})
	}
	limit, err := wholeParams(params, "limit")
	return append(query, limit...), err
}

// wholeParams are the members of an argument that are whole numbers.
func wholeParams(params url.Values, names ...string) (amf.Object, error) {
	var found amf.Object
	for _, name := range names {
		v := params.Get(name)
		if v == "" {
			continue
		}
		n, err := strconv.ParseUint(v, 10, 53)
		if err != nil {
			return nil, fmt.Errorf("%s: want a whole number", name)
		}
		found = append(found, amf.Field{Name: name, Value: amf.Number(n)})
	}
	return found, nil
}

// apiRoom is /api/v1/rooms/NAME: its entry.
func (h *Handler) apiRoom(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	entry, err := h.entry(r.Context(), name, h.isOperator(r))
	if err != nil {
		h.callProblem(w, err, h.elsewhere())
		return
	}
	if entry == nil {
		problem(w, http.StatusNotFound, "No room of this name is running.")
		return
	}
	writeCacheable(w, r, entry.Value(), newsOf(*entry))
}

// apiMessages is /api/v1/rooms/NAME/messages: what the room's method history
// answers (after, before, limit, epoch). It starts no room.
func (h *Handler) apiMessages(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	query, err := wholeParams(r.URL.Query(), "after", "before", "limit", "epoch")
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if !lobby.ValidName(name) {
		problem(w, http.StatusNotFound, notRunningHere)
		return
	}
	history, err := h.call(r.Context(), roomInstances+name, "history", query)
	if err != nil {
		h.callProblem(w, err, notRunningHere)
		return
	}
	writeCacheable(w, r, history, history)
}

// notRunningHere is what is wrong with a room that cannot be asked.
const notRunningHere = "No room of this name is running on this server."

// mayOperate reports whether the request shows the admin token, and answers
// it if not.
func (h *Handler) mayOperate(w http.ResponseWriter, r *http.Request) bool {
	if h.isOperator(r) {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="foyer"`)
	problem(w, http.StatusUnauthorized, "This needs the admin token.")
	return false
}

// apiAnnounce is POST /api/v1/announce: {"text"} to all rooms.
func (h *Handler) apiAnnounce(w http.ResponseWriter, r *http.Request) {
	if !h.mayOperate(w, r) {
		return
	}
	var body struct {
		Text string `json:"text"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxBody)).Decode(&body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		problem(w, http.StatusRequestEntityTooLarge, "The body is too large.")
		return
	}
	if err != nil {
		problem(w, http.StatusBadRequest, `The body has to be {"text": "…"}.`)
		return
	}
	leave, err := h.visitLobby(r.Context())
	if err != nil {
		h.callProblem(w, err, h.elsewhere())
		return
	}
	defer leave()
	answer, err := h.call(r.Context(), lobbyInstance, lobby.MethodAnnounce, amf.String(body.Text))
	if err != nil {
		h.callProblem(w, err, h.elsewhere())
		return
	}
	writeJSON(w, answer)
}

// visitLobby starts the lobby, if need be, as any visitor does: one that nobody
// has been to for a while has stopped.
func (h *Handler) visitLobby(ctx context.Context) (leave func(), err error) {
	if !h.hasLobby() {
		return nil, server.ErrNotRunning
	}
	c, err := h.cfg.Host.Connect(ctx, silentPeer{}, server.Request{Path: lobbyInstance, Agent: "foyer api", Protocol: "local"})
	if err != nil {
		return nil, err
	}
	return func() { c.Leave(rtmp.ErrGoodbye) }, nil
}

// silentPeer is a visitor who listens to nothing.
type silentPeer struct{}

func (silentPeer) Push(*server.Push) error                                   { return nil }
func (silentPeer) Request(string, []amf.Value, func(amf.Value, error)) error { return rtmp.ErrClosed }
func (silentPeer) Close(error)                                               {}

// rooms asks the lobby for its list. A lobby that nobody has connected to yet
// has no rooms.
func (h *Handler) rooms(ctx context.Context, query amf.Object) ([]lobby.Entry, error) {
	v, err := h.call(ctx, lobbyInstance, lobby.MethodRooms, query)
	if errors.Is(err, server.ErrNotRunning) && h.hasLobby() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, _ := v.(amf.StrictArray)
	rooms := make([]lobby.Entry, 0, len(list))
	for _, item := range list {
		entry, err := lobby.ParseEntry(item)
		if err != nil {
			return nil, err
		}
		rooms = append(rooms, entry)
	}
	return rooms, nil
}

// someRooms is rooms, and whether there are more than were asked for.
func (h *Handler) someRooms(ctx context.Context, query amf.Object) (rooms []lobby.Entry, more bool, err error) {
	limit := lobby.MaxAnswer
	if n, ok := amf.AsNumber(amf.Lookup(query, "limit")); ok && n > 0 {
		limit = int(min(n, lobby.MaxAnswer))
	}
	query = slices.DeleteFunc(query, func(f amf.Field) bool { return f.Name == "limit" })
	query = append(query, amf.Field{Name: "limit", Value: amf.Number(limit + 1)})
	rooms, err = h.rooms(ctx, query)
	if len(rooms) > limit {
		return rooms[:limit], true, err
	}
	return rooms, false, err
}

// sums are the lobby's figures, of unlisted rooms as well or not.
func (h *Handler) sums(ctx context.Context, unlisted bool) (lobby.Sums, error) {
	v, err := h.call(ctx, lobbyInstance, lobby.MethodSums, amf.Bool(unlisted))
	if errors.Is(err, server.ErrNotRunning) && h.hasLobby() {
		return lobby.Sums{}, nil
	}
	if err != nil {
		return lobby.Sums{}, err
	}
	return lobby.ParseSums(v)
}

// entry is the lobby's entry of one room, nil when it lists none.
func (h *Handler) entry(ctx context.Context, name string, unlisted bool) (*lobby.Entry, error) {
	if !lobby.ValidName(name) {
		return nil, nil
	}
	rooms, err := h.rooms(ctx, amf.Object{
		{Name: "name", Value: amf.String(name)}, {Name: "unlisted", Value: amf.Bool(unlisted)},
	})
	if len(rooms) == 0 {
		return nil, err
	}
	return &rooms[0], nil
}

func (h *Handler) hasLobby() bool {
	app, _, _ := h.cfg.Host.Resolve(lobbyInstance)
	return app == lobbyInstance
}

// elsewhere says where the lobby is that is not here.
func (h *Handler) elsewhere() string {
	if h.cfg.Lobby == "" {
		return "The lobby is not on this server."
	}
	return "The lobby is not on this server. Its rooms report to " + h.cfg.Lobby + "."
}

func (h *Handler) call(ctx context.Context, instance, method string, args ...amf.Value) (amf.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return h.cfg.Host.Call(ctx, instance, method, args...)
}

func now() amf.Number { return amf.Number(time.Now().UnixMilli()) }

func writeJSON(w http.ResponseWriter, v amf.Value) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(appendValue(nil, v), '\n'))
}
