package web

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

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
		h.log.Error("backup failed", "err", err)
		problem(w, http.StatusInternalServerError, "The backup could not be made; the server's log says why.")
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
