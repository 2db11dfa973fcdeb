package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"foyer/internal/folder"
	"foyer/store"
)

// protoControl stands for the control socket among the listeners.
const protoControl = "control"

// maxSocketPath is how long the path of a socket may be, in bytes. It fits
// everywhere (108 with a zero on Linux, 104 elsewhere), also with the longer name
// that the socket has while it is made.
const maxSocketPath = 100

// ErrNotRunning says that no server has that data folder.
var ErrNotRunning = errors.New("no server runs there")

// shortPath is a path of a folder that leaves room for the name of a socket in it:
// where its own is too long, that of an open file, which Linux has. It holds until
// done is called.
func shortPath(dir string) (short string, done func(), err error) {
	if len(filepath.Join(dir, folder.Control)) <= maxSocketPath {
		return dir, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd()), func() { f.Close() }, nil
}

// alone refuses a data folder whose server runs.
func (n *Node) alone(ctx context.Context) error {
	c, err := dialControl(ctx, n.settings.Data)
	if err != nil {
		return nil
	}
	c.Close()
	return fmt.Errorf("the folder %s is %w", n.settings.Data, store.ErrInUse)
}

// listenControl opens the control socket. A server can do without one.
func (n *Node) listenControl() {
	ln, err := openControl(n.settings.Data)
	if err != nil {
		n.log.Warn("no control socket: backup and forget need --url and the admin token", "err", err)
		return
	}
	n.control = ln
}

// A controlListener takes the file of its socket away when it is closed.
type controlListener struct {
	net.Listener
	name string
	file fs.FileInfo
}

// openControl listens at the socket of a data folder. From its first moment only
// this user can open it. A socket that is there already is replaced.
func openControl(data string) (net.Listener, error) {
	name := filepath.Join(data, folder.Control)
	private, err := os.MkdirTemp(data, ".c") // mode 0700
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	short, done, err := shortPath(data)
	if err != nil {
		return nil, err
	}
	defer done()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, filepath.Base(private), "s"), Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // it gets another name
	fresh := filepath.Join(private, "s")
	if err = os.Chmod(fresh, 0o600); err == nil {
		err = os.Rename(fresh, name)
	}
	file, statErr := os.Lstat(name)
	if err = errors.Join(err, statErr); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &controlListener{ln, name, file}, nil
}

// dialControl opens a connection to the server that has the data folder.
func dialControl(ctx context.Context, data string) (net.Conn, error) {
	short, done, err := shortPath(data)
	if err != nil {
		return nil, err
	}
	defer done()
	return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(short, folder.Control))
}

// Close closes the socket.
func (l *controlListener) Close() error {
	if now, err := os.Lstat(l.name); err == nil && os.SameFile(now, l.file) {
		os.Remove(l.name)
	}
	return l.Listener.Close()
}

// ControlClient is a client of the server that has the data folder, and the URL of
// that server for this client. A request fails with [ErrNotRunning] when no server
// has the folder, or there can be no socket in it: opening the files shows which.
func ControlClient(data string) (url string, client *http.Client) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := dialControl(ctx, data)
		switch {
		case errors.Is(err, fs.ErrPermission):
			name := filepath.Join(data, folder.Control)
			return nil, fmt.Errorf("%s is the server's, and only its user may use it: run this as %s, or name the server with --url and a token", name, cmp.Or(folder.Owner(name), folder.Owner(data), "that user"))
		case err != nil && ctx.Err() == nil:
			return nil, ErrNotRunning
		}
		return c, err
	}
	return "http://" + protoControl, &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}
