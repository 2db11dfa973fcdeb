package room

import "foyer/lobby"

// Status is what the room reports.
func (r *Room) Status() lobby.Status { return r.status() }
