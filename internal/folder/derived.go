package folder

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

// derived is how a key that follows from a secret is written.
var derived = base32.StdEncoding.WithPadding(base32.NoPadding)

// StreamKey is the publishing key of a room. It follows from the stream secret,
// the room's name in whatever case, and its generation: how often the key was
// replaced. Only the generation is stored; the first is 0.
func StreamKey(stream Secret, room string, generation int64) string {
	m := hmac.New(sha256.New, []byte(stream))
	m.Write([]byte("foyer stream key\x00" + strings.ToLower(room)))
	if generation > 0 {
		fmt.Fprintf(m, "\x00%d", generation)
	}
	return strings.ToLower(derived.EncodeToString(m.Sum(nil)[:15]))
}

// Resume is what a room shows to its lobby, and to nobody else, to take the
// place of its own old link. It follows from the nodes' secret, so that it is
// the same after a restart and on every node of a site, with nothing to store.
func Resume(node Secret, room string) string {
	m := hmac.New(sha256.New, []byte(node))
	m.Write([]byte("foyer resume\x00" + strings.ToLower(room)))
	return strings.ToLower(derived.EncodeToString(m.Sum(nil)))
}
