package room

import (
	"foyer/lobby"
	"foyer/server/amf"
)

// Status is what the room reports.
func (r *Room) Status() lobby.Status { return r.status() }

// ParseText and Line are what becomes of texts.
func ParseText(v amf.Value) (text, wrong string) { return parseText(v) }

func Line(v amf.Value, max int) string { return line(v, max) }
