package rtmp

import (
	"cmp"
	"time"

	"foyer/server/backlog"
	"foyer/server/guard"
)

// The bytes and numbers that a peer may use. A peer that goes over a limit of
// the wire ends its connection with a *ProtocolError.
const (
	MaxMessageBeforeConnect = 64 << 10  // any message, until its connect is accepted
	MaxMessage              = 4 << 20   // audio, video, data, aggregate of a peer that publishes with a right
	MaxMessageOfSpectator   = 64 << 10  // the same of any other peer
	MaxCommand              = 256 << 10 // commands, shared objects, and everything else
	MaxControl              = 1 << 10   // protocol control and user control
	MaxPartial              = 8 << 20   // memory of all unfinished messages of a connection that publishes
	MaxPartialOfSpectator   = 320 << 10 // of any other peer: a command and a little more
	MaxPartialBeforeConnect = 128 << 10 // until its connect is accepted
	MaxChunkStreams         = 64        // chunk streams of a connection
	MaxStreams              = 16        // message streams the peer has open at a time
	MaxRequests             = 1024      // calls of ours that wait for an answer: ErrBusy
	MaxMediaOutbox          = 2 << 20   // media not yet written; more is dropped
	mediaReserve            = 256 << 10 // of audio and codec headers over MaxMediaOutbox
	MaxChunkSize            = 0xFFFFFF  // RTMP 1.0 §5.4.1: greater ones mean the same
)

// How long things may take.
const (
	MaxStall      = 10 * time.Second // without progress of an unfinished message
	minProgress   = 32               // progress is this part of the bytes already there, at least one byte
	flushTimeout  = 2 * time.Second  // for the last words of Close and Reject
	lingerTimeout = time.Second      // for the peer to read them and leave
)

// Config is optional everywhere. The zero value is usable.
type Config struct {
	HandshakeTimeout time.Duration // handshake and connect together; 0 means 10 s
	PingInterval     time.Duration // silence before a ping is sent; 0 means 10 s
	PingTimeout      time.Duration // silence before the session ends; 0 means 30 s
	// Partial is the memory that unfinished messages of many connections share.
	// All connections without one share a budget, too.
	Partial *guard.Budget

	// Outboxes counts the bytes that wait to be written; nil: they are not
	// counted.
	Outboxes *backlog.Budget
}

// WithDefaults returns cfg with its defaults filled in; cfg may be nil.
// Connections that get the same pointer share it.
func (cfg *Config) WithDefaults() *Config {
	if cfg == nil || *cfg == (Config{}) {
		return &defaults // one for all connections
	}
	if cfg.HandshakeTimeout != 0 && cfg.PingInterval != 0 && cfg.PingTimeout != 0 && cfg.Partial != nil {
		return cfg // nor here
	}
	c := *cfg
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, defaults.HandshakeTimeout)
	c.PingInterval = cmp.Or(c.PingInterval, defaults.PingInterval)
	c.PingTimeout = cmp.Or(c.PingTimeout, defaults.PingTimeout)
	c.Partial = cmp.Or(c.Partial, defaults.Partial)
	return &c
}

var defaults = Config{
	HandshakeTimeout: 10 * time.Second,
	PingInterval:     10 * time.Second,
	PingTimeout:      30 * time.Second,
	Partial:          new(guard.Budget),
}
