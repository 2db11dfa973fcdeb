package cli

import (
	"fmt"
	"io"
	"time"

	"foyer/internal/backup"
)

// meterEvery is how often a line that shows progress is drawn.
const meterEvery = 200 * time.Millisecond

// A byteMeter counts what is written to it and shows it on a terminal, on one
// line that is gone at the end.
type byteMeter struct {
	w        io.Writer
	terminal bool
	what     string

	bytes int64
	drawn time.Time
}

// Write counts b.
func (m *byteMeter) Write(b []byte) (int, error) {
	m.bytes += int64(len(b))
	if now := time.Now(); m.terminal && now.Sub(m.drawn) >= meterEvery {
		m.drawn = now
		fmt.Fprintf(m.w, "\r\x1b[K%s %s (Ctrl-C breaks it off)", backup.SizeText(m.bytes), m.what)
	}
	return len(b), nil
}

// end takes the line away.
func (m *byteMeter) end() {
	if !m.drawn.IsZero() {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
	m.drawn = time.Time{}
}
