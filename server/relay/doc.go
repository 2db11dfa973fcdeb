// Package relay passes the messages of one publisher to any number of players.
// It knows enough of audio and video messages to let a player begin where it
// can: with the metadata, the sequence headers of the codecs, and everything
// since the last key frame. It passes all payloads through untouched, even of
// unknown codecs. It only straightens their times, so that these never go back.
//
// There are two kinds of players. A player that takes messages (a recorder, a
// remux) joins, and is called for each message. A player that takes bytes (an
// RTMP connection) follows: a Stream packs each message once, into a log that
// all followers share, and a Cursor is a follower's place in it. A Cursor has
// no queue, no goroutine and no timer. The caller decides when it is served
// (see Stream.Watch); a Stream does no I/O of its own.
package relay
