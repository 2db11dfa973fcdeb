// Package flv reads and writes what FLV files and RTMP's audio, video and data
// messages have in common: the payload of a tag (Video File Format
// Specification 10.1, Annex E, and Enhanced RTMP v2).
//
// [Tag.Parse] takes a payload apart without copying any of it. A message of
// Enhanced RTMP may carry several tracks; Parse reads the first of them, and
// [Tag.Next] the others. Which of them counts, and whether metadata about the
// picture is kept like a sequence header, is for the caller to say:
//
//	var t flv.Tag
//	for ok := t.Parse(flv.Video, payload); ok; ok = t.Next() {
//		if t.Track == 0 && t.Kind == flv.CodedFrames {
//			show(t.Body)
//		}
//	}
//
// The body of a picture of H.264, H.265 or AV1 consists of units. [Codec.View]
// says what they are to a picture, for a tag need not have a whole one.
//
// A [Codec] is the codec of a tag, however the tag names it: H.264 is [AVC] by
// its number and by its FourCC. [Reader], [AppendFileHeader] and [AppendTag] are
// for files.
package flv
