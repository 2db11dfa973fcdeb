package server

import (
	"sync"

	"foyer/server/amf"
	"foyer/server/backlog"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// A Push is one thing told to any number of clients, encoded at most once for
// each wire form. Exactly one of Method, SharedObject and Status is set. It
// must not be changed or copied once it was pushed.
type Push struct {
	Method       string // a call without an answer
	Args         []amf.Value
	SharedObject *sharedobject.Message
	Status       *rtmp.StatusError // onStatus on the NetConnection

	forms [formCount]form
}

type form struct {
	once  sync.Once
	bytes *backlog.Bytes
}

// Form is a way to write a Push.
type Form uint8

const (
	AMF0 Form = iota // RTMP chunks of a type 20 or 19 message
	AMF3             // RTMP chunks of a type 17 or 16 message
	JSON             // a frame of the WebSocket bridge
	formCount
)

func (f Form) String() string {
	return [...]string{"AMF0", "AMF3", "JSON"}[f]
}

// Bytes returns the form of p, made by encode the first time it is asked for.
// The bytes are shared and must not be changed.
func (p *Push) Bytes(f Form, encode func(*Push) []byte) *backlog.Bytes {
	p.forms[f].once.Do(func() { p.forms[f].bytes = backlog.Share(encode(p)) })
	return p.forms[f].bytes
}

// pack0 and pack3 encode p for RTMP peers of object encoding 0 and 3.
func pack0(p *Push) []byte { return p.pack(0) }
func pack3(p *Push) []byte { return p.pack(3) }

func (p *Push) pack(encoding int) []byte {
	switch {
	case p.SharedObject != nil && encoding == 3:
		return rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF3, Payload: p.SharedObject.Append(nil, true)})
	case p.SharedObject != nil:
		return rtmp.Pack(rtmp.Message{Type: rtmp.TypeSharedObjectAMF0, Payload: p.SharedObject.Append(nil, false)})
	case p.Status != nil:
		return rtmp.Pack(rtmp.StatusMessage(encoding, p.Status))
	}
	return rtmp.Pack(rtmp.CallMessage(encoding, p.Method, p.Args...))
}
