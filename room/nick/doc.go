// Package nick says which names people may have in a room.
//
// [Parse] makes a nick of what somebody typed, or says what is wrong with it.
// It goes by PRECIS (RFC 8266, the profile for nicknames), and is stricter
// where something could be hidden.
//
// [Invisible] and [Marks] are for texts of every kind.
package nick
