package flv

import "fmt"

// A Codec is a way to encode sound or pictures. Its value is the FourCC of
// Enhanced RTMP, as onMetaData has it too. A codec without a FourCC, which only
// the old format has, is the type of its tags and its number there. Zero is the
// codec of a tag that does not say it.
type Codec uint32

// The codecs of Enhanced RTMP v2 ("Enhanced Video", "Enhanced Audio").
const (
	AVC  Codec = 'a'<<24 | 'v'<<16 | 'c'<<8 | '1'
	HEVC Codec = 'h'<<24 | 'v'<<16 | 'c'<<8 | '1'
	VVC  Codec = 'v'<<24 | 'v'<<16 | 'c'<<8 | '1'
	AV1  Codec = 'a'<<24 | 'v'<<16 | '0'<<8 | '1'
	VP8  Codec = 'v'<<24 | 'p'<<16 | '0'<<8 | '8'
	VP9  Codec = 'v'<<24 | 'p'<<16 | '0'<<8 | '9'
	AAC  Codec = 'm'<<24 | 'p'<<16 | '4'<<8 | 'a'
	Opus Codec = 'O'<<24 | 'p'<<16 | 'u'<<8 | 's'
	FLAC Codec = 'f'<<24 | 'L'<<16 | 'a'<<8 | 'C'
	AC3  Codec = 'a'<<24 | 'c'<<16 | '-'<<8 | '3'
	EAC3 Codec = 'e'<<24 | 'c'<<16 | '-'<<8 | '3'
	MP3  Codec = '.'<<24 | 'm'<<16 | 'p'<<8 | '3'
)

// The FourCCs of the codecs that have a number in the old format too (FLV 10.1
// §E.4.2.1, §E.4.3.1). HEVC and AV1 by number are a dialect of some CDNs.
var (
	videoNumbers = [16]Codec{7: AVC, 12: HEVC, 13: AV1}
	audioNumbers = [16]Codec{2: MP3, 10: AAC}
)

// numbered is the codec with a number in the old format.
func numbered(media Media, fourCCs *[16]Codec, n byte) Codec {
	if c := fourCCs[n]; c != 0 {
		return c
	}
	return Codec(media)<<8 | Codec(n)
}

var names = map[Codec]string{
	AVC: "H.264", HEVC: "H.265", VVC: "H.266", AV1: "AV1", VP8: "VP8", VP9: "VP9",
	AAC: "AAC", Opus: "Opus", FLAC: "FLAC", AC3: "AC-3", EAC3: "E-AC-3", MP3: "MP3",

	0x902: "Sorenson H.263", 0x903: "Screen Video", 0x904: "VP6", 0x905: "VP6 with alpha", 0x906: "Screen Video 2",
	0x800: "PCM", 0x801: "ADPCM", 0x803: "PCM", 0x804: "Nellymoser", 0x805: "Nellymoser", 0x806: "Nellymoser",
	0x807: "G.711 A-law", 0x808: "G.711 mu-law", 0x80B: "Speex", 0x80E: "MP3",
}

// Name is the name that people know the codec by, "" if it has none here.
func (c Codec) Name() string { return names[c] }

// Old reports whether only the old format has the codec: it has no FourCC.
func (c Codec) Old() bool { return c>>4 == Codec(Audio)<<4 || c>>4 == Codec(Video)<<4 }

// String is the name of the codec, or its FourCC, or its number.
func (c Codec) String() string {
	switch name := c.Name(); {
	case name != "":
		return name
	case c == 0:
		return "unknown"
	case c.Old():
		return fmt.Sprintf("codec %d", c&0xF)
	}
	return c.FourCC()
}

// FourCC is the four characters that stand for the codec in Enhanced RTMP, and
// for most codecs in MP4. A character that cannot be printed is a question mark.
func (c Codec) FourCC() string {
	b := [4]byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)}
	for i, char := range b {
		if char <= ' ' || char > '~' {
			b[i] = '?'
		}
	}
	return string(b[:])
}
