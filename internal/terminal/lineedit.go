package terminal

import (
	"slices"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// maxEditLine bounds the line being written; a room takes 500 code points, and
// too long a line is better refused by it than cut off here.
const maxEditLine = 2000

// A lineEdit is one line being written, with the lines before it. The zero
// value is empty.
type lineEdit struct {
	text []rune
	at   int // cursor: before text[at]

	sent  [][]rune // lines before, oldest first
	shown int      // of sent: which one is in text; len(sent) is a new one
}

// key applies a key and reports whether it was one for editing.
func (e *lineEdit) key(name string) bool {
	switch name {
	case "left", "ctrl+b":
		e.at = max(0, e.at-1)
	case "right", "ctrl+f":
		e.at = min(len(e.text), e.at+1)
	case "home", "ctrl+a":
		e.at = 0
	case "end", "ctrl+e":
		e.at = len(e.text)
	case "backspace", "ctrl+h":
		e.cut(e.at-1, e.at)
	case "delete", "ctrl+d":
		e.cut(e.at, e.at+1)
	case "ctrl+u":
		e.cut(0, e.at)
	case "ctrl+k":
		e.cut(e.at, len(e.text))
	case "ctrl+w", "alt+backspace":
		e.cut(e.wordStart(), e.at)
	case "up":
		e.recall(e.shown - 1)
	case "down":
		e.recall(e.shown + 1)
	default:
		return false
	}
	return true
}

// cut removes text[from:to], as far as that exists.
func (e *lineEdit) cut(from, to int) {
	from, to = max(0, from), min(to, len(e.text))
	if from < to {
		e.text, e.at = slices.Delete(e.text, from, to), from
	}
}

// wordStart is where the word before the cursor begins.
func (e *lineEdit) wordStart() int {
	i := e.at
	for i > 0 && unicode.IsSpace(e.text[i-1]) {
		i--
	}
	for i > 0 && !unicode.IsSpace(e.text[i-1]) {
		i--
	}
	return i
}

// recall puts a line that was sent back into the box.
func (e *lineEdit) recall(i int) {
	if i < 0 || i > len(e.sent) {
		return
	}
	e.shown, e.text = i, nil
	if i < len(e.sent) {
		e.text = slices.Clone(e.sent[i])
	}
	e.at = len(e.text)
}

// insert writes s at the cursor. Line breaks become spaces.
func (e *lineEdit) insert(s string) {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	r := []rune(s)
	r = r[:min(len(r), maxEditLine-len(e.text))]
	e.text = slices.Insert(e.text, e.at, r...)
	e.at += len(r)
}

// take empties the box, remembers the line and returns it.
func (e *lineEdit) take() string {
	line := strings.TrimSpace(string(e.text))
	if line != "" {
		e.sent = append(e.sent, []rune(line))
	}
	e.text, e.at, e.shown = nil, 0, len(e.sent)
	return line
}

// putBack puts a line that was not taken back into the box, in front of what
// was written since.
func (e *lineEdit) putBack(line string) {
	if len(e.text) > 0 {
		line += " "
	}
	e.text = append([]rune(line), e.text...)
	e.at = len(e.text)
}

// view is what fits into width columns, and the column of the cursor.
func (e *lineEdit) view(width int) (line string, cursor int) {
	before := ansi.StringWidth(string(e.text[:e.at]))
	skip := max(0, before-width+1)
	return ansi.Cut(string(e.text), skip, skip+width), before - skip
}
