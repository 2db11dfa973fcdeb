package rtmp

import "foyer/server/amf"

// Capabilities of Enhanced RTMP v2, "Enhancing NetConnection connect Command".
const (
	capsReconnect           = 1
	capsMultitrack          = 2
	capsModEx               = 4
	capsTimestampNanoOffset = 8

	// capsHere are the capabilities of this server. Clients that can reconnect
	// may be asked to; a relay has the other ones since it passes messages on
	// untouched.
	capsHere = capsReconnect | capsMultitrack | capsModEx | capsTimestampNanoOffset

	canForward = 4 // of a FourCC: it is neither decoded nor encoded, but passed on
)

// capabilities answers the capabilities that a client lists in the command
// object of connect. Every FourCC can be passed on, and of capsEx the bits
// known here. A client that lists none gets none. Specification and programs
// disagree about which object of the answer has them, so both do.
func capabilities(object amf.Object) []amf.Field {
	var enhanced, extended bool
	var caps uint32
	for _, f := range object {
		switch f.Name {
		case "fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap":
			enhanced = true
		case "capsEx":
			n, ok := amf.AsNumber(f.Value)
			if ok && n >= 0 && n < 1<<32 {
				enhanced, extended, caps = true, true, uint32(n)
			}
		}
	}
	if !enhanced {
		return nil
	}
	every := amf.Object{{Name: "*", Value: amf.Number(canForward)}}
	fields := []amf.Field{{Name: "videoFourCcInfoMap", Value: every}, {Name: "audioFourCcInfoMap", Value: every}}
	if extended {
		fields = append(fields, amf.Field{Name: "capsEx", Value: amf.Number(caps & capsHere)})
	}
	return fields
}

// Reconnects reports whether the client understands the status
// NetConnection.Connect.ReconnectRequest, according to its capsEx.
func (r *ConnectRequest) Reconnects() bool { return CapsReconnect(amf.Lookup(r.Object, "capsEx")) }

// CapsReconnect reports whether a capsEx has the bit for reconnecting.
func CapsReconnect(capsEx amf.Value) bool {
	n, _ := amf.AsNumber(capsEx)
	return n >= 0 && n < 1<<32 && uint32(n)&capsReconnect != 0
}

// Reconnecting is the member of a command object by which a client says that
// it understands ReconnectRequest.
func Reconnecting() amf.Field { return amf.Field{Name: "capsEx", Value: amf.Number(capsReconnect)} }
