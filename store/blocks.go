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

// The layout of the engine's blocks, as in filestore.go of nats-server. A
// record has a length, a sequence, a time and the length of a subject; then
// come the subject, headers and data; then a checksum of everything but the
// lengths.
const (
	recordHeader = 22
	recordHash   = 8
	recordMost   = 32 << 20
	hasHeaders   = 1 << 31 // in the length
	tombstone    = 1 << 62 // in the sequence
	erased       = 1 << 63 // in the sequence
)

// Where damaged blocks are kept as they were found.
const (
	damagedDir = "damaged"
	tailCopy   = ".end" // after the name of a block that was damaged at its end only
)

// mendBlocks checks every record of the embedded engine's blocks before the
// engine starts. The engine drops everything in a block that follows a damaged
// record; once the damaged record is removed it keeps the rest. The block as it
// was found is kept in the folder damaged. whole is false when any block was
// damaged.
//
// It reads all blocks at each start, even those that were whole the last time:
// when a disk goes bad, neither the size nor the time of a file changes.
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
		// It was being written when the power went; the engine cuts it off.
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
	// The engine builds its index again, from the records that are left.
	return false, ignoreGone(os.Remove(filepath.Join(filepath.Dir(path), "index.db")))
}

// damagedBefore reports whether a block of the stream was damaged between
// messages, now or at an earlier start. It goes by the copies that mendBlocks
// has kept.
func damagedBefore(dir, stream string) bool {
	copies, err := filepath.Glob(filepath.Join(dir, damagedDir, stream+"-*.blk"))
	return err != nil || len(copies) > 0
}

// replace writes a file in such a way that after a crash it is the old or the
// new one.
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

// mend returns the whole records of a block. gaps is the number of places
// between them that were damaged, and tail how many bytes follow the last.
func mend(data []byte, stream, block string) (mended []byte, gaps, tail int) {
	var index uint32
	fmt.Sscanf(block, "%d.blk", &index)
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, index))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // the length of the key is wrong
	}
	var last uint64
	start := 0 // of the whole records not copied yet
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
// at the beginning of b, or 0, 0 when there is no whole record.
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
