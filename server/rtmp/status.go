package rtmp

import (
	"cmp"
	"errors"
	"strings"

	"foyer/server/amf"
)

// Codes of information objects, as FlashCom and its successors sent them.
const (
	CodeConnectSuccess   = "NetConnection.Connect.Success"
	CodeConnectRejected  = "NetConnection.Connect.Rejected"
	CodeConnectFailed    = "NetConnection.Connect.Failed"
	CodeConnectClosed    = "NetConnection.Connect.Closed"
	CodeConnectShutdown  = "NetConnection.Connect.AppShutdown"
	CodeReconnectRequest = "NetConnection.Connect.ReconnectRequest" // Enhanced RTMP v2
	CodeCallFailed       = "NetConnection.Call.Failed"

	CodePublishStart     = "NetStream.Publish.Start"
	CodePublishBadName   = "NetStream.Publish.BadName"
	CodeUnpublishSuccess = "NetStream.Unpublish.Success"
	CodePlayReset        = "NetStream.Play.Reset"
	CodePlayStart        = "NetStream.Play.Start"
	CodePlayStop         = "NetStream.Play.Stop"
	CodePlayFailed       = "NetStream.Play.Failed"
	CodePlayNotFound     = "NetStream.Play.StreamNotFound"
	CodePlaySlow         = "NetStream.Play.InsufficientBW"
	CodePublishNotify    = "NetStream.Play.PublishNotify"
	CodeUnpublishNotify  = "NetStream.Play.UnpublishNotify"
	CodePauseNotify      = "NetStream.Pause.Notify"
	CodeUnpauseNotify    = "NetStream.Unpause.Notify"
	CodeSeekNotify       = "NetStream.Seek.Notify"
)

// Levels of information objects. Level error makes encoders give up.
const (
	LevelStatus  = "status"
	LevelWarning = "warning"
	LevelError   = "error"
)

// StatusError is an information object, as it travels in _error and onStatus.
// It is the only kind of error whose words reach the peer.
type StatusError struct {
	Level, Code, Description string      // Level "" means error
	Application              amf.Value   // for programs: any value; nil is left out
	Extra                    []amf.Field // ex, tcUrl, details, clientid …: after description
}

// maxMethodShown is how much of a missing method's name is repeated to the
// caller.
const maxMethodShown = 64

// MethodNotFound returns the answer to a call of a method that does not exist.
func MethodNotFound(name string) *StatusError {
	if len(name) > maxMethodShown {
		name = strings.ToValidUTF8(name[:maxMethodShown], "") + "…"
	}
	return &StatusError{Code: CodeCallFailed, Description: "Method not found (" + name + ")."}
}

func (e *StatusError) Error() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}

// level returns the level, with "" as error.
func (e *StatusError) level() string { return cmp.Or(e.Level, LevelError) }

// Object returns the information object. Flash Player wants level, code and
// description first, in this order.
func (e *StatusError) Object() amf.Object {
	o := make(amf.Object, 0, 4+len(e.Extra))
	o = append(o,
		amf.Field{Name: "level", Value: amf.String(e.level())},
		amf.Field{Name: "code", Value: amf.String(e.Code)},
		amf.Field{Name: "description", Value: amf.String(e.Description)})
	o = append(o, e.Extra...)
	if e.Application != nil {
		o = append(o, amf.Field{Name: "application", Value: e.Application})
	}
	return o
}

// ParseStatus reads an information object. Any other value becomes a
// NetConnection.Call.Failed without a description.
func ParseStatus(v amf.Value) *StatusError {
	e := &StatusError{}
	for _, f := range members(v) {
		s, _ := amf.AsString(f.Value)
		switch f.Name {
		case "level":
			e.Level = s
		case "code":
			e.Code = s
		case "description":
			e.Description = s
		case "application":
			e.Application = f.Value
		default:
			e.Extra = append(e.Extra, f)
		}
	}
	if e.Code == "" {
		e.Code = CodeCallFailed
	}
	return e
}

// members returns the fields of v, if it has any.
func members(v amf.Value) []amf.Field {
	switch v := v.(type) {
	case amf.Object:
		return v
	case amf.ECMAArray:
		return v
	case *amf.TypedObject:
		return v.Fields
	}
	return nil
}

// statusOf returns the status in err's chain. If there is none, it returns one
// with only that code and description, since no other error's words may reach
// the peer.
func statusOf(err error, code, description string) *StatusError {
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e
	}
	return &StatusError{Code: code, Description: description}
}
