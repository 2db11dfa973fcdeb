package store

import "os"

// openToFlush opens what is to be flushed. Windows flushes only what is open for
// writing, and writes the lists of folders by itself: of those it is nil.
func openToFlush(path string) (*os.File, error) {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}
