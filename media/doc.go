// Package media turns what a [relay.Stream] passes on into what players other
// than RTMP's want, without touching the pictures: nothing is decoded.
//
// [FLV] writes tags, for HTTP-FLV and for recordings, and [FLVReader] reads
// them with limits. [Remuxer] makes fragmented MP4, one remux for all browsers
// that watch a stream; [Still] is its last key frame as a file. [HLS] is a
// muxer with low latency, written by gohlslib. [Recorder] keeps a file for each
// broadcast, and [IndexFLV] makes an MP4 of it that can be sought in, without
// copying it. mp4ff writes the boxes; what comes from publishers is read here,
// with limits that hold before memory is taken.
//
// Each has one goroutine, or none, started and awaited by its caller, and takes
// its messages from a [Queue] that drops to a key frame rather than make the
// stream wait.
package media
