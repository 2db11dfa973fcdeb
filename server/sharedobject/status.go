package sharedobject

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Codes of the Status event, all with the level error. Flash's servers have the
// first five; the others say which limit a request went over.
const (
	CodeNoReadAccess         = "SharedObject.NoReadAccess"         // may not use the object
	CodeNoWriteAccess        = "SharedObject.NoWriteAccess"        // may not change, remove, clear or send
	CodeBadPersistence       = "SharedObject.BadPersistence"       // the object exists with the other persistence
	CodeObjectCreationFailed = "SharedObject.ObjectCreationFailed" // the object cannot be made: a bad name, or too many
	CodeFlushFailed          = "SharedObject.Flush.Failed"         // the change cannot be stored, and is not made
	CodeTooManySlots         = "SharedObject.TooManySlots"         // over MaxSlots
	CodeValueTooLarge        = "SharedObject.ValueTooLarge"        // over MaxValue
	CodeBadSlotName          = "SharedObject.BadSlotName"          // see ValidSlot
)

// Limits for the requests of subscribers. The owner is not bound by them.
const (
	MaxSlots    = 4096
	MaxValue    = 16 << 10 // encoded; also for all arguments of a send together
	MaxName     = 256      // bytes of an object's name
	MaxSlotName = 256      // bytes of a slot's or a handler's name
)

// The reasons for which [Object.Request] did nothing. For all but
// ErrNotSubscribed and ErrNotRequest the subscriber gets a Status.
var (
	ErrNotSubscribed = errors.New("sharedobject: request without a use before it")
	ErrNotRequest    = errors.New("sharedobject: event is not a request")
	ErrNoWriteAccess = errors.New("sharedobject: no write access")
	ErrTooManySlots  = errors.New("sharedobject: too many slots")
	ErrValueTooLarge = errors.New("sharedobject: value too large")
	ErrBadSlotName   = errors.New("sharedobject: invalid slot name")
)

var codes = map[error]string{
	ErrNoWriteAccess: CodeNoWriteAccess,
	ErrTooManySlots:  CodeTooManySlots,
	ErrValueTooLarge: CodeValueTooLarge,
	ErrBadSlotName:   CodeBadSlotName,
}

// Refusal returns the message that tells a peer, subscribed or not, why it
// cannot have the object. code is one of the Code constants.
func Refusal(name string, persistent bool, code string) *Message {
	return &Message{Name: name, Persistent: persistent, Events: []Event{refusal(code)}}
}

func refusal(code string) Event {
	return Event{Type: Status, Code: code, Level: "error"}
}

// ValidName reports whether an object may have this name: at most MaxName
// bytes of printable UTF-8 without the characters Flash forbids there. Slashes
// are fine.
func ValidName(name string) bool {
	return validText(name, MaxName) && !strings.ContainsAny(name, " ~%&\\;:\"',<>?#")
}

// ValidSlot reports whether a subscriber may write a slot of this name: at
// most MaxSlotName bytes of UTF-8 without control characters.
func ValidSlot(slot string) bool { return validText(slot, MaxSlotName) }

func validText(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
