package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/sharedobject"
)

// Types of the bridge's frames (PROTOCOL.md).
const (
	typeConnect = "connect"
	typeStatus  = "status"
	typeCall    = "call"
	typeResult  = "result"
	typeError   = "error"
	typeSO      = "so"
)

// A frame is one frame from a page. Its Type decides which fields count.
type frame struct {
	Type   string
	ID     json.Number // of a call and its answer; "" when there is none
	Method string
	Args   amf.Args
	Value  amf.Value
	Info   amf.Value
	Object sharedobject.Message
	CapsEx amf.Value // of connect, as over RTMP
}

// Every error of parseFrame wraps errMalformed. If the text is JSON all the same, the
// error wraps errNoFrame as well.
var (
	errMalformed = errors.New("web: malformed frame")
	errNoFrame   = errors.New("valid JSON, but not a frame")
)

// parseFrame reads a text frame. Members may come in any order. Unknown ones are
// skipped, under the same limits.
func parseFrame(text []byte) (*frame, error) {
	if !utf8.Valid(text) { // RFC 6455 §8.1
		return nil, fmt.Errorf("%w: not UTF-8", errMalformed)
	}
	f := &frame{Value: amf.Undefined{}, Info: amf.Undefined{}}
	r := newValueReader(string(text))
	err := r.open('{')
	if err == nil {
		err = r.members(func(name string) error { return f.member(r, name) })
	}
	if err == nil {
		if _, more := r.dec.Token(); more != io.EOF {
			err = errShape
		}
	}
	if err == nil {
		err = f.check()
	}
	if err != nil && json.Valid(text) {
		err = fmt.Errorf("%w: %w", errNoFrame, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return f, nil
}

func (f *frame) member(r *valueReader, name string) (err error) {
	switch name {
	case "type":
		f.Type, err = token[string](r)
	case "id":
		f.ID, err = r.id()
	case "method":
		f.Method, err = token[string](r)
	case "capsEx":
		f.CapsEx, err = r.value(0)
	case "args":
		f.Args, err = r.args()
	case "value":
		f.Value, err = r.value(0)
	case "info":
		f.Info, err = r.value(0)
	case "name":
		f.Object.Name, err = token[string](r)
	case "persistent":
		f.Object.Persistent, err = token[bool](r)
	case "version":
		f.Object.Version, err = r.version()
	case "events":
		f.Object.Events, err = r.events()
	default:
		_, err = r.value(0)
	}
	return err
}

// check returns an error if the frame lacks something that its type needs.
func (f *frame) check() error {
	switch f.Type {
	case typeConnect:
		return nil
	case typeCall:
		if f.Method == "" {
			return errors.New("call without method")
		}
	case typeResult, typeError:
		if f.ID == "" {
			return errors.New("answer without id")
		}
	case typeSO:
		if f.Object.Name == "" {
			return errors.New("shared object without name")
		}
	case "":
		return errors.New("no type")
	default:
		return errors.New("unknown type")
	}
	return nil
}

// token reads the next token, which must be a T.
func token[T string | bool | json.Number](r *valueReader) (T, error) {
	tok, err := r.dec.Token()
	v, ok := tok.(T)
	if err == nil && !ok {
		err = errShape
	}
	return v, err
}

// id reads a number, or null for none.
func (r *valueReader) id() (json.Number, error) {
	tok, err := r.dec.Token()
	n, ok := tok.(json.Number)
	if err == nil && !ok && tok != nil {
		err = errShape
	}
	return n, err
}

func (r *valueReader) version() (uint32, error) {
	text, err := token[json.Number](r)
	if err != nil {
		return 0, err
	}
	n := number(text)
	if n < 0 || n > math.MaxUint32 || n != amf.Number(math.Trunc(float64(n))) {
		return 0, errShape
	}
	return uint32(n), nil
}

// args reads an array of values, or null for none.
func (r *valueReader) args() (amf.Args, error) {
	tok, err := r.dec.Token()
	if err != nil || tok == nil {
		return nil, err
	}
	if tok != json.Delim('[') {
		return nil, errShape
	}
	items, err := r.array(0)
	return amf.Args(items), err
}

func (r *valueReader) events() ([]sharedobject.Event, error) {
	if err := r.open('['); err != nil {
		return nil, err
	}
	var events []sharedobject.Event
	err := r.each(func() error {
		e, err := r.event()
		if e.Type != 0 { // an unknown event is skipped, as over RTMP
			events = append(events, e)
		}
		return err
	})
	return events, err
}

func (r *valueReader) event() (e sharedobject.Event, err error) {
	if err := r.open('{'); err != nil {
		return e, err
	}
	err = r.members(func(name string) (err error) {
		switch name {
		case "event":
			var s string
			s, err = token[string](r)
			e.Type, _ = sharedobject.ParseEventType(s)
		case "slot":
			e.Slot, err = token[string](r)
		case "value":
			e.Value, err = r.value(0)
		case "method":
			e.Method, err = token[string](r)
		case "args":
			e.Args, err = r.args()
		case "code":
			e.Code, err = token[string](r)
		case "level":
			e.Level, err = token[string](r)
		default:
			_, err = r.value(0)
		}
		return err
	})
	return e, err
}

// encodePush returns p as a whole frame, header included. The same bytes are sent to
// every page.
func encodePush(p *server.Push) []byte {
	switch {
	case p.SharedObject != nil:
		return soFrame(p.SharedObject)
	case p.Status != nil:
		return statusFrame(p.Status)
	}
	return callFrame("", p.Method, p.Args)
}

func statusFrame(info *rtmp.StatusError) []byte {
	b := appendValue(startFrame(`{"type":"status","info":`), info.Object())
	return finishFrame(websocket.TextMessage, append(b, '}'))
}

// callFrame asks the page to run a method. Without id, no answer is wanted.
func callFrame(id, method string, args []amf.Value) []byte {
	b := startFrame(`{"type":"call"`)
	if id != "" {
		b = append(append(b, `,"id":`...), id...)
	}
	b = appendString(append(b, `,"method":`...), method)
	b = appendArray(append(b, `,"args":`...), args, appendValue)
	return finishFrame(websocket.TextMessage, append(b, '}'))
}

// answerFrame answers the page's call, with the value or with an error. Only a
// *rtmp.StatusError is put into words.
func answerFrame(id json.Number, v amf.Value, err error) []byte {
	if err == nil {
		b := append(startFrame(`{"type":"result","id":`), id...)
		b = appendValue(append(b, `,"value":`...), v)
		return finishFrame(websocket.TextMessage, append(b, '}'))
	}
	info, ok := errors.AsType[*rtmp.StatusError](err)
	if !ok {
		info = &rtmp.StatusError{Code: rtmp.CodeCallFailed, Description: "Call failed."}
	}
	b := append(startFrame(`{"type":"error","id":`), id...)
	b = appendValue(append(b, `,"info":`...), info.Object())
	return finishFrame(websocket.TextMessage, append(b, '}'))
}

func soFrame(m *sharedobject.Message) []byte {
	b := appendString(startFrame(`{"type":"so","name":`), m.Name)
	b = strconv.AppendBool(append(b, `,"persistent":`...), m.Persistent)
	b = strconv.AppendUint(append(b, `,"version":`...), uint64(m.Version), 10)
	b = appendArray(append(b, `,"events":`...), m.Events, appendEvent)
	return finishFrame(websocket.TextMessage, append(b, '}'))
}

func appendEvent(b []byte, e sharedobject.Event) []byte {
	b = appendString(append(b, `{"event":`...), e.Type.String())
	switch e.Type {
	case sharedobject.Change, sharedobject.RequestChange:
		b = appendString(append(b, `,"slot":`...), e.Slot)
		b = appendValue(append(b, `,"value":`...), e.Value)
	case sharedobject.Success, sharedobject.Remove, sharedobject.RequestRemove:
		b = appendString(append(b, `,"slot":`...), e.Slot)
	case sharedobject.SendMessage:
		b = appendString(append(b, `,"method":`...), e.Method)
		b = appendArray(append(b, `,"args":`...), e.Args, appendValue)
	case sharedobject.Status:
		b = appendString(append(b, `,"code":`...), e.Code)
		b = appendString(append(b, `,"level":`...), e.Level)
	}
	return append(b, '}')
}
