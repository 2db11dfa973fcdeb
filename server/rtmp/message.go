package rtmp

import (
	"encoding/binary"
	"strconv"
)

// MessageType is the type of a message (RTMP 1.0 §5.4, §7.1).
type MessageType uint8

const (
	TypeSetChunkSize     MessageType = 1
	TypeAbort            MessageType = 2
	TypeAcknowledgement  MessageType = 3
	TypeUserControl      MessageType = 4
	TypeWindowAckSize    MessageType = 5
	TypeSetPeerBandwidth MessageType = 6
	TypeAudio            MessageType = 8
	TypeVideo            MessageType = 9
	TypeDataAMF3         MessageType = 15
	TypeSharedObjectAMF3 MessageType = 16
	TypeCommandAMF3      MessageType = 17
	TypeDataAMF0         MessageType = 18
	TypeSharedObjectAMF0 MessageType = 19
	TypeCommandAMF0      MessageType = 20
	TypeAggregate        MessageType = 22
)

var typeNames = map[MessageType]string{
	TypeSetChunkSize:     "set chunk size",
	TypeAbort:            "abort",
	TypeAcknowledgement:  "acknowledgement",
	TypeUserControl:      "user control",
	TypeWindowAckSize:    "window acknowledgement size",
	TypeSetPeerBandwidth: "set peer bandwidth",
	TypeAudio:            "audio",
	TypeVideo:            "video",
	TypeDataAMF3:         "data (AMF3)",
	TypeSharedObjectAMF3: "shared object (AMF3)",
	TypeCommandAMF3:      "command (AMF3)",
	TypeDataAMF0:         "data",
	TypeSharedObjectAMF0: "shared object",
	TypeCommandAMF0:      "command",
	TypeAggregate:        "aggregate",
}

func (t MessageType) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return "type " + strconv.Itoa(int(t))
}

// A trust says how much a peer may send.
type trust uint8

const (
	stranger  trust = iota // its connect has not been accepted yet
	spectator              // its connect has been accepted
	publisher              // it publishes with a right, or is the server that we play from
)

// limit returns how long a message of this type may be.
func (t MessageType) limit(of trust) int {
	switch {
	case t <= TypeSetPeerBandwidth:
		return MaxControl
	case of == stranger:
		return MaxMessageBeforeConnect
	case t == TypeAudio, t == TypeVideo, t == TypeAggregate, t == TypeDataAMF0, t == TypeDataAMF3:
		if of == publisher {
			return MaxMessage
		}
		return MaxMessageOfSpectator
	}
	return MaxCommand
}

// partial returns how much memory unfinished messages of such a peer may take.
func (of trust) partial() int {
	return [...]int{MaxPartialBeforeConnect, MaxPartialOfSpectator, MaxPartial}[of]
}

// A Message is one whole RTMP message. Its Payload is never written to again,
// so a message may be handed to any number of readers.
type Message struct {
	Type      MessageType
	StreamID  uint32 // message stream; 0 is the NetConnection
	Timestamp uint32 // milliseconds; wraps
	Payload   []byte
}

// User control events (RTMP 1.0 §7.1.7).
const (
	eventStreamBegin  = 0
	eventStreamEOF    = 1
	eventPingRequest  = 6
	eventPingResponse = 7
)

// control makes a protocol control message with one number.
func control(t MessageType, n uint32) Message {
	return Message{Type: t, Payload: binary.BigEndian.AppendUint32(nil, n)}
}

// userControl makes a user control message with an event and one number.
func userControl(event uint16, n uint32) Message {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 6), event)
	return Message{Type: TypeUserControl, Payload: binary.BigEndian.AppendUint32(b, n)}
}
