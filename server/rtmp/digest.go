package rtmp

import (
	"crypto/hmac"
	"crypto/sha256"
)

// The digest handshake. Later Flash Players play H.264 and AAC only after it.
// Its keys are constants that every implementation has.

var (
	digestTail = []byte{
		0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57,
		0x6E, 0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
	}
	playerKey     = []byte("Genuine Adobe Flash Player 001")
	serverKey     = []byte("Genuine Adobe Flash Media Server 001")
	fullServerKey = append(serverKey[:len(serverKey):len(serverKey)], digestTail...)
)

// digestServerVersion takes the place of the zeros in a plain S1: when it is
// not zero, a client that sent a digest expects one back.
var digestServerVersion = [4]byte{3, 5, 7, 7}

// digestAt returns where the digest of a C1 or S1 is. The two schemes use
// different halves of the packet.
func digestAt(p []byte, scheme int) int {
	base := [...]int{8, 772}[scheme]
	return (int(p[base])+int(p[base+1])+int(p[base+2])+int(p[base+3]))%728 + base + 4
}

// findDigest returns the digest of a C1 that has a valid one.
func findDigest(c1 []byte) (digest []byte, scheme int) {
	if c1[4]|c1[5]|c1[6]|c1[7] == 0 {
		return nil, 0
	}
	for scheme := range 2 {
		at := digestAt(c1, scheme)
		if hmac.Equal(digestOf(c1, at, playerKey), c1[at:at+sha256.Size]) {
			return c1[at : at+sha256.Size], scheme
		}
	}
	return nil, 0
}

// digestOf returns the digest of p, whose place in p is at at.
func digestOf(p []byte, at int, key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(p[:at])
	h.Write(p[at+sha256.Size:])
	return h.Sum(nil)
}

// answerDigest signs s1, which is random from byte 8 on, and fills s2.
func answerDigest(s1, s2, digest []byte, scheme int) {
	copy(s1[4:8], digestServerVersion[:])
	at := digestAt(s1, scheme)
	copy(s1[at:], digestOf(s1, at, serverKey))

	fillRandom(s2)
	key := hmac.New(sha256.New, fullServerKey)
	key.Write(digest)
	at = len(s2) - sha256.Size
	copy(s2[at:], digestOf(s2, at, key.Sum(nil)))
}
