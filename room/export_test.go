package room

import (
	"foyer/lobby"
	"foyer/server/amf"
)

// Status is the report to the lobby.
func (r *Room) Status() lobby.Status { return r.status() }

// ParseText and Line read texts.
func ParseText(v amf.Value) (text, wrong string) { return parseText(v) }

func Line(v amf.Value, max int) string { return line(v, max) }
