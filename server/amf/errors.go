package amf

import (
	"errors"
	"fmt"
)

// The reasons for which decoding fails. A *DecodeError wraps one of them.
var (
	// ErrShort: the data ends early, or a length claims more than there is.
	ErrShort = errors.New("data ends too early")
	// ErrTrailing: Parse or Parse3 was given more than one value.
	ErrTrailing = errors.New("data after the value")
	// ErrMarker: a type that does not exist, or has no format that could be
	// read.
	ErrMarker = errors.New("unknown or unsupported type")
	// ErrDepth: more than MaxDepth levels.
	ErrDepth = errors.New("nested too deeply")
	// ErrElements: more than MaxElements values.
	ErrElements = errors.New("too many elements")
	// ErrExpansion: references to more than MaxExpansion bytes.
	ErrExpansion = errors.New("references expand to too many bytes")
	// ErrReference: a reference to an object that has not occurred.
	ErrReference = errors.New("reference to a missing object")
	// ErrCycle: a reference to an object that is still being read.
	ErrCycle = errors.New("value refers to itself")
)

// DecodeError says why bytes are not AMF, or go over a limit. All errors of
// decoding are of this type.
type DecodeError struct {
	Offset int    // of the value that is wrong, from the front of the message
	Detail string // may be empty
	Err    error  // one of the Err variables
}

// Error gives the offset, the reason and the detail, for a log.
func (e *DecodeError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("amf: byte %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("amf: byte %d: %v: %s", e.Offset, e.Err, e.Detail)
}

// Unwrap returns e.Err.
func (e *DecodeError) Unwrap() error { return e.Err }
