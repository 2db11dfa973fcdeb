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
// Members are kept in the order of the wire, because players exist that read
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
// becomes null, and what AMF0 cannot say is written as AMF3 behind 0x11
// (§3.1). [Plain] replaces that for peers which know AMF0 only. [Append3]
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
// [Args] are what a remote method gets; [Args.Scan] stores them into Go
// variables and says in words which one does not fit. [Lookup], [AsString],
// [AsNumber] and [AsBool] read single values where something missing is no
// error.
//
// What is only passed on need not be decoded: [Decoder.NextRaw] returns [Raw],
// the bytes as they came, after the same checks. [Append] writes them back,
// and all functions here read through them.
//
// # Hostile bytes
//
// Whatever the bytes are, a Decoder needs little more memory than they are
// long, and a bounded stack. [MaxDepth], [MaxElements] and [MaxExpansion] hold
// for a whole message; a length is compared with what is left, and a count
// with what is left and with the limit, before memory is taken. Each error is
// a [*DecodeError] with the offset.
//
// References (AMF0 §2.9, AMF3 §2.2) are resolved: values are trees and share
// nothing. Since a tree can be larger than what it was written in, each
// reference costs the elements, the depth and the bytes of what it refers to.
// A reference to an object that is still being read would make a ring, and is
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
// can read. Whether an AMF3 vector is of fixed length is kept for object
// vectors only; that a dictionary has weak keys is not kept. AMF3 has two
// types for XML; both read as XML, which is written as the older one, the one
// that AMF0 has as well.
package amf
