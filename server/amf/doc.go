// Package amf turns values into AMF bytes and back: AMF0, in which RTMP
// commands, data messages and shared objects are written, and AMF3, which
// stands in AMF0 behind the marker 0x11. Sections are those of "Action Message
// Format -- AMF 0" (2007) and "Action Message Format -- AMF 3" (2013).
//
// # Values
//
// A [Value] is one of a closed set of types, so a type switch over them is
// complete:
//
//	AMF0                                     AMF3 only
//	Number, Bool, String, Null, Undefined    Bytes
//	Object, ECMAArray, *TypedObject          IntVector, UintVector, DoubleVector
//	StrictArray, Date, XML                   *ObjectVector, Dictionary
//
// Members are kept in the order of the wire, because some players read
// level, code and description by position. A value is written as a literal:
//
//	amf.Object{
//		{Name: "level", Value: amf.String("status")},
//		{Name: "code", Value: amf.String("NetStream.Play.Start")},
//	}
//
// # Writing
//
// [Append] appends AMF0 to a byte slice, as the standard library's Append
// functions do. It never fails: a long text becomes a long string (§2.14), nil
// becomes null, and values that AMF0 does not have are written as AMF3 behind
// 0x11 (§3.1). [Plain] replaces those for peers that know only AMF0. [Append3]
// writes AMF3. Neither writes references, so that the bytes mean the same
// wherever they are put.
//
// # Reading
//
// A message holds values one after another without a count. A [Decoder] takes
// them from the front:
//
//	d := amf.NewDecoder(payload)
//	name, err := d.Next()
//	id, err := d.Next()
//	args, err := d.Rest()
//
// [Args] are the arguments of a remote method. [Args.Scan] stores them into Go
// variables, and says in words which one does not fit. [Lookup], [AsString],
// [AsNumber] and [AsBool] read single values when a missing one is no error.
//
// A value that is only passed on need not be decoded: [Decoder.NextRaw] returns
// [Raw], the bytes as they came, after the same checks. [Append] writes them
// back, and all functions here can read them.
//
// # Hostile bytes
//
// Whatever the bytes are, a Decoder needs little more memory than their length,
// and a bounded stack. [MaxDepth], [MaxElements] and [MaxExpansion] hold for a
// whole message. Before memory is allocated, a length is compared with the
// bytes that are left, and a count with these and with the limit. Each error is
// a [*DecodeError] with the offset.
//
// References (AMF0 §2.9, AMF3 §2.2) are resolved: values are trees and share
// nothing. Since a tree can be larger than the bytes it was written in, each
// reference costs the elements, the depth and the bytes of its object. A
// reference to an object that is still being read would make a ring, and is
// refused. AMF0 references count the objects of the message; AMF3 tables begin
// empty behind each 0x11.
//
// # Where formats are silent or peers differ
//
// The count of an ECMA array is a hint: its members end where the end marker
// is (AMF0 §2.10). An empty name ends an object only before that marker.
// Text that is not UTF-8 is kept as it is. "Unsupported" (§2.15) reads as
// undefined; movie clips and record sets (§2.6, §2.16) have no format and are
// refused, as are externalizable AMF3 classes, whose bytes only their authors
// can read. The fixed length of an AMF3 vector is kept for object vectors only,
// and the weak keys of a dictionary are not kept. AMF3 has two types for XML.
// Both read as XML, which is written as the older one, the one of AMF0.
package amf
