// Package sharedobject implements remote shared objects as Flash knew them:
// named slots that an owner keeps and any number of subscribers follow. It does
// no I/O and starts no goroutine.
//
// A [Message] travels in RTMP messages of type 19 and 16 (RTMP 1.0 §7.1.3). It
// has the object's name, its version, and one or more [Event]s. [Parse] and
// [Message.Append] turn it into bytes and back.
//
// An [Object] is the owner's side. Subscribers come with Use and go with
// Release. Their requests come in through Request, and the owner's own changes
// through Set, Remove, Clear and Send. Nothing is sent at once: Flush hands out
// everything that has happened since the last Flush, so that one turn of the
// owner is one message to each subscriber, under one new version. Subscribers
// that are told the same get the same *Message, so it is encoded once.
//
// A subscriber that reads too slowly is told events only by FlushPaced: the
// answers to its requests, and what is sent to all. Once it has caught up it is
// told the state of the slots: each slot that has changed, once, with its
// latest value.
//
// A [Replica] is the user's side. It applies messages and says what they
// changed, in the words of Flash's onSync.
//
// When two subscribers write the same slot, the last writer wins. Both get
// Success, and the first one then gets the other's Change. The owner never
// answers a request with somebody else's value.
//
// Store makes an object one that is to be stored. Hold returns a snapshot of
// it, from which [Restore] makes the object again with its versions; once the
// snapshot is stored, Flush tells the subscribers. If it cannot be stored,
// Rollback takes the changes back.
//
// Values are kept and passed on as [amf.Raw], byte for byte as their writers
// sent them.
package sharedobject
