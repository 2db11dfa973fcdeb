package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// damagedStore makes a store with twenty messages and closes it, by force or
// not: a forced one has no index.
func damagedStore(t *testing.T, indexed bool) (dir, block string) {
	t.Helper()
	dir = t.TempDir()
	c := start(t, dir)
	r := open(t, c, "blue")
	mustSay(t, r, 1, 20)
	remove(t, r, 7, true)
	saved := make(chan error, 1)
	r.Save([]byte("state"), func(err error) { saved <- err })
	if err := <-saved; err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	msgs := filepath.Join(dir, "jetstream", "$G", "streams", chatStream, "msgs")
	if !indexed {
		if err := os.Remove(filepath.Join(msgs, "index.db")); err != nil {
			t.Fatal(err)
		}
	}
	return dir, filepath.Join(msgs, "1.blk")
}

// Only the damaged part of a file is lost, and the server starts.
func TestDamagedBlock(t *testing.T) {
	all := []uint64{1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}
	without := func(ids ...uint64) []uint64 {
		return slices.DeleteFunc(slices.Clone(all), func(id uint64) bool { return slices.Contains(ids, id) })
	}
	at := func(data []byte, id int) int { return bytes.Index(data, fmt.Appendf(nil, "%d hi", id)) }
	tests := []struct {
		name   string
		damage func([]byte) []byte
		want   []uint64
	}{
		{"text", func(b []byte) []byte { b[at(b, 10)] ^= 0x10; return b }, without(10)},
		{"first", func(b []byte) []byte { b[at(b, 1)+3] ^= 1; return b }, without(1)},
		{"length", func(b []byte) []byte { i := at(b, 12) + 5 + recordHash; b[i] ^= 0x7f; b[i+1] ^= 1; return b }, without(13)},
		{"two", func(b []byte) []byte { b[at(b, 3)] ^= 1; b[at(b, 4)] ^= 1; b[at(b, 15)] ^= 1; return b }, without(3, 4, 15)},
		{"cut out", func(b []byte) []byte { return slices.Delete(b, at(b, 5), at(b, 6)) }, without(5, 6)},
		{"nothing", func(b []byte) []byte { return b }, all},
	}
	for _, tt := range tests {
		for _, indexed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", tt.name, indexed), func(t *testing.T) {
				t.Parallel()
				dir, block := damagedStore(t, indexed)
				data, err := os.ReadFile(block)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(block, tt.damage(data), 0o600); err != nil {
					t.Fatal(err)
				}
				wasDamaged := len(tt.want) < len(all)
				c := start(t, dir)
				for range 2 { // the second start finds no damage, but still less than there was
					r := open(t, c, "blue")
					messages, complete, _, err := r.Page(t.Context(), 0, -1, 50)
					if got := idsOf(t, messages); err != nil || !slices.Equal(got, tt.want) || complete == wasDamaged {
						t.Errorf("kept %v, %v, want %v; complete: %v", got, err, tt.want, complete)
					}
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					c = start(t, dir)
				}
				r := open(t, c, "blue")
				if string(r.State()) != "state" {
					t.Errorf("state %q", r.State())
				}
				next := uint64(21)
				if len(tt.want) < len(all) { // the newest message may be lost, too: no id is given out again
					next = reserve + 1
				}
				mustSay(t, r, next, next+1)
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				mustSay(t, open(t, start(t, dir), "blue"), next+2, next+2)
				copied, _ := filepath.Glob(filepath.Join(dir, "damaged", "*"))
				if wasDamaged != (len(copied) == 1) {
					t.Errorf("copies of the damaged: %v", copied)
				}
			})
		}
	}
}

// Files that are cut off or not there at all: the server starts, and can store.
func TestDamagedFiles(t *testing.T) {
	for _, file := range []string{
		"CHAT/msgs/1.blk", "CHAT/msgs/index.db", "CHAT/meta.inf", "CHAT/meta.sum", "KV_ROOMS/msgs/1.blk", "KV_ROOMS/meta.inf",
	} {
		for name, size := range map[string]int64{"half": -1, "empty": 0} {
			t.Run(file+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir, _ := damagedStore(t, true)
				path := filepath.Join(dir, "jetstream", "$G", "streams", filepath.FromSlash(file))
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if size < 0 {
					size = info.Size() / 2
				}
				if err := os.Truncate(path, size); err != nil {
					t.Fatal(err)
				}
				r := open(t, start(t, dir), "blue")
				messages, _, _, err := r.Page(t.Context(), 0, -1, 50)
				if err != nil {
					t.Error(err)
				}
				t.Logf("%d of 19 messages, state %q, last id %d", len(messages), r.State(), r.Last())
				if _, err := say(r, "hi"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// After a power loss that may have cost the last second, ids that were given
// out in it are not given out again.
func TestPowerLost(t *testing.T) {
	for note, next := range map[string]uint64{
		"another-boot second": reserve + 1, "another-boot always": 21, bootID() + " second": 21, "": 21,
	} {
		dir, _ := damagedStore(t, true)
		if data, err := os.ReadFile(filepath.Join(dir, openFile)); err != nil || len(data) > 0 {
			t.Errorf("closed, and still noted as open: %s, %v", data, err)
		}
		if note != "" {
			if err := os.WriteFile(filepath.Join(dir, openFile), []byte(note), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := open(t, start(t, dir), "blue")
		mustSay(t, r, next, next)
	}
}

// BenchmarkMendBlocks is the check at the start of a store with 100,000 messages
// of 200 bytes.
func BenchmarkMendBlocks(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "store")
	c := openBench(b, dir)
	text := bytes.Repeat([]byte("message "), 25)
	for i := range 100_000 {
		if _, err := c.js().PublishAsync(fmt.Sprintf("%s.room%d", chatSubject, i%50), text); err != nil {
			b.Fatal(err)
		}
	}
	<-c.js().PublishAsyncComplete()
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(100_000 * 200)
	for b.Loop() {
		if whole, err := mendBlocks(dir, slog.New(slog.DiscardHandler)); err != nil || !whole {
			b.Fatalf("whole %v, %v", whole, err)
		}
	}
}
