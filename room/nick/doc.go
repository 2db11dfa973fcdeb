// Package nick says which names people may have in a room, and when two of
// them are one to the eye.
//
// [Parse] makes a nick of what somebody typed, or says what is wrong with it.
// It goes by PRECIS (RFC 8266, the profile for nicknames), and is stricter
// where something could be hidden. [LookOf] is what is compared: two nicks are
// the same when their looks have something in common. [Reserved] is a list of
// names that are nobody's, by their look too.
//
// [Invisible], [Blank] and [Marks] are for texts of every kind.
package nick
