package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"foyer/lobby"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// MaxBody is how many bytes the body of a request may have.
const MaxBody = 16 << 10

// mayOperate reports whether an operator sent the request, and answers it if not.
func (h *Handler) mayOperate(w http.ResponseWriter, r *http.Request) bool {
	if h.isOperator(r) {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="foyer"`)
	problem(w, http.StatusUnauthorized, "This needs the admin token.")
	return false
}

// apiAnnounce is POST /api/v1/announce: it sends {"text"} to all rooms.
func (h *Handler) apiAnnounce(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Text string `json:"text"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxBody)).Decode(&body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		problem(w, http.StatusRequestEntityTooLarge, "The body of the request is too large. It may have 16 KiB.")
		return
	}
	if err != nil {
		problem(w, http.StatusBadRequest, `The body of the request must be {"text": "…"}.`)
		return
	}
	answer, err := h.startLobby(r.Context(), lobby.MethodAnnounce, amf.String(body.Text))
	if err != nil {
		h.callProblem(w, err, h.elsewhere(r))
		return
	}
	writeJSON(w, answer)
}

// apiKey is /api/v1/rooms/NAME/key: the server and stream key for an encoder, also of a
// room that is not running yet. POST makes a new key, which voids the old one. It starts
// the room if need be.
func (h *Handler) apiKey(w http.ResponseWriter, r *http.Request) {
	renew := r.Method == http.MethodPost
	if !h.keyOfRoom(w, r) || renew && !h.newKey(w, r) {
		return
	}
	name := r.PathValue("name")
	key, generation, err := h.cfg.StreamKey(r.Context(), name)
	if err != nil {
		h.log.Error("stream key not found", "room", name, "err", err)
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, "The server cannot find the key at the moment. The reason is in its log.")
		return
	}
	answer := amf.Object{
		{Name: "server", Value: amf.String(h.roomAddress(r, name))},
		{Name: "key", Value: amf.String("live?key=" + key)},
	}
	if generation > 0 {
		answer = append(answer, amf.Field{Name: "generation", Value: amf.Number(generation)})
	}
	writeJSON(w, answer)
}

// keyOfRoom reports whether the request is for a room into which one can publish on this
// server, and answers it if not.
func (h *Handler) keyOfRoom(w http.ResponseWriter, r *http.Request) bool {
	name := r.PathValue("name")
	app, _, _ := h.cfg.Host.Resolve(roomInstances + name)
	if !server.ValidName(name) || app != "room" || h.cfg.StreamKey == nil {
		problem(w, http.StatusNotFound, "Nobody can publish into a room of this name on this server.")
		return false
	}
	if entry, _ := h.entry(r, name, true); entry != nil && h.isElsewhere(*entry) {
		problem(w, http.StatusNotFound, "The room is on another server: "+entry.HTTP+".")
		return false
	}
	return true
}

// newKeyTimeout is how long a room may take to start and to store a new key.
const newKeyTimeout = 20 * time.Second

// newKey has the room make a new key, and answers the request if that fails.
func (h *Handler) newKey(w http.ResponseWriter, r *http.Request) bool {
	ctx, cancel := context.WithTimeout(r.Context(), newKeyTimeout)
	defer cancel()
	_, err := h.cfg.Host.CallOrStart(ctx, roomInstances+r.PathValue("name"), "newKey")
	if refusal, ok := errors.AsType[*rtmp.StatusError](err); ok {
		w.Header().Set("Retry-After", "2")
		problem(w, http.StatusServiceUnavailable, refusal.Description)
		return false
	}
	if err != nil {
		h.callProblem(w, err, notRunningHere)
		return false
	}
	return true
}

// apiRelease is DELETE /api/v1/rooms/NAME/streams/STREAM: it ends a broadcast.
func (h *Handler) apiRelease(w http.ResponseWriter, r *http.Request) {
	h.askRoom(w, r, "release", amf.String(r.PathValue("stream")))
}

// apiForget is DELETE /api/v1/rooms/NAME/state. A room that does not start because its
// state cannot be read starts with a new one then. A state that can be read is kept.
func (h *Handler) apiForget(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !server.ValidName(name) || h.cfg.Forget == nil {
		problem(w, http.StatusNotFound, "This server keeps no state of a room of this name.")
		return
	}
	aside, err := h.cfg.Forget(r.Context(), name)
	switch {
	case err != nil:
		h.failed(w, "room state not dropped", err, "room", name)
	case aside == "":
		problem(w, http.StatusConflict, "The state of this room can be read, or there is none. Nothing was changed.")
	default:
		h.log.Warn("room state dropped", "room", name, "copy", aside, "remote", r.RemoteAddr)
		writeJSON(w, amf.Object{{Name: "copy", Value: amf.String(aside)}})
	}
}

// BackupParts are the optional parts of a backup.
type BackupParts struct {
	Recordings bool
	Secrets    bool // of the data folder
}

// apiBackup is /api/v1/backup: a tar of all that this server keeps, with the recordings
// if recordings=true. It holds the secrets only when it goes out by the control socket,
// since a stolen admin token must not be worth all the others. One backup is made at a
// time. One that fails breaks off, so that its reader notices.
func (h *Handler) apiBackup(w http.ResponseWriter, r *http.Request) {
	if h.cfg.Backup == nil {
		problem(w, http.StatusNotFound, "This server keeps nothing that could be backed up.")
		return
	}
	parts := BackupParts{Secrets: listenerOf(r) == control}
	if v := r.URL.Query().Get("recordings"); v != "" {
		var err error
		if parts.Recordings, err = strconv.ParseBool(v); err != nil {
			problem(w, http.StatusBadRequest, "recordings must be true or false.")
			return
		}
	}
	if r.Method == http.MethodHead {
		backupHeader(w)
		return
	}
	if !h.backingUp.CompareAndSwap(false, true) {
		problem(w, http.StatusConflict, "Another backup is being made. Try again when it is complete.")
		return
	}
	defer h.backingUp.Store(false)
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{})
	backupHeader(w)
	var sent atomic.Uint64
	err := h.cfg.Backup(r.Context(), &countingWriter{&patientWriter{w, control}, &sent}, parts)
	switch {
	case err == nil:
		h.log.Info("backup made", "bytes", sent.Load(), "remote", r.RemoteAddr)
	case r.Context().Err() != nil:
		h.log.Warn("backup aborted", "bytes", sent.Load(), "remote", r.RemoteAddr, "err", err)
		panic(http.ErrAbortHandler)
	case sent.Load() > 0:
		h.log.Error("backup failed", "bytes", sent.Load(), "err", err)
		panic(http.ErrAbortHandler) // so that nobody takes it for complete
	default:
		w.Header().Del("Content-Disposition")
		h.failed(w, "backup failed", err)
	}
}

func backupHeader(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="foyer-backup.tar"`)
	w.Header().Set("Cache-Control", "no-store")
}
