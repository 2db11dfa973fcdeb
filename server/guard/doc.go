// Package guard stands between a process and the strangers at its doors.
//
// One [Guard] serves a whole process. It knows the address that a connection
// really comes from, counts what each address has and does, and says no with a
// [Refusal] that names the limit and when to try again. It also has the two
// things that exist only once: the comparison of secrets ([Same]) and the
// count of wrong credentials ([Guard.Shown]).
//
// What an address has are places: [Guard.Enter] for a connection,
// [Guard.Request] for a request while it runs, [Guard.OpenRoom] for a room.
// [Guard.Listen] bounds the sockets of the process, before anything is read
// from them.
//
// An address counts as its [Source]: an IPv4 address, or the /64 of an IPv6
// one. Addresses of [Limits].Exempt are free of the limits for addresses, but
// never of the count of wrong credentials.
package guard
