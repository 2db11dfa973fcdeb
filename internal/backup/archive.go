package backup

import "time"

// Names in an archive. It is a tar: a note of what it is, the secrets, the
// streams of the store, the recordings, and the checksums of all of them.
// The checksums are last, so an archive that ends early has none.
const (
	archiveNote    = "foyer-backup.json"
	archiveStore   = "store/"
	archiveRecords = "recordings/"
	archiveSums    = "SHA256SUMS" // as sha256sum writes and reads it
)

// archiveFormat is what the note of an archive says of itself.
const archiveFormat = "backup 1"

// Bounds of an archive. Its checksums have a line for each file, so they bound
// how many there are.
const (
	maxArchiveText   = 16 << 20 // bytes of a file that is read into memory
	maxArchiveSecret = 64 << 10 // bytes of a secret
	maxArchiveName   = 512      // bytes of a file's name
	maxArchiveDepth  = 3        // elements of it: recordings/ROOM/FILE
)

// A Note is the first file of an archive: it says what the archive is.
type Note struct {
	Foyer   string    `json:"foyer"` // archiveFormat
	Version string    `json:"version"`
	Node    string    `json:"node"`
	At      time.Time `json:"at"`

	Secrets int `json:"-"` // how many files of secrets there were; set by reading
}
