package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A stored message, as a test compares it.
type storedMessage struct {
	subject, data, header string
	at                    time.Time
}

// fillStreams makes a stream with gaps, a bucket, and a bucket in memory.
func fillStreams(t *testing.T, c *Store) jetstream.Stream {
	t.Helper()
	stream, err := c.js().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "TALK", Subjects: []string{"talk.*"}, Storage: jetstream.FileStorage, AllowDirect: true, MaxMsgsPerSubject: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if _, err := c.js().Publish(t.Context(), fmt.Sprintf("talk.room%d", i%2), fmt.Appendf(nil, "message %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, seq := range []uint64{150, 151, 299, 300} {
		if err := stream.SecureDeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	for name, storage := range map[string]jetstream.StorageType{"STATE": jetstream.FileStorage, "LEASES": jetstream.MemoryStorage} {
		bucket, err := c.js().CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: name, Storage: storage})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := bucket.Put(t.Context(), "blue", []byte("newest")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return stream
}

// stored reads all messages of a stream by their sequence.
func messagesOf(t *testing.T, stream jetstream.Stream) map[uint64]storedMessage {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[uint64]storedMessage)
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all[seq] = storedMessage{m.Subject, string(m.Data), fmt.Sprint(m.Header), m.Time}
	}
	return all
}

// backup returns the files of a backup, by name.
func backup(t *testing.T, c *Store) map[string][]byte {
	t.Helper()
	files, spool := make(map[string][]byte), t.TempDir()
	err := c.Backup(t.Context(), spool, func(name string, size int64, r io.Reader) error {
		b, err := io.ReadAll(r)
		if int64(len(b)) != size {
			t.Errorf("%s has %d bytes, not %d", name, len(b), size)
		}
		files[name] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(spool); len(left) > 0 {
		t.Errorf("Backup left %v", left)
	}
	return files
}

// bare opens a store to restore into.
func bare(t *testing.T, dir string) *Store {
	t.Helper()
	c, err := Open(t.Context(), Config{Dir: dir, Node: "test", Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestBackup(t *testing.T) {
	c := start(t, filepath.Join(t.TempDir(), "one"))
	want := messagesOf(t, fillStreams(t, c))
	files := backup(t, c)
	if len(files) != 5 || files["TALK"] == nil || files["KV_STATE"] == nil {
		t.Fatalf("Backup gave %d files: want TALK, KV_STATE, and those of chat, rooms and objects, nothing that is only in memory", len(files))
	}

	dir := filepath.Join(t.TempDir(), "two")
	d := bare(t, dir)
	for name, b := range files {
		if err := d.Restore(t.Context(), bytes.NewReader(b)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	check := func(d *Store) {
		t.Helper()
		stream, err := d.js().Stream(t.Context(), "TALK")
		if err != nil {
			t.Fatal(err)
		}
		got := messagesOf(t, stream)
		if len(got) != len(want) {
			t.Errorf("%d messages, want %d", len(got), len(want))
		}
		for seq, m := range want {
			if got[seq] != m {
				t.Errorf("message %d is %v, want %v", seq, got[seq], m)
			}
		}
		bucket, err := d.js().KeyValue(t.Context(), "STATE")
		if err != nil {
			t.Fatal(err)
		}
		if e, err := bucket.Get(t.Context(), "blue"); err != nil || string(e.Value()) != "newest" || e.Revision() != 5 {
			t.Errorf("the bucket has %v, %v", e, err)
		}
	}
	check(d)
	if err := d.Restore(t.Context(), bytes.NewReader(files["TALK"])); err == nil {
		t.Error("a stream that is there was restored")
	}
	// The numbers continue after the removed messages, and everything is on
	// disk.
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = bare(t, dir)
	check(d)
	if ack, err := d.js().Publish(t.Context(), "talk.room1", nil); err != nil || ack.Sequence != 301 {
		t.Errorf("the next message: %v, %v; want sequence 301", ack, err)
	}
}

// TestBackupWhileStoring: a backup has all that was stored before it began.
func TestBackupWhileStoring(t *testing.T) {
	c := start(t, filepath.Join(t.TempDir(), "one"))
	fillStreams(t, c)
	ctx, stop := context.WithCancel(t.Context())
	stored, ended := make(chan struct{}), make(chan struct{})
	go func() { // until stop; the test waits for ended
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := c.js().Publish(t.Context(), fmt.Sprintf("talk.other%d", i), []byte("meanwhile")); err != nil {
				t.Error(err)
			}
			if i == 100 {
				close(stored)
			}
		}
	}()
	<-stored
	files := backup(t, c)
	stop()
	<-ended
	d := bare(t, filepath.Join(t.TempDir(), "two"))
	if err := d.Restore(t.Context(), bytes.NewReader(files["TALK"])); err != nil {
		t.Fatal(err)
	}
	stream, err := d.js().Stream(t.Context(), "TALK")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 101 {
		if _, err := stream.GetLastMsgForSubject(t.Context(), fmt.Sprintf("talk.other%d", i)); err != nil {
			t.Errorf("message %d was stored before the backup began: %v", i, err)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	c := start(t, filepath.Join(t.TempDir(), "one"))
	fillStreams(t, c)
	whole := backup(t, c)["TALK"]
	head, _, _ := bytes.Cut(whole, []byte("\n"))
	d := bare(t, filepath.Join(t.TempDir(), "two"))
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"no first line":   []byte(strings.Repeat("x", maxSnapshotHead+1)),
		"not JSON":        []byte("hello\n"),
		"another format":  []byte(`{"foyer":"stream 9"}` + "\n"),
		"only the head":   append(bytes.Clone(head), '\n'),
		"half":            whole[:len(head)+(len(whole)-len(head))/2],
		"damaged content": append(append(bytes.Clone(head), '\n'), bytes.Repeat([]byte("damaged"), 1000)...),
	} {
		t.Run(name, func(t *testing.T) {
			if err := d.Restore(t.Context(), bytes.NewReader(b)); err == nil {
				t.Error("it was restored")
			} else {
				t.Log(err)
			}
		})
	}
	if err := d.Restore(t.Context(), bytes.NewReader(whole)); err != nil {
		t.Errorf("after all that the good one: %v", err)
	}
}

// BenchmarkPut is one node's report of a room in a bucket in memory.
func BenchmarkPut(b *testing.B) {
	c := openBench(b, b.TempDir())
	bucket, err := c.js().CreateKeyValue(b.Context(), jetstream.KeyValueConfig{Bucket: "DIR", Storage: jetstream.MemoryStorage})
	if err != nil {
		b.Fatal(err)
	}
	report := make([]byte, 512)
	for i := 0; b.Loop(); i++ {
		if _, err := bucket.Put(b.Context(), fmt.Sprintf("room%d", i%1000), report); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBackup is a backup of 100,000 messages of 200 bytes.
func BenchmarkBackup(b *testing.B) {
	c, spool := openBench(b, filepath.Join(b.TempDir(), "store")), b.TempDir()
	if _, err := c.js().CreateStream(b.Context(), jetstream.StreamConfig{Name: "TALK", Subjects: []string{"talk.*"}}); err != nil {
		b.Fatal(err)
	}
	text := bytes.Repeat([]byte("message "), 25)
	for i := range 100_000 {
		if _, err := c.js().PublishAsync(fmt.Sprintf("talk.room%d", i%50), text); err != nil {
			b.Fatal(err)
		}
	}
	<-c.js().PublishAsyncComplete()
	b.SetBytes(100_000 * 200)
	for b.Loop() {
		err := c.Backup(b.Context(), spool, func(_ string, size int64, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			b.ReportMetric(float64(size)/1e6, "MB")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func openBench(b *testing.B, dir string) *Store {
	b.Helper()
	c, err := Open(b.Context(), Config{Dir: dir, Node: "test"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}
