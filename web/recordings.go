package web

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"foyer/media"
	"foyer/server"
	"foyer/server/amf"
	"foyer/server/flv"
)

// apiRecordings is /api/v1/rooms/NAME/recordings: the recordings of a room, oldest
// first, also of one that is not running.
func (h *Handler) apiRecordings(w http.ResponseWriter, r *http.Request) {
	room := r.PathValue("name")
	if !server.ValidName(room) {
		problem(w, http.StatusNotFound, "There is no room of this name.")
		return
	}
	list := amf.StrictArray{}
	if h.cfg.Recorder != nil {
		all, err := h.cfg.Recorder.List(room)
		if err != nil {
			h.failed(w, "recordings not read", err)
			return
		}
		for _, k := range all {
			list = append(list, h.recordingValue(r, k))
		}
	}
	if len(list) == 0 && h.isElsewhereAnswered(w, r, room) {
		return
	}
	writeCacheable(w, r, amf.Object{{Name: "at", Value: now()}, {Name: "recordings", Value: list}}, list)
}

func (h *Handler) recordingValue(r *http.Request, k media.Recording) amf.Object {
	return amf.Object{
		{Name: "name", Value: amf.String(k.Name)},
		{Name: "stream", Value: amf.String(k.Stream)},
		{Name: "at", Value: amf.Number(k.At.UnixMilli())},
		{Name: "duration", Value: amf.Number(k.Duration.Milliseconds())},
		{Name: "bytes", Value: amf.Number(k.Bytes)},
		{Name: "live", Value: amf.Bool(k.Live)},
		{Name: "url", Value: amf.String(h.underHost(r, "/recordings/"+url.PathEscape(k.Room)+"/"+url.PathEscape(k.Name)))},
	}
}

// recordingMP4 is /recordings/ROOM/FILE.mp4: a recording for a browser's video element,
// with ranges. One that is still being written is remuxed while it is sent, up to its
// present end, and has no ranges.
func (h *Handler) recordingMP4(w http.ResponseWriter, r *http.Request, f *os.File, k media.Recording, info fs.FileInfo) {
	out := &patientWriter{w, http.NewResponseController(w)}
	if k.Live {
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Accept-Ranges", "none")
		if r.Method == http.MethodHead {
			return
		}
		if err := media.RemuxFLV(out, f); err != nil {
			h.log.Debug("recording not shown", "err", err)
		}
		return
	}
	out.control.SetWriteDeadline(time.Time{}) // an index may have to be made first
	m, err := h.indexes.find(r.Context(), recordingKey{k.Room, k.Name, info.Size()}, f)
	switch {
	case err == nil:
	case r.Context().Err() != nil:
		return
	case errors.Is(err, media.ErrNoFrames), errors.Is(err, flv.ErrNotFLV):
		problem(w, http.StatusUnprocessableEntity, "MP4 cannot carry anything in this recording. The FLV file has all of it.")
		return
	default:
		h.failed(w, "recording not read", err)
		return
	}
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.Size(), info.ModTime().UnixNano()))
	http.ServeContent(out, r, "", time.Time{}, m.Reader(f))
}

// recordingFile is /recordings/ROOM/FILE and FILE.mp4. A recording that is still being
// written is served up to its present end.
func (h *Handler) recordingFile(w http.ResponseWriter, r *http.Request) {
	room := r.PathValue("room")
	if h.cfg.Recorder == nil {
		if !h.isElsewhereAnswered(w, r, room) {
			notFound(w, r)
		}
		return
	}
	f, k, err := h.cfg.Recorder.Open(room, strings.TrimSuffix(r.PathValue("file"), ".mp4"))
	if errors.Is(err, fs.ErrNotExist) {
		if h.isElsewhereAnswered(w, r, room) {
			return
		}
		problem(w, http.StatusNotFound, "This recording does not exist, or no longer.")
		return
	} else if err != nil {
		h.failed(w, "recording not opened", err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		h.failed(w, "recording not read", err)
		return
	}
	cache := "no-cache"
	if k.Live {
		cache = "no-store"
	}
	w.Header().Set("Cache-Control", cache)
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{})
	if strings.HasSuffix(r.PathValue("file"), ".mp4") {
		h.recordingMP4(w, r, f, k, info)
		return
	}
	w.Header().Set("Content-Type", "video/x-flv")
	http.ServeContent(&patientWriter{w, control}, r, "", info.ModTime(), f)
}
