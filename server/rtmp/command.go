package rtmp

import (
	"errors"
	"fmt"

	"foyer/server/amf"
)

// A command is a message of type 20 or 17 (RTMP 1.0 §7.1.1): a name, a
// transaction, a command object and arguments. The first two have been read.
type command struct {
	name   string
	tx     float64
	stream uint32 // message stream
	args   amf.Decoder
}

var errCommand = errors.New("a command has a name, a transaction and values")

// parseCommand reads the beginning of m.
func parseCommand(m Message) (*command, error) {
	b, err := amf0Payload(m)
	if err != nil {
		return nil, err
	}
	c := &command{stream: m.StreamID, args: *amf.NewDecoder(b)}
	if c.name, err = c.args.Text(); err != nil || !c.args.More() {
		return c, err // gst-launch's onStatus and the like: no transaction is 0
	}
	v, err := c.args.Next()
	if err != nil {
		return nil, err
	}
	if tx, ok := v.(amf.Number); ok {
		c.tx = float64(tx)
	}
	return c, nil
}

// amf0Payload returns the AMF0 values of a message: those of an "AMF3" message
// come after a format byte, and turn to AMF3 only behind the 0x11 marker.
func amf0Payload(m Message) ([]byte, error) {
	switch m.Type {
	case TypeCommandAMF3, TypeDataAMF3, TypeSharedObjectAMF3:
		if len(m.Payload) == 0 {
			return nil, errCommand
		}
		if m.Payload[0] != 0 {
			return nil, fmt.Errorf("format %d of %v message", m.Payload[0], m.Type)
		}
		return m.Payload[1:], nil
	}
	return m.Payload, nil
}

// object reads the command object, null if there is none.
func (c *command) object() (amf.Value, error) {
	if !c.args.More() {
		return amf.Null{}, nil
	}
	return c.args.Next()
}

// arguments skips the command object and reads the arguments.
func (c *command) arguments() (amf.Args, error) {
	if _, err := c.object(); err != nil {
		return nil, err
	}
	return c.args.Rest()
}

// result reads the value of a _result or _error, if there is one.
func (c *command) result() (amf.Value, error) {
	args, err := c.arguments()
	if err != nil {
		return nil, err
	}
	return args.At(0), nil
}

// commandMessage makes a command. values begin with the command object.
func commandMessage(stream uint32, amf3 bool, name string, tx float64, values ...amf.Value) Message {
	m := Message{Type: TypeCommandAMF0, StreamID: stream}
	b := make([]byte, 0, 96)
	if amf3 {
		m.Type = TypeCommandAMF3
		b = append(b, 0)
	}
	b = amf.Append(b, amf.String(name))
	b = amf.Append(b, amf.Number(tx))
	for _, v := range values {
		if !amf3 {
			v = amf.Plain(v)
		}
		b = amf.Append(b, v)
	}
	m.Payload = b
	return m
}

// CallMessage makes the message of a call without an answer on message stream
// 0, for peers with that object encoding. It can be packed once and sent to
// many.
func CallMessage(objectEncoding int, method string, args ...amf.Value) Message {
	return commandMessage(0, objectEncoding == 3, method, 0, append([]amf.Value{amf.Null{}}, args...)...)
}

// StatusMessage makes the message of an onStatus on message stream 0, for peers
// with that object encoding. It can be packed once and sent to many.
func StatusMessage(objectEncoding int, info *StatusError) Message {
	return statusMessage(0, objectEncoding == 3, info)
}

func statusMessage(stream uint32, amf3 bool, info *StatusError) Message {
	return commandMessage(stream, amf3, "onStatus", 0, amf.Null{}, info.Object())
}

// dataMessage makes a data message (RTMP 1.0 §7.1.2).
func dataMessage(stream uint32, values ...amf.Value) Message {
	m := Message{Type: TypeDataAMF0, StreamID: stream}
	for _, v := range values {
		m.Payload = amf.Append(m.Payload, v)
	}
	return m
}
