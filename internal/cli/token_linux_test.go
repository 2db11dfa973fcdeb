package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"foyer/internal/folder"
)

func TestGivenToken(t *testing.T) {
	file, empty := filepath.Join(t.TempDir(), "token"), filepath.Join(t.TempDir(), "empty")
	writeFile(t, file, "of the file\n")
	writeFile(t, empty, "\n")
	p := &program{stdin: strings.NewReader(""), stderr: t.Output()}
	for _, c := range []struct {
		token folder.Secret
		file  string
		want  folder.Secret
		err   string
	}{
		{"", "", "", ""},
		{"given", "", "given", ""},
		{"", file, "of the file", ""},
		{"given", file, "of the file", ""},
		{"", empty, "", "is empty"},
		{"", file + "x", "", "reading a secret"},
	} {
		got, err := p.givenToken(t.Context(), c.token, c.file)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q, %s: got %q, %v", string(c.token), c.file, string(got), err)
		}
	}
}

// openTerminal opens a new terminal: its two ends.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	const unlock, open = 0x40045431, 0x5441 // TIOCSPTLCK and TIOCGPTPEER of Linux
	var no int32
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), unlock, uintptr(unsafe.Pointer(&no))); e != 0 {
		t.Skip(e)
	}
	fd, _, e := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), open, syscall.O_RDWR|syscall.O_NOCTTY)
	if e != 0 {
		t.Skip(e)
	}
	slave = os.NewFile(fd, "terminal")
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	var state syscall.Termios
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&state))); e != 0 {
		t.Fatal(e)
	}
	return state.Lflag&syscall.ECHO != 0
}

// TestTypedToken: a token that is typed is not shown, and a terminal is left as
// it was, also when the program is stopped meanwhile.
func TestTypedToken(t *testing.T) {
	master, slave := openTerminal(t)
	var out strings.Builder
	p := &program{stdin: slave, stderr: &out}
	type answer struct {
		token folder.Secret
		err   error
	}
	got := make(chan answer, 1)
	ask := func(ctx context.Context) {
		token, err := p.givenToken(ctx, askToken, "")
		got <- answer{token, err}
	}
	hidden := func() {
		for end := time.Now().Add(patience); echoes(t, slave); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the terminal shows what is typed")
			}
		}
	}
	for _, c := range []struct {
		typed string
		want  folder.Secret
		err   bool
	}{{"let me in \n", "let me in", false}, {"\n", "", true}} {
		go ask(t.Context())
		hidden()
		master.WriteString(c.typed)
		if a := <-got; a.token != c.want || (a.err != nil) != c.err {
			t.Errorf("typed %q: got %q, %v", c.typed, string(a.token), a.err)
		}
		if !echoes(t, slave) {
			t.Error("the terminal does not show what is typed any more")
		}
	}
	if strings.Contains(out.String(), "let me in") || !strings.Contains(out.String(), "Token: ") {
		t.Errorf("it printed %q", out.String())
	}
	ctx, stop := context.WithCancel(t.Context())
	go ask(ctx)
	hidden()
	stop()
	if a := <-got; !errors.Is(a.err, context.Canceled) || !echoes(t, slave) {
		t.Errorf("stopped: %v; it shows what is typed: %v", a.err, echoes(t, slave))
	}
	master.WriteString("\n") // lets the reader go
}

// A backup is neither printed on a terminal nor typed at one.
func TestBackupAtTerminal(t *testing.T) {
	_, slave := openTerminal(t)
	p := &program{stdin: slave, stdout: slave, stderr: t.Output()}
	for name, err := range map[string]error{
		"backup":  (&backupCommand{File: "-"}).Run(t.Context(), p),
		"restore": (&restoreCommand{File: "-"}).Run(t.Context(), p),
	} {
		if _, usage := errors.AsType[*usageError](err); !usage || !strings.Contains(err.Error(), "name a file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
