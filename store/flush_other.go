//go:build !windows

package store

import "os"

// openToFlush opens what is to be flushed, a file or a folder.
func openToFlush(path string) (*os.File, error) { return os.Open(path) }
