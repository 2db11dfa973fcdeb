// Package relay passes what one publisher sends to any number of players. It
// knows enough of audio and video messages to let a player begin where it can:
// with the metadata and the sequence headers of the codecs, and then from a key
// frame. It passes all payloads through untouched, unknown codecs too.
package relay
