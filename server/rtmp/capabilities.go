package rtmp

import "foyer/server/amf"

// Capabilities of Enhanced RTMP v2, "Enhancing NetConnection connect Command".
const (
	capsMultitrack          = 2
	capsModEx               = 4
	capsTimestampNanoOffset = 8

	// capsRelayed are those that a relay has by passing messages on untouched.
	// Reconnect (1) is not among them: nobody here is asked to reconnect.
	capsRelayed = capsMultitrack | capsModEx | capsTimestampNanoOffset

	canForward = 4 // of a FourCC: neither decoded nor encoded, but passed on
)

// capabilities answers what a client said of itself in the command object of
// connect: every FourCC is passed on, and of capsEx what needs no more than
// that. A client that said nothing gets nothing. Specification and programs
// disagree about which object of the answer they belong to, so they are in both.
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
		fields = append(fields, amf.Field{Name: "capsEx", Value: amf.Number(caps & capsRelayed)})
	}
	return fields
}
