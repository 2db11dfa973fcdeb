package cluster

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// openFile is in the folder of the embedded engine while that is open. It says
// which run of the machine that was, and how the files were flushed.
const openFile = "open"

// bootID names this run of the machine, where there is a name for it.
func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return cmp.Or(strings.TrimSpace(string(id)), "unknown")
}

// powerLost reports whether the store was open when the machine stopped, and
// may miss its last second: then ids above the last that is there were given.
func (c *Cluster) powerLost() (bool, error) {
	data, err := os.ReadFile(filepath.Join(c.cfg.Dir, openFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	boot, sync, _ := strings.Cut(string(data), " ")
	return boot != bootID() && sync != Always.String(), err
}

// noteOpen writes the openFile, noteClosed removes it.
func (c *Cluster) noteOpen(sync Sync) error {
	f, err := os.Create(filepath.Join(c.cfg.Dir, openFile))
	if err != nil {
		return err
	}
	_, err = f.WriteString(bootID() + " " + sync.String())
	return errors.Join(err, f.Sync(), f.Close())
}

func (c *Cluster) noteClosed() error {
	return ignoreGone(os.Remove(filepath.Join(c.cfg.Dir, openFile)))
}
