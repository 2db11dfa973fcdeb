package rtmp

import (
	"bytes"
	"slices"
	"strings"

	"foyer/server/amf"
	"foyer/server/flv"
)

// Limits of names in data messages. ffmpeg ends at longer ones.
const (
	MaxDataName     = 63  // bytes, of what the message is for
	MaxMetadataName = 127 // bytes, of a member of onMetaData
)

const (
	metadataName = "onMetaData"
	stringMarker = 2 // of AMF0, before names
)

// setDataFrame is the AMF0 string before onMetaData that asks the server to
// keep it for later players.
var setDataFrame = []byte(flv.SetDataFrame)

// serverData are data that only a server says to a player. Encoders that pass a
// stream on send them, too.
var serverData = map[string]bool{"|RtmpSampleAccess": true, "onStatus": true}

// dataPayload returns the AMF0 values of a data message. Some encoders leave out
// the format byte of type 15, and then begin with the marker of a string.
func dataPayload(m Message) ([]byte, bool) {
	if m.Type == TypeDataAMF3 && len(m.Payload) > 0 && m.Payload[0] == stringMarker {
		return m.Payload, true
	}
	b, err := amf0Payload(m)
	return b, err == nil
}

// readable returns the payload of a data message, given its AMF0 values, as any
// player reads it: a name, and values without AMF3. Players end at anything
// else, ffmpeg among them. Metadata is made whole. ok is false for what is to
// be left out: what encoders put there is not always AMF, timecodes for one.
func readable(b []byte) (clean []byte, ok bool) {
	for bytes.HasPrefix(b, setDataFrame) {
		b = b[len(setDataFrame):]
	}
	d := amf.NewDecoder(b)
	name, err := d.Text()
	switch {
	case err != nil || name == "" || len(name) > MaxDataName || serverData[name]:
		return nil, false
	case name == metadataName:
		return readableMetadata(b, d)
	}
	amf3, err := d.Check()
	if err != nil || !amf3 && b[0] == stringMarker {
		return b, err == nil
	}
	args, err := amf.NewDecoder(b).Rest()
	if err != nil {
		return nil, false
	}
	for _, v := range args {
		clean = amf.Append(clean, amf.Plain(v))
	}
	return clean, len(clean) <= flv.MaxPayload
}

// readableMetadata is readable for onMetaData; d has read its name. An object
// becomes an ECMA array, in which alone ffmpeg looks for the tracks before it
// begins. The result is b itself if nothing needs to be changed.
func readableMetadata(b []byte, d *amf.Decoder) (clean []byte, ok bool) {
	v, err := d.Salvage()
	if err != nil {
		return nil, false
	}
	v = simple(v)
	if fields := members(v); fields != nil {
		v = amf.ECMAArray(slices.DeleteFunc(fields, isDataTrack))
	}
	if clean = amf.Append([]byte(flv.OnMetaData), v); bytes.Equal(clean, b) {
		return b, true
	}
	return clean, len(members(v)) > 0 && len(clean) <= flv.MaxPayload
}

// isDataTrack is true of the member by which ffmpeg says that it has a track of
// data. A player of ffmpeg makes an empty subtitle of it; data themselves need no
// announcement.
func isDataTrack(f amf.Field) bool { return f.Name == "datastream" }

// simple returns v made of types that everybody reads: ffmpeg knows neither
// undefined nor XML, and nothing about classes.
func simple(v amf.Value) amf.Value {
	switch v := amf.Plain(v).(type) {
	case amf.Undefined:
		return amf.Null{}
	case amf.XML:
		return amf.String(valid(string(v)))
	case amf.String:
		return amf.String(valid(string(v)))
	case amf.Object:
		return amf.Object(simpleMembers(v))
	case amf.ECMAArray:
		return amf.ECMAArray(simpleMembers(v))
	case *amf.TypedObject:
		return amf.Object(simpleMembers(v.Fields))
	case amf.StrictArray:
		items := make(amf.StrictArray, len(v))
		for i, item := range v {
			items[i] = simple(item)
		}
		return items
	default:
		return v
	}
}

// simpleMembers leaves out members without a name, which end the object for
// ffmpeg, and those whose name is too long for it.
func simpleMembers(fields []amf.Field) []amf.Field {
	kept := make([]amf.Field, 0, len(fields))
	for _, f := range fields {
		name := valid(f.Name)
		if name != "" && len(name) <= MaxMetadataName {
			kept = append(kept, amf.Field{Name: name, Value: simple(f.Value)})
		}
	}
	return kept
}

// valid is a text of an encoder as UTF-8: encoders cut titles in the middle of a
// letter.
func valid(s string) string { return strings.ToValidUTF8(s, "") }
