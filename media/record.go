package media

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"foyer/server/flv"
	"foyer/server/relay"
)

const (
	// RecordAll in RecorderConfig.Rooms stands for every room.
	RecordAll = "all"
	// DefaultGrace is how long a stream that was lost may be gone before its broadcast
	// is over.
	DefaultGrace = 30 * time.Second
	// MaxRecordQueue is by how many bytes the disk may lag behind a recording.
	MaxRecordQueue = 6 << 20

	recordSync  = time.Second      // how often a recording is forced to the disk
	recordPrune = 10 * time.Second // how often the limit is enforced during a recording
	recordBatch = 1 << 20
	recordTime  = "2006-01-02T15-04-05Z"
)

// recordFile and recordRoom are the names of files and folders of recordings.
// Anything else is ignored. Folders are in lower case, but for those of older
// versions.
var (
	recordFile = regexp.MustCompile(`^([A-Za-z0-9._-]{1,64})-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:-\d{1,3})?\.flv$`)
	recordRoom = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)
)

// RecorderConfig says what is recorded, and where to.
type RecorderConfig struct {
	Dir   string        // a folder for each room is made in it
	Rooms []string      // RecordAll or names of rooms; none: nothing is recorded
	Limit int64         // bytes of all recordings together; 0: no limit
	Grace time.Duration // default DefaultGrace
	Log   *slog.Logger  // nil: nothing is logged
}

// A Recorder keeps broadcasts as FLV files, one for each, in ROOM/STREAM-TIME.flv.
// A broadcast ends when its publisher says so, or when its room no longer waits for a
// publisher whose connection broke.
// Each file is whole at every moment, but for its duration, so a crash costs at
// most the last second.
type Recorder struct {
	// set by OpenRecorder
	cfg    RecorderConfig
	root   *os.Root
	ctx    context.Context // ends when recordings are to end
	cancel context.CancelFunc
	older  map[string][]string // folders with capital letters, by room

	running sync.WaitGroup // one for each recording; Add under mu

	// guarded by mu
	mu     sync.Mutex
	closed bool
	live   map[*recording]struct{}  // until their files are finished
	told   map[string]bool          // what Record has said, by room
	known  map[string]*relay.Stream // what is published, recorded or not, by ROOM/STREAM

	pruning sync.Mutex // held while old recordings are removed
}

// OpenRecorder makes the folder if need be, and finishes the files that a crash
// has left.
func OpenRecorder(cfg RecorderConfig) (*Recorder, error) {
	cfg.Grace = cmp.Or(cfg.Grace, DefaultGrace)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of recordings: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of recordings: %w", err)
	}
	r := &Recorder{cfg: cfg, root: root, live: make(map[*recording]struct{}), told: make(map[string]bool), known: make(map[string]*relay.Stream)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.findOlder()
	r.repair()
	if cfg.Limit > 0 {
		r.prune()
	}
	return r, nil
}

// Close ends all recordings, finishes their files and returns when that is done.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.running.Wait()
	return r.root.Close()
}

// findOlder finds the folders of older versions, for which names that differ by
// case were different rooms.
func (r *Recorder) findOlder() {
	r.older = make(map[string][]string)
	found, _ := fs.ReadDir(r.root.FS(), ".") // List reports what is wrong
	for _, e := range found {
		room := strings.ToLower(e.Name())
		if room == e.Name() || !recordRoom.MatchString(room) {
			continue
		}
		is, err := r.root.Stat(e.Name())
		if same, sameErr := r.root.Stat(room); err != nil || sameErr == nil && os.SameFile(is, same) {
			continue // the file system knows no case
		}
		r.older[room] = append(r.older[room], e.Name())
	}
}

// folders are those in which there may be recordings of a room.
func (r *Recorder) folders(room string) []string {
	if !recordRoom.MatchString(room) {
		return nil
	}
	room = strings.ToLower(room)
	return append([]string{room}, r.older[room]...)
}

// Record begins to record a room, or stops, whatever the configuration says. It
// holds for everything that is published in the room until the process ends. It
// does not block.
func (r *Recorder) Record(room string, on bool) {
	room = strings.ToLower(room)
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.wantsLocked(room)
	r.told[room] = on
	if was == on {
		return
	}
	if !on {
		for k := range r.live {
			if k.room == room && !k.over {
				k.over = true
				k.queue.Close(errOver)
			}
		}
		return
	}
	for key, s := range r.known {
		if name, ok := strings.CutPrefix(key, room+"/"); ok && s.Live() {
			r.recordLocked(room, name, s)
		}
	}
}

// Recorded reports whether broadcasts of the room are recorded.
func (r *Recorder) Recorded(room string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wantsLocked(strings.ToLower(room))
}

func (r *Recorder) wantsLocked(room string) bool {
	if on, told := r.told[room]; told {
		return on
	}
	return slices.Contains(r.cfg.Rooms, RecordAll) ||
		slices.ContainsFunc(r.cfg.Rooms, func(name string) bool { return strings.EqualFold(name, room) })
}

// OnStream says that somebody publishes to a stream of an instance ("room/blue").
// It begins or continues a recording if the room is recorded. It does not block
// and may be called again for the same stream.
func (r *Recorder) OnStream(instance, name string, s *relay.Stream) {
	room, ok := strings.CutPrefix(strings.ToLower(instance), "room/")
	if !ok || !recordRoom.MatchString(room) || !recordRoom.MatchString(name) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, old := range r.known {
		if !old.Live() {
			delete(r.known, key)
		}
	}
	r.known[room+"/"+name] = s
	if r.wantsLocked(room) {
		r.recordLocked(room, name, s)
	}
}

// recordLocked begins or continues a recording.
func (r *Recorder) recordLocked(room, name string, s *relay.Stream) {
	key := room + "/" + name
	if r.closed {
		return
	}
	for old := range r.live {
		if old.key == key && old.follow(s) {
			return
		}
	}
	k := &recording{
		recorder: r, room: room, name: name, key: key, from: s,
		queue: NewQueue(MaxRecordQueue, 0),
		log:   r.cfg.Log.With("instance", "room/"+room, "stream", name),
		flv:   FLV{File: true}, heard: time.Now(),
	}
	r.live[k] = struct{}{}
	k.queue.join(s)
	r.running.Go(k.run) // ends with ctx, or with the broadcast; Close waits
}

// A Recording is one file.
type Recording struct {
	Room, Name, Stream string
	At                 time.Time
	Duration           time.Duration
	Bytes              int64
	Live               bool // it is being written
}

// List returns the recordings of a room, oldest first; those of all rooms for "".
func (r *Recorder) List(room string) ([]Recording, error) {
	rooms := r.folders(room)
	if room == "" {
		found, err := fs.ReadDir(r.root.FS(), ".")
		if err != nil {
			return nil, err
		}
		rooms = nil
		for _, e := range found {
			rooms = append(rooms, e.Name())
		}
	}
	var all []Recording
	for _, room := range rooms {
		if !recordRoom.MatchString(room) {
			continue
		}
		files, err := fs.ReadDir(r.root.FS(), room)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		for _, e := range files {
			if k, ok := r.look(room, e.Name()); ok {
				all = append(all, k)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Recording) int { return a.At.Compare(b.At) })
	return all, nil
}

// look reads what is known of a file.
func (r *Recorder) look(room, name string) (k Recording, ok bool) {
	m := recordFile.FindStringSubmatch(name)
	if m == nil {
		return k, false
	}
	at, err := time.Parse(recordTime, m[2])
	if err != nil {
		return k, false
	}
	k = Recording{Room: room, Name: name, Stream: m[1], At: at}
	if live := r.writes(room, name); live != nil {
		k.Live, k.Duration, k.Bytes = true, time.Duration(live.duration.Load()), live.size.Load()
		return k, true
	}
	f, err := r.root.Open(path.Join(room, name))
	if err != nil {
		return k, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return k, false
	}
	k.Bytes = info.Size()
	k.Duration, _, _ = flvFinished(f)
	return k, true
}

// writes returns the recording that writes the file, or nil.
func (r *Recorder) writes(room, name string) *recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.live {
		if file, _ := k.file.Load().(string); k.room == room && file == name {
			return k
		}
	}
	return nil
}

// Open opens a recording for reading. The error is fs.ErrNotExist if there is no
// such recording.
func (r *Recorder) Open(room, name string) (*os.File, Recording, error) {
	for _, folder := range r.folders(room) {
		if k, ok := r.look(folder, name); ok {
			f, err := r.root.Open(path.Join(folder, name))
			return f, k, err
		}
	}
	return nil, Recording{}, fs.ErrNotExist
}

// repair finishes the files that were being written when the process ended.
func (r *Recorder) repair() {
	all, err := r.List("")
	if err != nil {
		r.cfg.Log.Error("recordings not read", "err", err)
		return
	}
	for _, k := range all {
		if err := r.repairFile(k); err != nil {
			r.cfg.Log.Warn("recording not repaired", "file", k.Room+"/"+k.Name, "err", err)
		}
	}
}

func (r *Recorder) repairFile(k Recording) error {
	f, err := r.root.OpenFile(path.Join(k.Room, k.Name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, size, err := flvFinished(f); errors.Is(err, flv.ErrNotFLV) && k.Bytes > 0 {
		return err // not one of ours
	} else if err == nil && size == k.Bytes {
		return nil
	}
	tags, err := NewFLVReader(f)
	if errors.Is(err, flv.ErrNotFLV) { // nothing was written yet
		return r.root.Remove(path.Join(k.Room, k.Name))
	}
	if err != nil {
		return err
	}
	var last uint32
	for err == nil {
		m, failed := tags.Next()
		if err = failed; err == nil {
			last = max(last, m.Timestamp)
		}
	}
	if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, flv.ErrBadTag) {
		return err
	}
	duration := time.Duration(last) * time.Millisecond
	if err := errors.Join(f.Truncate(tags.Offset()), FinishFLV(f, duration, tags.Offset()), f.Sync()); err != nil {
		return err
	}
	r.cfg.Log.Info("recording repaired", "file", k.Room+"/"+k.Name, "bytes", tags.Offset(), "dur", duration, "lost", k.Bytes-tags.Offset())
	return nil
}

// prune removes the oldest recordings until the rest fits into the limit, but
// none that is being written. It reports whether that was enough.
func (r *Recorder) prune() bool {
	r.pruning.Lock()
	defer r.pruning.Unlock()
	all, err := r.List("")
	if err != nil {
		r.cfg.Log.Error("recordings not read", "err", err)
		return true
	}
	var total int64
	for _, k := range all {
		total += k.Bytes
	}
	for _, k := range all {
		if total <= r.cfg.Limit {
			break
		}
		if k.Live {
			continue
		}
		if err := r.root.Remove(path.Join(k.Room, k.Name)); err != nil {
			r.cfg.Log.Error("recording not removed", "file", k.Room+"/"+k.Name, "err", err)
			continue
		}
		total -= k.Bytes
		r.cfg.Log.Info("recording removed", "file", k.Room+"/"+k.Name, "bytes", k.Bytes, "limit", r.cfg.Limit)
	}
	return total <= r.cfg.Limit
}
