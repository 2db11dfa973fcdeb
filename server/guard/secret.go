package guard

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Same compares secrets in a time that reveals nothing about them, not even
// their length. An empty secret is never the same as anything.
func Same(given, secret string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && secret != ""
}
