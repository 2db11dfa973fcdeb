// Package guard stands between a process and the strangers at its doors.
//
// One [Guard] serves a whole process. It knows the address that a connection
// really comes from, counts the connections, rooms and requests of each
// address, and says no with a [Refusal] that names the limit and when to try
// again. Three things exist only here: the comparison of secrets ([Same]), the
// count of wrong credentials ([Guard.Shown]), and what becomes of a host that a
// stranger has written ([SeenFrom], [Hostname]).
//
// An address has places: [Guard.Enter] takes one for a connection,
// [Guard.Request] one for a request while it runs, and [Guard.OpenRoom] one for
// a room. [Guard.Listen] bounds the sockets of the process, before anything is
// read from them.
//
// An address counts as its [Source]: an IPv4 address, or the /64 of an IPv6
// one. The limits for addresses do not apply to those in [Limits].Exempt, but
// the count of wrong credentials always does.
package guard
