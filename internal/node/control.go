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

// MaxSocketPath is how long the path of a socket may be, in bytes. It fits
// everywhere (108 with a zero on Linux, 104 elsewhere), also with the longer name
// that the socket has while it is made.
const MaxSocketPath = 100

// ErrNotRunning says that no server has that data folder.
var ErrNotRunning = errors.New("no server runs there")

// listenControl opens the control socket. A server can do without one.
func (n *Node) listenControl() error {
	name := filepath.Join(n.settings.Data, folder.Control)
	if len(name) > MaxSocketPath {
		n.log.Warn("no control socket: the path of the data folder is too long for one; backup and forget need --url and the admin token", "file", name, "max", MaxSocketPath)
		return nil
	}
	if c, err := net.Dial("unix", name); err == nil {
		c.Close()
		return fmt.Errorf("the folder %s is %w", n.settings.Data, store.ErrInUse)
	}
	ln, err := openControl(name)
	if err != nil {
		n.log.Warn("no control socket: backup and forget need --url and the admin token", "err", err)
		return nil
	}
	n.control = ln
	return nil
}

// A controlListener takes the file of its socket away when it is closed.
type controlListener struct {
	net.Listener
	name string
	file fs.FileInfo
}

// openControl listens at a socket of that name. From its first moment only this
// user can open it. A socket that is there already is replaced.
func openControl(name string) (net.Listener, error) {
	private, err := os.MkdirTemp(filepath.Dir(name), ".c") // mode 0700
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	fresh := filepath.Join(private, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // it gets another name
	if err = os.Chmod(fresh, 0o600); err == nil {
		err = os.Rename(fresh, name)
	}
	file, statErr := os.Lstat(name)
	if err = errors.Join(err, statErr); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &controlListener{ln, name, file}, nil
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
// has the folder.
func ControlClient(data string) (url string, client *http.Client) {
	name := filepath.Join(data, folder.Control)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", name)
		switch {
		case len(name) > MaxSocketPath:
			return nil, fmt.Errorf("the path %s is too long for a control socket: name the server with --url", name)
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("%s is the server's, and only its user may use it: run this as %s, or name the server with --url and a token", name, cmp.Or(folder.Owner(name), folder.Owner(data), "that user"))
		case err != nil && ctx.Err() == nil:
			return nil, ErrNotRunning
		}
		return c, err
	}
	return "http://" + protoControl, &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}
