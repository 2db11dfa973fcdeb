package sharedobject

import (
	"strconv"

	"foyer/server/amf"
)

// EventType is the type byte of an event (RTMP 1.0 §7.1.3).
type EventType uint8

// The events. Requests go from a subscriber to the owner, SendMessage both
// ways, the others from the owner to a subscriber.
const (
	Use           EventType = 1  // request: subscribe
	Release       EventType = 2  // request: unsubscribe
	RequestChange EventType = 3  // request: Slot becomes Value; null or undefined removes it
	Change        EventType = 4  // Slot has become Value
	Success       EventType = 5  // the receiver's own RequestChange of Slot is done
	SendMessage   EventType = 6  // call Method with Args at every subscriber, including the sender
	Status        EventType = 7  // something was refused: Code and Level
	Clear         EventType = 8  // all slots are gone; from a subscriber the same as RequestClear
	Remove        EventType = 9  // Slot is gone
	RequestRemove EventType = 10 // request: remove Slot
	UseSuccess    EventType = 11 // subscribed; the following events bring the subscriber up to date
	RequestClear  EventType = 14 // request: remove all slots. Not in the specification; newer Flash players send it
)

// eventEcho has a slot and its value. Adobe's newer servers send it beside or
// instead of Success. It is read as Success and never written.
const eventEcho EventType = 13

var eventNames = [...]string{
	Use: "use", Release: "release", RequestChange: "requestChange", Change: "change",
	Success: "success", SendMessage: "send", Status: "status", Clear: "clear",
	Remove: "remove", RequestRemove: "requestRemove", UseSuccess: "useSuccess",
	RequestClear: "requestClear",
}

// String returns the name of t on the WebSocket bridge, such as "use" or
// "requestChange".
func (t EventType) String() string {
	if int(t) < len(eventNames) && eventNames[t] != "" {
		return eventNames[t]
	}
	return "event " + strconv.Itoa(int(t))
}

// ParseEventType returns the type with that name. It is the inverse of
// [EventType.String].
func ParseEventType(name string) (t EventType, ok bool) {
	for i, n := range eventNames {
		if n == name && n != "" {
			return EventType(i), true
		}
	}
	return 0, false
}

// An Event is one event of a message. Which fields count depends on Type; the
// others are zero.
type Event struct {
	Type   EventType
	Slot   string    // RequestChange, Change, Success, Remove, RequestRemove
	Value  amf.Value // RequestChange, Change; often an amf.Raw
	Method string    // SendMessage
	Args   amf.Args  // SendMessage; often of amf.Raw
	Code   string    // Status
	Level  string    // Status: "error", "status" or "warning"
}
