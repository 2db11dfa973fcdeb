// Package nick says which names people may have in a room, and when two of them look the
// same.
//
// [Parse] makes a nick of a typed text, or says what is wrong with it. It follows PRECIS
// (RFC 8266, the profile for nicknames), and is stricter where something could be
// hidden. Nicks are compared by their looks, which [LookOf] returns: two nicks are the
// same if their looks have something in common. [Reserved] is a list of names that
// nobody may take, and is compared by looks too.
//
// [Invisible], [Blank] and [Marks] are for texts of every kind.
package nick
