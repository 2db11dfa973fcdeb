// Package sharedobject is remote shared objects: a set of named slots that an
// owner keeps and any number of subscribers follow, as Flash knew them. It
// does no I/O and starts no goroutine.
//
// A [Message] is what travels, in RTMP messages of type 19 and 16 (RTMP 1.0
// §7.1.3): the object's name, its version, and one or more [Event]s. [Parse]
// and [Message.Append] turn it into bytes and back.
//
// An [Object] is the owner's side. Subscribers come with Use and go with
// Release; what they ask for comes in through Request, what the owner does
// through Set, Remove, Clear and Send. Nothing is told at once: Flush hands out
// all that happened since the last one, so that one turn of the owner is one
// message to each subscriber, under one new version. Whoever is told the same
// gets the same *Message, so that it is encoded once.
//
// A subscriber that is behind with reading is told by FlushPaced what is an
// event: answers to it, and what is sent to all. The state of the slots it is
// told when it has caught up, each slot once, with its latest value.
//
// A [Replica] is the user's side: it applies messages and says what they
// changed, in the words of Flash's onSync.
//
// When two subscribers write the same slot, the last writer wins: both get
// Success, and the one who was first gets the other's Change after it. The
// owner never answers a request with somebody else's value.
//
// An object that has to be stored is told so with Store. Hold returns a snapshot
// of it, from which [Restore] makes it again with its versions, and Flush tells
// when that is stored. When it cannot be, Rollback takes back what has changed.
//
// Values are kept and passed on as [amf.Raw], byte for byte as their writer
// sent them.
package sharedobject
