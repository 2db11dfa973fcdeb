package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// NATS ends a connection that names a subject of more than 4,096 bytes, and the
// client library never opens that connection again. So all subjects and keys
// are made here, of parts whose length is bounded whatever name they stand for.
const (
	maxPart    = 1024 // bytes of a part
	maxSpace   = 64   // bytes before the parts
	maxSubject = maxSpace + 2*(1+maxPart)
)

// A part is one element of a subject: no dots, no blanks, no wildcards, at most
// maxPart bytes. key and token make a part of a name; parts that are written
// out are constants.
type part string

// subject joins parts. At most two of them are names.
func subject(space string, parts ...part) string {
	var b strings.Builder
	b.WriteString(space)
	for _, p := range parts {
		b.WriteByte('.')
		b.WriteString(string(p))
	}
	return b.String()
}

// kv returns the subject of a key in a bucket, or with "*" of several keys.
func kv(bucket string, parts ...part) string { return subject("$KV."+bucket, parts...) }

// token writes the name of a room or an instance as a part, with "=" for each
// dot. A name that no room can have becomes its hash.
func token(name string) part {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/"
	if name == "" || len(name) > maxPart || strings.Trim(name, allowed) != "" {
		return hashed(name)
	}
	return part(strings.ReplaceAll(name, ".", "="))
}

// untoken returns the name that token wrote.
func untoken(p part) string { return strings.ReplaceAll(string(p), "=", ".") }

// key writes any text as a part, escaped: different texts stay different. A
// text that becomes too long is replaced by its hash.
func key(name string) part {
	if len(name) > maxPart {
		return hashed(name)
	}
	var b strings.Builder
	for _, c := range []byte(name) {
		if c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	switch {
	case b.Len() == 0:
		return "="
	case b.Len() > maxPart:
		return hashed(name)
	}
	return part(b.String())
}

// unkey returns the text that key escaped.
func unkey(p part) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		var c byte
		if n, _ := fmt.Sscanf(string(p[i:min(i+3, len(p))]), "=%02X", &c); n == 1 {
			b.WriteByte(c)
			i += 2
		} else if p[i] != '=' {
			b.WriteByte(p[i])
		}
	}
	return b.String()
}

// hashed returns a part for a name that cannot be written out. Neither token
// nor key writes "=h" for anything else.
func hashed(name string) part {
	sum := sha256.Sum256([]byte(name))
	return part("=h" + hex.EncodeToString(sum[:]))
}

// isHashed reports whether a part does not tell its name.
func isHashed(p part) bool { return strings.HasPrefix(string(p), "=h") }
