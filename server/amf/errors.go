package amf

import (
	"errors"
	"fmt"
)

// Why decoding failed. A *DecodeError wraps one of these.
var (
	// ErrShort: the data ends early, or a length says more than there is.
	ErrShort = errors.New("data ends too early")
	// ErrTrailing: Parse or Parse3 was given more than one value.
	ErrTrailing = errors.New("data after the value")
	// ErrMarker: a type that does not exist or that has no format we could read.
	ErrMarker = errors.New("unknown or unsupported type")
	// ErrDepth: more than MaxDepth levels.
	ErrDepth = errors.New("nested too deeply")
	// ErrElements: more than MaxElements values.
	ErrElements = errors.New("too many elements")
	// ErrExpansion: references to more than MaxExpansion bytes.
	ErrExpansion = errors.New("references stand for too much")
	// ErrReference: a reference to what has not been there.
	ErrReference = errors.New("reference to nothing")
	// ErrCycle: a reference to an object that is still being read.
	ErrCycle = errors.New("value refers to itself")
)

// DecodeError says what is wrong with bytes that are not AMF, or are more of
// it than we take. All errors of decoding are of this type.
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
