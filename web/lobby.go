package web

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// lobbyInstance is the path of the lobby's instance.
const lobbyInstance = "lobby"

func (h *Handler) hasLobby() bool {
	app, _, _ := h.cfg.Host.Resolve(lobbyInstance)
	return app == lobbyInstance
}

// elsewhere says on which server the lobby is.
func (h *Handler) elsewhere(r *http.Request) string {
	if h.cfg.Lobby == "" {
		return "The lobby is not on this server."
	}
	return "The lobby is not on this server. Its rooms report to " + guard.SeenFrom(h.cfg.Lobby, r.Host) + "."
}

// rooms asks the lobby for its list, with addresses as the sender of the request needs
// them. A lobby that has not started yet has no rooms.
func (h *Handler) rooms(r *http.Request, query amf.Object) ([]lobby.Entry, error) {
	v, err := h.call(r.Context(), lobbyInstance, lobby.MethodRooms, query)
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
		rooms = append(rooms, entry.SeenFrom(r.Host))
	}
	return rooms, nil
}

// someRooms asks for the rooms of a query, and reports whether there are more.
func (h *Handler) someRooms(r *http.Request, query amf.Object) (rooms []lobby.Entry, more bool, err error) {
	limit := lobby.MaxAnswer
	if n, ok := amf.AsNumber(amf.Lookup(query, "limit")); ok && n > 0 {
		limit = int(min(n, lobby.MaxAnswer))
	}
	query = slices.DeleteFunc(query, func(f amf.Field) bool { return f.Name == "limit" })
	query = append(query, amf.Field{Name: "limit", Value: amf.Number(limit + 1)})
	rooms, err = h.rooms(r, query)
	if len(rooms) > limit {
		return rooms[:limit], true, err
	}
	return rooms, false, err
}

// entry returns the lobby's entry of a room, or nil if it lists none.
func (h *Handler) entry(r *http.Request, name string, unlisted bool) (*lobby.Entry, error) {
	if !server.ValidName(name) {
		return nil, nil
	}
	v, err := h.call(r.Context(), lobbyInstance, lobby.MethodWhere, amf.String(name))
	if _, none := v.(amf.Null); none || errors.Is(err, server.ErrNotRunning) && h.hasLobby() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e, err := lobby.ParseEntry(v)
	if err != nil || e.Unlisted && !unlisted {
		return nil, err
	}
	e = e.SeenFrom(r.Host)
	return &e, nil
}

// sums returns the lobby's totals, with or without unlisted rooms.
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

// noteLobby logs that the lobby has failed, for a page that does without its answer.
// A server without a lobby is no failure.
func (h *Handler) noteLobby(err error) {
	if err != nil && !errors.Is(err, server.ErrNotRunning) {
		h.log.Warn("lobby did not answer", "err", err)
	}
}

// view says how old the lobby's view of other nodes is. It is nil if there are none.
func (h *Handler) view(ctx context.Context) *lobby.View {
	v, err := h.call(ctx, lobbyInstance, lobby.MethodView)
	h.noteLobby(err)
	return lobby.ParseView(v)
}

// trends returns the recent activity of the rooms. A page does without if it fails.
func (h *Handler) trends(ctx context.Context) lobby.Trends {
	v, err := h.call(ctx, lobbyInstance, lobby.MethodTrends)
	h.noteLobby(err)
	return lobby.ParseTrends(v)
}

// startLobby calls a method of the lobby, and starts it if need be, because a lobby
// without visitors stops after a while.
func (h *Handler) startLobby(ctx context.Context, method string, args ...amf.Value) (amf.Value, error) {
	if !h.hasLobby() {
		return nil, server.ErrNotRunning
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return h.cfg.Host.CallOrStart(ctx, lobbyInstance, method, args...)
}
