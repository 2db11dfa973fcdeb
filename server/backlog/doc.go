// Package backlog keeps the data that waits for peers that read slowly.
//
// A [Writer] writes to a connection as long as the peer takes anything at all.
// It gives up, with [ErrStuck], only after [Patience] in which nothing could be
// written. So a peer that reads, however slowly, is never ended because others
// have much to say.
//
// Data that waits takes memory. A [Tally] counts it for one outbox of the
// process, and a [Budget] for all of them together. When the budget is used up,
// the worst outboxes are ended: those with the most bytes and the longest time
// without progress. [Bytes] that wait in a thousand outboxes are counted once.
// An outbox that holds little is not counted at all, so an ordinary message
// costs nothing.
//
// A [Level] says how far behind a peer is. A sender of states rather than
// events does better to wait, and to send the latest state.
package backlog
