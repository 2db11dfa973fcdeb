package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/minio/highwayhash"
)

// The layout of the engine's blocks, as in filestore.go of nats-server: records
// of a length, a sequence, a time, the length of a subject; then the subject,
// headers, data; then a checksum of all but the lengths.
const (
	recordHeader = 22
	recordHash   = 8
	recordMost   = 32 << 20
	hasHeaders   = 1 << 31 // of the length
	tombstone    = 1 << 62 // of the sequence
	erased       = 1 << 63 // of the sequence
)

// Where damaged blocks are kept as they were.
const (
	damagedDir = "damaged"
	tailCopy   = ".end" // after the name of one whose end alone was not whole
)

// mendBlocks looks at every record of the embedded engine's blocks before it
// starts. The engine drops all that comes after a damaged one in its block;
// without the damaged one it keeps them. The block as it was is kept beside, in
// the folder damaged. whole is false when anything was.
//
// It reads all blocks at each start, also those that were whole at the last: on
// a disk that goes bad neither a file's size nor its time changes.
func mendBlocks(dir string, log *slog.Logger) (whole bool, err error) {
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "$G", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return false, err
	}
	whole = true
	for _, path := range blocks {
		was, failed := mendBlock(dir, path, log)
		if whole = whole && was; failed != nil {
			err = errors.Join(err, fmt.Errorf("mending %s: %w", path, failed))
		}
	}
	return whole, err
}

func mendBlock(dir, path string, log *slog.Logger) (whole bool, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return false, ignoreGone(err)
	}
	stream := filepath.Base(filepath.Dir(filepath.Dir(path)))
	mended, gaps, tail := mend(data, stream, filepath.Base(path))
	if tail > 0 {
		// What was written when the power went; the engine cuts it off.
		log.Warn("store file ends in the middle of a message", "file", path, "bytes", tail)
	}
	if gaps == 0 && tail == 0 {
		return true, nil
	}
	lost := len(data) - len(mended)
	aside := filepath.Join(dir, damagedDir, stream+"-"+filepath.Base(path))
	if gaps == 0 {
		aside += tailCopy
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(aside), 0o700), os.WriteFile(aside, data, 0o600)); err != nil {
		return false, err
	}
	if gaps == 0 {
		return false, nil
	}
	log.Error("store file damaged: the rest of it is kept", "file", path, "places", gaps, "bytes", lost, "copy", aside)
	if err := replace(path, mended); err != nil {
		return false, err
	}
	// The engine makes its index again, of what is there.
	return false, ignoreGone(os.Remove(filepath.Join(filepath.Dir(path), "index.db")))
}

// damagedBefore reports whether a block of the stream was damaged between
// others' messages, now or at an earlier start: as long as the copy is there.
func damagedBefore(dir, stream string) bool {
	copies, err := filepath.Glob(filepath.Join(dir, damagedDir, stream+"-*.blk"))
	return err != nil || len(copies) > 0
}

// replace writes a file so that after a crash it is the old or the new one.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".mended")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// mend returns the records of a block that are whole. gaps is in how many
// places between them something was not, tail how many bytes follow the last.
func mend(data []byte, stream, block string) (mended []byte, gaps, tail int) {
	var index uint32
	fmt.Sscanf(block, "%d.blk", &index)
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, index))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // the length of the key is wrong
	}
	var last uint64
	start := 0 // of the whole records that are not copied yet
	for i := 0; i < len(data); {
		if seq, n := record(data[i:], h); n > 0 {
			i += n
			last = max(last, seq)
			continue
		}
		next := i + 1
		for ; next < len(data); next++ {
			if seq, n := record(data[next:], h); n > 0 && (seq == 0 || seq > last) {
				break
			}
		}
		mended = append(mended, data[start:i]...)
		if next >= len(data) {
			return mended, gaps, len(data) - i
		}
		gaps++
		start, i = next, next
	}
	return append(mended, data[start:]...), gaps, 0
}

// record returns the sequence (0 for a tombstone) and the length of the record
// at the beginning of b; 0, 0 when there is no whole one.
func record(b []byte, h hash.Hash64) (seq uint64, n int) {
	if len(b) < recordHeader+recordHash {
		return 0, 0
	}
	length := binary.LittleEndian.Uint32(b)
	n = int(length &^ hasHeaders)
	subject := int(binary.LittleEndian.Uint16(b[20:]))
	from := recordHeader + subject
	if length&hasHeaders != 0 {
		from += 4
	}
	if n > len(b) || n > recordMost || from > n-recordHash {
		return 0, 0
	}
	h.Reset()
	h.Write(b[4:20])
	h.Write(b[recordHeader : recordHeader+subject])
	h.Write(b[from : n-recordHash])
	if h.Sum64() != binary.LittleEndian.Uint64(b[n-recordHash:]) {
		return 0, 0
	}
	if seq = binary.LittleEndian.Uint64(b[4:]); seq&tombstone != 0 {
		return 0, n
	}
	return seq &^ erased, n
}
