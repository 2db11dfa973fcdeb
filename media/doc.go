// Package media turns the messages of a [relay.Stream] into formats for players
// other than RTMP's. Pictures and sound stay as they are: nothing is decoded.
//
// [FLV] writes tags, for HTTP-FLV and for recordings, and [FLVReader] reads
// them with limits. [Remuxer] makes fragmented MP4, one remux for all browsers
// that watch a stream; [Still] is its last key frame as a file. [HLS] is
// the low-latency HLS of a broadcast, which continues whatever changes. [Recorder] keeps a file for each
// broadcast, and [IndexFLV] makes an MP4 of it that can be sought in, without
// copying it. mp4ff writes the boxes, and mediacommon reads configurations, which
// are limited in size. All of them take their times from an [flv.Clock].
//
// Encoders send pictures in parts, parameters among them, sound with the headers
// of a file, and much else that is not what it says. In front of each of the
// above, a mender makes access units of it; RTMP players get it as it came.
//
// Each has one goroutine, or none, which its caller starts and awaits. It takes its
// messages from a [Queue], which drops up to a key frame rather than make the
// stream wait. Only [LastKeyFrame], which wants no more than one, has none.
package media
