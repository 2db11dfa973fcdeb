// Package relay passes what one publisher sends to any number of players. It
// knows enough of audio and video messages to let a player begin where it can:
// with the metadata, the sequence headers of the codecs and what has come since
// the last key frame. It passes all payloads through untouched, unknown codecs
// too; only their times it straightens, so that they never go back.
//
// There are two kinds of players. One that takes messages (a recorder, a remux)
// joins and is called for each. One that takes bytes (an RTMP connection)
// follows: a Stream packs each message once, into a log that all of them share,
// and a Cursor is a follower's place in it. What a Cursor costs is its place:
// no queue, no goroutine, no timer. Somebody else decides when it is served
// (see Stream.Watch); a Stream does no I/O of its own.
package relay
