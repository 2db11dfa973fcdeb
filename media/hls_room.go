package media

import "github.com/bluenviron/gohlslib/v2"

// An hlsSize is how long segments may be. Segments end at key frames. If those
// are rare, or many bytes lie between them, there are fewer segments, without low
// latency, and in the end there are none.
type hlsSize uint8

const (
	hlsShort hlsSize = iota
	hlsLong
	hlsNone
)

// errHLSTooLong says why there are no segments.
var errHLSTooLong = &CodecError{"of the stream", "there are too many bytes between its key frames: set a shorter key frame interval in the encoder, or a lower bitrate"}

func (s hlsSize) variant() gohlslib.MuxerVariant {
	if s == hlsShort {
		return gohlslib.MuxerVariantLowLatency
	}
	return gohlslib.MuxerVariantFMP4
}

func (s hlsSize) segments() int {
	if s == hlsShort {
		return hlsSegments
	}
	return hlsLongSegments
}

// most is how many bytes a segment may have, also while it is being made. The
// library's buffers have up to twice the room that they need.
func (s hlsSize) most() int { return MaxHLS / 2 / (s.segments() + 1) }

// An hlsRoom counts the bytes of the segment that is being made.
type hlsRoom struct {
	size  hlsSize
	begun bool
	since int64 // when the segment began
	bytes int
}

// over counts a frame, and reports whether it makes the segment too long for its
// size. The next size is greater, or none until a segment would fit again.
func (r *hlsRoom) over(f tag, at int64, pictures bool) bool {
	ends := f.picture() && f.Key || !pictures
	if !r.begun || ends && at-r.since >= hlsSegment.Milliseconds() {
		if r.begun && r.size == hlsNone && r.bytes <= hlsLong.most() {
			r.size = hlsLong
		}
		r.begun, r.since, r.bytes = true, at, 0
	}
	r.bytes += len(f.Body) + hlsSample
	if r.size == hlsNone || r.bytes <= r.size.most() {
		return false
	}
	r.size++
	return true
}
