// Package backlog is about what waits to be written to peers that read slowly.
//
// A [Writer] writes to a connection for as long as the peer takes anything at
// all: it gives up, with [ErrStuck], only after [Patience] in which nothing
// could be written. So whoever reads, however slowly, is never ended because
// others have much to say.
//
// What waits meanwhile is memory. A [Tally] is what one outbox of the process
// has waiting, and a [Budget] what all of them have together. When that is used
// up, the worst of them are ended: those with most bytes and for longest without
// progress. [Bytes] that wait in a thousand outboxes are counted once. An outbox
// with little in it is not counted at all, so an ordinary message costs nothing.
//
// A [Level] says how far behind a peer is: a sender that has only a state to
// tell, no events, does better to wait and tell the latest.
package backlog
