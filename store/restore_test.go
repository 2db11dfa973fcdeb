package store

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// Restore makes one stream of a file.
func (s *Store) Restore(ctx context.Context, r io.Reader) error {
	_, err := s.restoreFrom(ctx, r)
	return err
}

// backupFiles returns the files of a backup of a store with a chat, a state and
// an object.
func backupFiles(t *testing.T) (files []string) {
	t.Helper()
	one := start(t, filepath.Join(t.TempDir(), "one"))
	r := open(t, one, "blue")
	mustSay(t, r, 1, 6)
	remove(t, r, 3, true)
	if err := save(r, "state"); err != nil {
		t.Fatal(err)
	}
	if err := saveObject(one, "room/blue", "score", "99"); err != nil {
		t.Fatal(err)
	}
	r.Close()
	dir := t.TempDir()
	for name, b := range backup(t, one) {
		files = append(files, filepath.Join(dir, name))
		if err := os.WriteFile(files[len(files)-1], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(files)
	return files
}

// mustBeRestored checks that a node finds what backupFiles had.
func mustBeRestored(t *testing.T, c *Store) {
	t.Helper()
	claim(t, c, "room/blue")
	r := open(t, c, "blue")
	if string(r.State()) != "state" || r.Last() != 6 {
		t.Errorf("the room has the state %q and the last id %d", r.State(), r.Last())
	}
	checkPage(t, r, 0, -1, 50, []uint64{1, 2, 4, 5, 6}, true, false)
	mustSay(t, r, 7, 7)
	if objects, _, err := c.LoadObjects(t.Context(), "room/blue"); err != nil || string(objects["score"]) != "99" {
		t.Errorf("the objects are %q, %v", objects, err)
	}
}

// TestRestoreAll: into an external NATS goes all of a backup, or nothing.
func TestRestoreAll(t *testing.T) {
	t.Parallel()
	files := backupFiles(t)
	nats := startNATS(t, t.TempDir(), "")
	into, err := Open(t.Context(), Config{URL: nats.ClientURL(), Node: "restore", Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { into.Close() })

	bad := filepath.Join(t.TempDir(), "bad")
	good, err := os.ReadFile(files[len(files)-1])
	if err == nil {
		err = os.WriteFile(bad, good[:len(good)-10], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := into.RestoreAll(t.Context(), append(slices.Clone(files[:len(files)-1]), bad)); err == nil {
		t.Error("half a stream was restored")
	}
	if left := everything(t, into); len(left) > 0 {
		t.Errorf("a restore that failed left %v", left)
	}
	// The engine needs a moment to remove a stream it has begun.
	twice := append(slices.Clone(files), files[0])
	eventually(t, "the second failure", func() bool {
		err := into.RestoreAll(t.Context(), twice)
		return err != nil && strings.Contains(err.Error(), "already in use")
	})
	if left := everything(t, into); len(left) > 0 {
		t.Errorf("a restore that failed left %v", left)
	}

	// While another restore runs, or after it was killed.
	eventually(t, "the mark", func() bool {
		_, err := into.js().CreateStream(t.Context(), jetstream.StreamConfig{Name: restoringStream})
		return err == nil
	})
	if err := into.RestoreAll(t.Context(), files); err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Errorf("in the middle of another: %v", err)
	}
	c := join(t, nats.ClientURL())
	eventually(t, "the node to know that it is being restored", func() bool {
		return c.Ready() != nil && strings.Contains(c.Ready().Error(), "being restored")
	})
	if there, err := into.onDisk(t.Context()); err != nil || len(there) != 1 {
		t.Errorf("a node has made %v there, %v", there, err)
	}
	if err := into.js().DeleteStream(t.Context(), restoringStream); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node to be ready", func() bool { return c.Ready() == nil })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	// The streams that a node has made are not written over, though they are
	// empty.
	if err := into.RestoreAll(t.Context(), files); err == nil || !strings.Contains(err.Error(), "not empty, it has CHAT, KV_") {
		t.Errorf("over what is there: %v", err)
	}
	nats = startNATS(t, t.TempDir(), "")
	if into, err = Open(t.Context(), Config{URL: nats.ClientURL(), Node: "restore", Bare: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { into.Close() })
	if err := into.RestoreAll(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	c = join(t, nats.ClientURL())
	mustBeRestored(t, c)
	mustSay(t, open(t, c, "red"), 1, 1)
}

// TestRestoreAllOfCluster: three servers have three copies of it.
func TestRestoreAllOfCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	t.Parallel()
	files := backupFiles(t)
	tr := startTrio(t)
	into := tr.node(t, "restore")
	if err := into.RestoreAll(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	for name, copies := range everything(t, into) {
		if copies != replicasOf {
			t.Errorf("%s has %d copies", name, copies)
		}
	}
	eventually(t, "all three have it", func() bool { return allCurrent(t, into) })
	c := tr.open(t, Config{Node: "a"})
	eventually(t, "the node to be ready", func() bool { return c.Ready() == nil })
	mustBeRestored(t, c)
}

// TestRestoreAllNowhere: the error says that NATS is away.
func TestRestoreAllNowhere(t *testing.T) {
	t.Parallel()
	into, err := Open(t.Context(), Config{URL: "nats://foyer:hush@127.0.0.1:1", Node: "restore", Bare: true, reach: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	if err := into.RestoreAll(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "is away") || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
}

// framed returns data as it is in the engine's snapshots: framed as by snappy,
// but not compressed.
func framed(data []byte) []byte {
	out := []byte("\xff\x06\x00\x00sNaPpY")
	for len(data) > 0 {
		n := min(len(data), 1<<15)
		sum := crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli))
		sum = (sum>>15 | sum<<17) + 0xa282ead8
		length := n + 4
		out = append(out, 1, byte(length), byte(length>>8), byte(length>>16))
		out = binary.LittleEndian.AppendUint32(out, sum)
		out, data = append(out, data[:n]...), data[n:]
	}
	return out
}

// A stream's file has a tar in it that the engine unpacks. One that claims
// terabytes, plainly or by being sparse, does not fill the disk.
func TestRestoreBomb(t *testing.T) {
	const terabytes = 1 << 45
	whole := backup(t, start(t, t.TempDir()))["CHAT"]
	head, _, _ := bytes.Cut(whole, []byte("\n"))
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	if err := w.WriteHeader(&tar.Header{Name: "msgs/1.blk", Mode: 0o600, Size: terabytes, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	for name, snapshot := range map[string][]byte{"plain": plain.Bytes(), "sparse": oldSparse(terabytes)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "part")
			if err := os.WriteFile(file, slices.Concat(head, []byte("\n"), framed(snapshot)), 0o600); err != nil {
				t.Fatal(err)
			}
			err := bare(t, filepath.Join(dir, "store")).RestoreAll(t.Context(), []string{file})
			if err == nil {
				t.Error("it was restored")
			}
			t.Log(err)
			size := int64(0)
			_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
				if err == nil {
					if info, err := d.Info(); err == nil {
						size += info.Size()
					}
				}
				return nil
			})
			if size > 16<<20 {
				t.Errorf("%d bytes are on the disk", size)
			}
		})
	}
}

// oldSparse returns a tar with one sparse file of that size and no data, as
// early GNU tar wrote it.
func oldSparse(size int64) []byte {
	block := make([]byte, 1024)
	copy(block, "msgs/1.blk")
	copy(block[100:], "0000600\x000000000\x000000000\x00")
	copy(block[124:], fmt.Sprintf("%011o\x00%011o\x00", 0, 0))
	block[156] = tar.TypeGNUSparse
	copy(block[257:], "ustar  \x00")
	big := func(b []byte, n int64) { // as numbers too great for octal digits are written
		b[0] = 0x80
		binary.BigEndian.PutUint64(b[4:], uint64(n))
	}
	big(block[386:398], size)
	copy(block[398:], fmt.Sprintf("%011o\x00", 0))
	big(block[483:495], size)
	copy(block[148:], "        ")
	sum := 0
	for _, b := range block[:512] {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return block
}
