package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"foyer/demo"
	"foyer/internal/folder"
	"foyer/room"
)

// publishCommand broadcasts into a room.
type publishCommand struct {
	URL  string `arg:"" help:"Where to: rtmp://host/room/NAME/live?key=KEY, or just NAME for a room on this machine, whose key is taken from --data."`
	File string `arg:"" optional:"" help:"An FLV file. Default: a test card with a moving clock."`

	Once         bool          `help:"Play it once. Default: in a loop."`
	Stream       string        `placeholder:"NAME" help:"The stream, when the URL names only the room. Default: live."`
	Key          folder.Secret `placeholder:"KEY" help:"The key of the room, when the URL does not have it."`
	Data         string        `default:"foyer-data" placeholder:"DIR" help:"The server's data folder, for a room on this machine. Default: ${default}."`
	StreamSecret folder.Secret `placeholder:"SECRET" help:"The server's stream secret, instead of the one in the data folder."`
}

// Help is shown by publish --help.
func (publishCommand) Help() string {
	return `What to type as the key is what 'foyer key ROOM' prints: the URL is its server line, a slash, and its key line, in quotes.

A server that goes away is tried again until it is back. When somebody else takes over the stream, publish ends with status 1.`
}

// Run broadcasts until the file has been played, the room says no or ctx ends.
func (cmd *publishCommand) Run(ctx context.Context, p *program) error {
	if !demo.CanBroadcast {
		return fmt.Errorf("%w: use 'ffmpeg -re -i FILE -c copy -f flv URL' instead", demo.ErrCannot)
	}
	uri, stream, err := cmd.target(ctx, p)
	if err != nil {
		return err
	}
	source := demo.Clip()
	if cmd.File != "" {
		f, err := os.Open(cmd.File)
		if err != nil {
			return err
		}
		defer f.Close()
		if source, err = demo.NewSource(f); err != nil {
			return fmt.Errorf("%s: %w", cmd.File, err)
		}
	}
	if w := source.Warning(); w != "" {
		fmt.Fprintf(p.stderr, "foyer: %s\n", w)
	}
	meter := &meter{w: p.stderr, terminal: isTerminal(p.stderr), what: source.String()}
	b := &demo.Broadcast{URL: uri, Stream: stream, Source: source, Once: cmd.Once, OnProgress: meter.progress}
	err = b.Run(ctx)
	meter.end()
	if err != nil {
		return fmt.Errorf("publishing to %s: %w", uri, explain(err))
	}
	return nil
}

// explain adds advice to an error that a person can do something about.
func explain(err error) error {
	if r, ok := errors.AsType[*demo.Refusal](err); ok && !r.Late && strings.Contains(r.Description, "key") {
		return fmt.Errorf("%w ('foyer key ROOM' on the server prints it)", err)
	}
	return advice(err)
}

// target is where to broadcast: the address of the room, and the stream with its key.
func (cmd *publishCommand) target(ctx context.Context, p *program) (uri, stream string, err error) {
	if strings.Contains(cmd.File, "://") {
		return "", "", usagef("the address comes first, then the file: foyer publish %s %s", cmd.File, cmd.URL)
	}
	if room.ValidName(cmd.URL) {
		key := string(cmd.Key)
		if key == "" {
			o := &operator{Data: cmd.Data}
			if key, err = o.keyOf(ctx, p, cmd.StreamSecret, cmd.URL); err != nil {
				return "", "", err
			}
		}
		return "rtmp://localhost/room/" + cmd.URL, cmp.Or(cmd.Stream, "live") + "?key=" + url.QueryEscape(key), nil
	}
	address, err := rtmpAddress(cmd.URL, "rtmp://HOST/room/NAME/live?key=KEY")
	if err != nil {
		return "", "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", "", usagef("%w", err)
	}
	path, name := strings.Trim(u.Path, "/"), cmd.Stream
	parts := strings.Split(path, "/")
	last := len(parts) - 1
	switch {
	case last > 0 && slices.Index(parts, "room") == last-1: // the address of a room
		if cmd.Key == "" && u.RawQuery == "" && name == "" {
			return "", "", usagef("%q names a room, but no key: add /live?key=KEY, or give --key", cmd.URL)
		}
	case name == "":
		path, name = strings.Join(parts[:last], "/"), parts[last]
	}
	if path == "" {
		return "", "", usagef("%q names no stream: the last part of the address is its name", cmd.URL)
	}
	stream = cmp.Or(name, "live")
	switch {
	case cmd.Key != "":
		stream += "?key=" + url.QueryEscape(string(cmd.Key))
	case u.RawQuery != "":
		stream += "?" + u.RawQuery
	}
	return u.Scheme + "://" + u.Host + "/" + path, stream, nil
}

// A meter shows on a terminal how a broadcast goes, on one line. Elsewhere it
// only says when a connection was lost and when it is back.
type meter struct {
	w        io.Writer
	terminal bool
	what     string

	drawn  bool
	lost   bool
	before demo.Progress // two seconds or so ago, to measure from
	at     time.Time
	rate   float64 // bits per second
}

// rateWindow is the time over which the rate is measured.
const rateWindow = 2 * time.Second

// progress takes a report.
func (m *meter) progress(p demo.Progress) {
	if !p.Live {
		if !m.lost {
			m.line("connection lost: %v; trying again", p.Err)
		}
		m.lost = true
		return
	}
	if m.lost {
		m.line("connected again")
		m.lost, m.at = false, time.Time{}
	}
	now := time.Now()
	switch passed := now.Sub(m.at); {
	case m.at.IsZero():
		m.at, m.before = now, p
	case passed >= rateWindow || m.rate == 0 && passed > 0:
		m.rate = float64(p.Bytes-m.before.Bytes) * 8 / passed.Seconds()
		if passed >= rateWindow {
			m.at, m.before = now, p
		}
	}
	if m.terminal {
		s := int(p.Sent.Seconds())
		fmt.Fprintf(m.w, "\r\x1b[Kon air %d:%02d:%02d  %.0f kbit/s  %s  (Ctrl-C ends it)", s/3600, s/60%60, s%60, m.rate/1000, m.what)
		m.drawn = true
	}
}

// line writes a line of its own.
func (m *meter) line(format string, args ...any) {
	m.end()
	fmt.Fprintf(m.w, "foyer: "+format+"\n", args...)
}

// end ends the line that was drawn over and over.
func (m *meter) end() {
	if m.drawn {
		fmt.Fprintln(m.w)
	}
	m.drawn = false
}
