//go:build !unix && !windows

package store

import "os"

// lock does nothing: the standard library has no such lock for this system.
func lock(*os.File) error { return nil }
