package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"foyer/lobby"
	"foyer/server/amf"
	"foyer/server/rtmp"
)

// MaxBody is the most bytes that a request may send.
const MaxBody = 16 << 10

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

// apiKey is /api/v1/rooms/NAME/key: what to type into an encoder, also for a
// room that is not running yet. POST makes another key, the old one is void; a
// room that does not run is started for it.
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
		problem(w, http.StatusServiceUnavailable, "The key cannot be found out at the moment; the server's log says why.")
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

// keyOfRoom reports whether an operator asks for a room that may be published
// into on this server, and answers if not.
func (h *Handler) keyOfRoom(w http.ResponseWriter, r *http.Request) bool {
	if !h.mayOperate(w, r) {
		return false
	}
	name := r.PathValue("name")
	app, _, _ := h.cfg.Host.Resolve(roomInstances + name)
	if !lobby.ValidName(name) || app != "room" || h.cfg.StreamKey == nil {
		problem(w, http.StatusNotFound, "Nobody can publish into a room of this name on this server.")
		return false
	}
	if entry, _ := h.entry(r.Context(), name, true); entry != nil && h.isElsewhere(*entry) {
		problem(w, http.StatusNotFound, "The room is on another server: "+entry.HTTP+".")
		return false
	}
	return true
}

// newKeyTimeout is how long a room may take to start and to store a new key.
const newKeyTimeout = 20 * time.Second

// newKey has the room make another key, and answers if that fails.
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

// apiRelease is DELETE /api/v1/rooms/NAME/streams/STREAM: its publisher has to
// stop.
func (h *Handler) apiRelease(w http.ResponseWriter, r *http.Request) {
	if h.mayOperate(w, r) {
		h.askRoom(w, r, "release", amf.String(r.PathValue("stream")))
	}
}

// apiForget is DELETE /api/v1/rooms/NAME/state: a room that does not start
// because its state cannot be read starts as new. A state that can be read stays.
func (h *Handler) apiForget(w http.ResponseWriter, r *http.Request) {
	if !h.mayOperate(w, r) {
		return
	}
	name := r.PathValue("name")
	if !lobby.ValidName(name) || h.cfg.Forget == nil {
		problem(w, http.StatusNotFound, "Nothing is kept of this room.")
		return
	}
	aside, err := h.cfg.Forget(r.Context(), name)
	switch {
	case err != nil:
		h.failed(w, "room state not dropped", err, "room", name)
	case aside == "":
		problem(w, http.StatusConflict, "What is kept of this room can be read, or there is nothing: nothing was done.")
	default:
		h.log.Warn("room state dropped", "room", name, "copy", aside, "remote", r.RemoteAddr)
		writeJSON(w, amf.Object{{Name: "copy", Value: amf.String(aside)}})
	}
}

// BackupParts are what a backup has beside what is stored.
type BackupParts struct {
	Recordings bool
	Secrets    bool // of the data folder
}

// apiBackup is /api/v1/backup: all that this server keeps, as a tar; the
// recordings when recordings=true asks for them. The secrets are in it only when
// it goes out by the control socket: an admin token that was stolen must not be
// worth all the others. There is one at a time. An answer that fails ends without its end.
func (h *Handler) apiBackup(w http.ResponseWriter, r *http.Request) {
	if !h.mayOperate(w, r) {
		return
	}
	if h.cfg.Backup == nil {
		problem(w, http.StatusNotFound, "This server keeps nothing.")
		return
	}
	parts := BackupParts{Secrets: listenerOf(r) == control}
	if v := r.URL.Query().Get("recordings"); v != "" {
		var err error
		if parts.Recordings, err = strconv.ParseBool(v); err != nil {
			problem(w, http.StatusBadRequest, "recordings: want true or false")
			return
		}
	}
	if r.Method == http.MethodHead {
		backupHeader(w)
		return
	}
	if !h.backingUp.CompareAndSwap(false, true) {
		problem(w, http.StatusConflict, "A backup is being made already.")
		return
	}
	defer h.backingUp.Store(false)
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{})
	out := &backupWriter{w: &patientWriter{w, control}, begin: func() { backupHeader(w) }}
	err := h.cfg.Backup(r.Context(), out, parts)
	switch {
	case err == nil:
		h.log.Info("backup made", "bytes", out.bytes, "remote", r.RemoteAddr)
	case r.Context().Err() != nil:
		h.log.Warn("backup broken off", "bytes", out.bytes, "remote", r.RemoteAddr, "err", err)
		panic(http.ErrAbortHandler)
	case out.bytes > 0:
		h.log.Error("backup failed", "bytes", out.bytes, "err", err)
		panic(http.ErrAbortHandler) // so that nobody takes it for whole
	default:
		h.failed(w, "backup failed", err)
	}
}

func backupHeader(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="foyer-backup.tar"`)
	w.Header().Set("Cache-Control", "no-store")
}

// begun is a writer that counts, and calls begin before the first byte.
type backupWriter struct {
	w     io.Writer
	begin func()
	bytes int64
}

// Write writes b.
func (o *backupWriter) Write(b []byte) (int, error) {
	if o.bytes == 0 {
		o.begin()
	}
	n, err := o.w.Write(b)
	o.bytes += int64(n)
	return n, err
}
