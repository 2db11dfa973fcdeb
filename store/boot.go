package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// openFile is in the folder of the embedded engine. While the folder is open
// the file is locked, and it says during which run of the machine the folder
// was opened and how its files are flushed.
const openFile = "open"

// ErrInUse says that another process has the folder.
var ErrInUse = errors.New("in use by another process: each needs its own (--data)")

// bootID identifies this run of the machine, where the system has an ID for it.
func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return cmp.Or(strings.TrimSpace(string(id)), "unknown")
}

// lockDir makes the folder this process's own. lost reports whether the store
// was open when the machine stopped, so that its last second may be missing:
// ids above the last one that is left may have been given out.
func (s *Store) lockDir() (lost bool, err error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return false, err
	}
	s.locked, err = os.OpenFile(filepath.Join(s.cfg.Dir, openFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	if err := lock(s.locked); err != nil {
		if !errors.Is(err, ErrInUse) {
			err = fmt.Errorf("on a disk that has no locks (%w): name one on a local disk with --data", err)
		}
		err = fmt.Errorf("the folder %s is %w", s.cfg.Dir, err)
		err = errors.Join(err, s.locked.Close())
		s.locked = nil
		return false, err
	}
	data, err := io.ReadAll(s.locked)
	boot, sync, noted := strings.Cut(string(data), " ")
	return noted && boot != bootID() && sync != Always.String(), err
}

// noteOpen writes the openFile.
func (s *Store) noteOpen(sync Sync) error {
	if err := s.locked.Truncate(0); err != nil {
		return err
	}
	_, err := s.locked.WriteAt([]byte(bootID()+" "+sync.String()), 0)
	return errors.Join(err, s.locked.Sync())
}

// unlockDir empties the openFile if the store was closed properly, and releases
// the folder.
func (s *Store) unlockDir(closed bool) (err error) {
	if s.locked == nil {
		return nil
	}
	if closed {
		err = s.locked.Truncate(0)
	}
	err = errors.Join(err, s.locked.Close())
	s.locked = nil
	return err
}

// missingFile is in the folder of the embedded engine once messages may have
// been lost, and says since when. It stays there, since a room may be opened
// much later.
const missingFile = "missing"

// noteMissing notes that earlier messages may be missing, even the newest ones.
func (s *Store) noteMissing() error {
	now := time.Now().UnixNano()
	s.missing.Store(now)
	return os.WriteFile(filepath.Join(s.cfg.Dir, missingFile), strconv.AppendInt(nil, now, 10), 0o600)
}

// missingSince returns the time that noteMissing noted last.
func missingSince(dir string) int64 {
	data, _ := os.ReadFile(filepath.Join(dir, missingFile))
	at, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return at
}
