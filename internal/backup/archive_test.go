package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foyer/internal/folder"
	"foyer/store"
)

// An entry is a file of an archive that somebody made by hand.
type entry struct {
	head tar.Header
	body string
}

// forge makes an archive of entries, with its note and, as far as they can be
// known, its checksums.
func forge(t testing.TB, entries ...entry) []byte {
	t.Helper()
	note, err := json.Marshal(Note{Foyer: archiveFormat, Version: "forged", Node: "one", At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var out, sums bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(head tar.Header, body string) {
		if head.Mode = 0o600; head.Typeflag == 0 {
			head.Typeflag = tar.TypeReg
		}
		if head.Size == 0 && head.Typeflag == tar.TypeReg {
			head.Size = int64(len(body))
		}
		if err := w.WriteHeader(&head); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256([]byte(body)), head.Name)
	}
	add(tar.Header{Name: archiveNote}, string(note))
	for i, e := range entries {
		add(e.head, e.body)
		if e.head.Size != 0 && i == len(entries)-1 { // it claims more than it has
			return out.Bytes()
		}
	}
	add(tar.Header{Name: archiveSums}, sums.String())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sparse is a file of an archive that claims to be as long as that, in each of
// the ways in which GNU tar writes one: of a few bytes it makes terabytes.
func sparse(t testing.TB, version, name string, size int64) []byte {
	t.Helper()
	records := map[string]string{"GNU.sparse.name": name, "GNU.sparse.realsize": fmt.Sprint(size)}
	body := ""
	switch version {
	case "1.0":
		records["GNU.sparse.major"], records["GNU.sparse.minor"] = "1", "0"
		body = fmt.Sprintf("1\n%d\n0\n", size)
		body += strings.Repeat("\x00", 512-len(body))
	case "0.1":
		records["GNU.sparse.size"], records["GNU.sparse.numblocks"], records["GNU.sparse.map"] = fmt.Sprint(size), "1", fmt.Sprintf("%d,0", size)
	}
	var pax strings.Builder
	for k, v := range records {
		line := " " + k + "=" + v + "\n"
		n := len(line) + len(fmt.Sprint(len(line)))
		n = len(line) + len(fmt.Sprint(n))
		pax.WriteString(fmt.Sprint(n) + line)
	}
	whole := forge(t, entry{tar.Header{Name: name}, body})
	// The records go before the header of the file, as tar writes them. Go's own
	// writer refuses to.
	at := 2 * 512 // after the note, which is less than a block
	block := make([]byte, 512)
	copy(block, "PaxHeaders/x")
	copy(block[100:], "0000600\x000000000\x000000000\x00")
	copy(block[124:], fmt.Sprintf("%011o\x00%011o\x00", pax.Len(), 0))
	block[156] = tar.TypeXHeader
	copy(block[257:], "ustar\x0000")
	copy(block[148:], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	text := pax.String() + strings.Repeat("\x00", (512-pax.Len()%512)%512)
	return bytes.Join([][]byte{whole[:at], block, []byte(text), whole[at:]}, nil)
}

// bombs are archives that would fill the disk, or write elsewhere.
func bombs(t testing.TB) map[string]struct {
	archive []byte
	want    string
} {
	const terabytes = 1 << 45
	link := func(kind byte) []byte {
		return forge(t, entry{tar.Header{Name: archiveRecords + "blue/x", Typeflag: kind, Linkname: "/etc/passwd"}, ""})
	}
	named := func(name string) []byte { return forge(t, entry{tar.Header{Name: name}, "x"}) }
	sized := func(name string, size int64) []byte { return forge(t, entry{tar.Header{Name: name, Size: size}, "x"}) }
	return map[string]struct {
		archive []byte
		want    string
	}{
		"a sparse recording":      {sparse(t, "1.0", archiveRecords+"blue/x.flv", terabytes), "is sparse"},
		"an older sparse stream":  {sparse(t, "0.1", archiveStore+"CHAT", terabytes), "is sparse"},
		"a sparse secret":         {sparse(t, "1.0", folder.AdminToken, terabytes), "is sparse"},
		"a link":                  {link(tar.TypeSymlink), "is a link"},
		"a hard link":             {link(tar.TypeLink), "is a link"},
		"a folder":                {link(tar.TypeDir), "is a link, a folder"},
		"a device":                {link(tar.TypeChar), "or a device"},
		"an absolute path":        {named("/" + archiveStore + "CHAT"), "leads out"},
		"a path that leads out":   {named(archiveRecords + "../x"), "leads out"},
		"a deep path":             {named(archiveRecords + strings.Repeat("a/", 10) + "x"), "too long a name"},
		"a very long name":        {named(archiveRecords + strings.Repeat("a", 5000)), "too long a name"},
		"a folder in the store":   {named(archiveStore + "a/b"), "nothing that foyer keeps"},
		"a secret that is a book": {sized(folder.AdminToken, 1<<20), "has 1048576 bytes"},
		"a stream of terabytes":   {sized(archiveStore+"CHAT", terabytes), "is too small"},
		"a film of terabytes":     {sized(archiveRecords+"blue/x.flv", terabytes), "is too small"},
		"more than can be":        {sized(archiveStore+"CHAT", math.MaxInt64), "is too small"},
	}
}

// A bomb is refused with a sentence before anything of it is written, and what
// was written before it goes again.
func TestArchiveBombs(t *testing.T) {
	for name, tt := range bombs(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			_, err := Restore(t.Context(), dir, bytes.NewReader(tt.archive))
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 500 {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it left something: %v", err)
			}
			if _, err := RestoreNATS(t.Context(), store.Config{URL: "nats://127.0.0.1:1"}, "nowhere", bytes.NewReader(tt.archive)); err == nil {
				t.Error("it may go into a NATS")
			}
		})
	}
}

// Many files together are as much as one: what all need is compared with what
// is free, and what others write meanwhile counts.
func TestRestoreNeedsSpace(t *testing.T) {
	defer func(was func(string) (int64, error)) { free = was }(free)
	film := strings.Repeat("film", 256)
	var films []entry
	for i := range 10 {
		films = append(films, entry{tar.Header{Name: fmt.Sprintf("%sblue/%d.flv", archiveRecords, i)}, film})
	}
	archive := forge(t, films...)
	for _, tt := range []struct {
		name string
		free func(call int) int64
		fits bool
	}{
		{"enough", func(int) int64 { return leaveFree + 10<<10 }, true},
		{"not for the last", func(int) int64 { return leaveFree + 10<<10 - 1 }, false},
		{"nothing", func(int) int64 { return 0 }, false},
		{"somebody else writes", func(call int) int64 { return leaveFree + 10<<10 - int64(call)<<11 }, false},
	} {
		calls := 0
		free = func(string) (int64, error) { calls++; return tt.free(calls), nil }
		dir := filepath.Join(t.TempDir(), "data")
		_, err := Restore(t.Context(), dir, bytes.NewReader(archive))
		if tt.fits != (err == nil) || err != nil && !strings.Contains(err.Error(), "is too small: the backup needs 1.0 KB more there") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FuzzArchive: whatever an archive is, it writes nothing outside of its folder,
// and not more than it is long.
func FuzzArchive(f *testing.F) {
	for _, b := range bombs(f) {
		f.Add(b.archive)
	}
	f.Add(forge(f, entry{tar.Header{Name: folder.AdminToken}, "a token\n"}, entry{tar.Header{Name: archiveRecords + "blue/x.flv"}, "film"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		above := t.TempDir()
		var got int64
		_, err := read(bytes.NewReader(archive), func(head *tar.Header, r io.Reader) error {
			n, err := io.Copy(io.Discard, r)
			got += n
			if why := foreign(head, false); why != "" {
				t.Errorf("%q %s", head.Name, why)
			}
			return err
		})
		if got > int64(len(archive)) {
			t.Errorf("%d bytes became %d", len(archive), got)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		dir := filepath.Join(above, "data")
		_, _ = Restore(t.Context(), dir, bytes.NewReader(archive))
		if there, _ := os.ReadDir(above); len(there) > 1 || len(there) == 1 && there[0].Name() != "data" {
			t.Errorf("it wrote %v", there)
		}
	})
}
