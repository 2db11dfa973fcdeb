package media

import (
	"fmt"
	"strings"
	"time"
)

// An hlsRendition is the pictures or the sound of a broadcast, in segments. Segments of
// one number begin at one moment in both.
type hlsRendition struct {
	name     string
	segments []*hlsSegment // the last one is being made
	breaks   int           // discontinuities in front of those
	text     []byte        // its playlist; nil: to be made
}

// An hlsSegment is a piece of a rendition that begins with a key frame.
type hlsSegment struct {
	hlsCut
	init   *hlsInit
	parts  []hlsPart
	bytes  int
	frames int
	lasts  time.Duration
	done   bool
}

// An hlsInit is an init segment.
type hlsInit struct {
	number int
	codec  *codec
	data   []byte
}

// An hlsPart is a piece of a segment.
type hlsPart struct {
	data  []byte
	lasts time.Duration
	key   bool // it begins with a key frame
}

func (s *hlsSegment) add(p hlsPart, frames int) {
	s.parts = append(s.parts, p)
	s.bytes += len(p.data)
	s.lasts += p.lasts
	s.frames += frames
}

// breaks is how many discontinuities are in front of the segment.
func (s *hlsSegment) breaks() int {
	if s.broken {
		return 1
	}
	return 0
}

func (v *hlsRendition) last() *hlsSegment { return v.segments[len(v.segments)-1] }

// ready reports whether there is a whole segment.
func (v *hlsRendition) ready() bool { return v != nil && v.segments[0].done }

// has reports whether a part is there, or the whole segment for a part below 0.
func (v *hlsRendition) has(number, part int) bool {
	last := v.last()
	return number < last.number || number == last.number && (last.done || part >= 0 && part < len(last.parts))
}

// beyond reports whether a segment is too far in the future to wait for.
func (v *hlsRendition) beyond(number int) bool { return number > v.last().number+2 }

// find returns a file, or nil. announced says that it is the part that is being made.
func (v *hlsRendition) find(kind string, number, index int) (parts [][]byte, announced bool) {
	for _, s := range v.segments {
		switch {
		case kind == "init" && s.init.number == number:
			return [][]byte{s.init.data}, false
		case kind == "init" || s.number != number:
		case kind == "seg" && s.done:
			for _, p := range s.parts {
				parts = append(parts, p.data)
			}
			return parts, false
		case kind == "part" && index < len(s.parts):
			return [][]byte{s.parts[index].data}, false
		case kind == "part" && index == len(s.parts):
			return nil, !s.done
		}
	}
	return nil, false
}

// listed are the segments of a playlist, and the discontinuities in front of them.
func (v *hlsRendition) listed() (list []*hlsSegment, breaks int) {
	whole := len(v.segments)
	if !v.last().done {
		whole--
	}
	hidden := max(0, whole-hlsSegments)
	breaks = v.breaks
	for _, s := range v.segments[:hidden] {
		breaks += s.breaks()
	}
	return v.segments[hidden:], breaks
}

// trim forgets the segments before a number.
func (v *hlsRendition) trim(number int) {
	for v.segments[0].number < number && len(v.segments) > hlsLeast+1 {
		v.breaks += v.segments[0].breaks()
		v.segments[0] = nil
		v.segments = v.segments[1:]
	}
}

// bytes is how much memory a rendition takes.
func (v *hlsRendition) bytes() (sum int) {
	for _, s := range v.segments {
		sum += s.bytes
	}
	return sum
}

// partTarget is the longest part that is listed.
func partTarget(list []*hlsSegment) time.Duration {
	longest := time.Millisecond
	for _, s := range list {
		for _, p := range s.parts {
			longest = max(longest, p.lasts)
		}
	}
	return (longest + time.Millisecond - 1).Truncate(time.Millisecond)
}

// recent are the segments whose parts are listed.
func recent(list []*hlsSegment) []*hlsSegment { return list[max(0, len(list)-hlsParts-1):] }

// hlsParts is of how many whole segments the parts are listed (RFC 8216bis §4.4.4.9:
// three target durations).
const hlsParts = 3

// playlistLocked is a media playlist.
func (v *hlsRendition) playlistLocked(h *HLS, query string) []byte {
	list, breaks := v.listed()
	target := partTarget(recent(list))
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:%d\n", h.target)
	fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=%.3f\n", 3*target.Seconds())
	fmt.Fprintf(&b, "#EXT-X-PART-INF:PART-TARGET=%.3f\n#EXT-X-MEDIA-SEQUENCE:%d\n", target.Seconds(), list[0].number)
	fmt.Fprintf(&b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n#EXT-X-INDEPENDENT-SEGMENTS\n", breaks)
	prefix := h.id + "_" + v.name
	for i, s := range list {
		if s.broken {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if i == 0 || s.broken {
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s_init%d.mp4%s\"\n", prefix, s.init.number, query)
		}
		var parts []hlsPart
		if len(list)-i <= hlsParts+1 && !h.over { // with parts, hls.js leaves out the last one
			parts = s.parts
		}
		s.list(&b, prefix, query, parts)
	}
	if last := v.last(); h.over {
		b.WriteString("#EXT-X-ENDLIST\n")
	} else if !last.done {
		fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"%s_part%d_%d.mp4%s\"\n", prefix, last.number, len(last.parts), query)
	}
	return []byte(b.String())
}

// list writes the lines of a segment.
func (s *hlsSegment) list(b *strings.Builder, prefix, query string, parts []hlsPart) {
	if s.done || len(parts) > 0 {
		b.WriteString("#EXT-X-PROGRAM-DATE-TIME:" + s.date.UTC().Format("2006-01-02T15:04:05.000Z") + "\n")
	}
	for i, p := range parts {
		fmt.Fprintf(b, "#EXT-X-PART:DURATION=%.5f,URI=\"%s_part%d_%d.mp4%s\"", p.lasts.Seconds(), prefix, s.number, i, query)
		if p.key {
			b.WriteString(",INDEPENDENT=YES")
		}
		b.WriteByte('\n')
	}
	if !s.done {
		return
	}
	if len(s.parts) == 0 {
		b.WriteString("#EXT-X-GAP\n")
	}
	fmt.Fprintf(b, "#EXTINF:%.5f,\n%s_seg%d.mp4%s\n", s.lasts.Seconds(), prefix, s.number, query)
}

// begun reports whether the segment behind the first has begun too. Until then hls.js
// requests the last part of the first again and again.
func (v *hlsRendition) begun() bool {
	last := v.last()
	return last.number > v.segments[0].number+1 || last.done || len(last.parts) > 0
}

// readyLocked reports whether there is a whole segment of all that there is, and more.
func (h *HLS) readyLocked() bool {
	some := false
	for _, v := range h.renditions {
		if v != nil && !(v.ready() && v.begun()) {
			return false
		}
		some = some || v != nil
	}
	return some
}

// multivariantLocked is the multivariant playlist.
func (h *HLS) multivariantLocked(prefix, query string) []byte {
	video, audio := h.renditions[videoLane], h.renditions[audioLane]
	lead := video
	if lead == nil {
		lead = audio
	}
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	if lead == video && audio != nil {
		fmt.Fprintf(&b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Sound\",DEFAULT=YES,AUTOSELECT=YES,URI=\"%s%s_stream.m3u8%s\"\n", prefix, audio.name, query)
	}
	peak, mean := h.bandwidthLocked()
	fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\"", peak, mean, h.codecsLocked())
	if video != nil {
		size := video.last().init.codec.size
		fmt.Fprintf(&b, ",RESOLUTION=%dx%d", size.width, size.height)
		if s := video.whole(); s != nil && s.frames > 1 && s.lasts > 0 {
			fmt.Fprintf(&b, ",FRAME-RATE=%.3f", float64(s.frames)/s.lasts.Seconds())
		}
		if audio != nil {
			b.WriteString(",AUDIO=\"audio\"")
		}
	}
	fmt.Fprintf(&b, "\n%s%s_stream.m3u8%s\n", prefix, lead.name, query)
	return []byte(b.String())
}

// whole is the last whole segment, or nil.
func (v *hlsRendition) whole() (s *hlsSegment) {
	for _, other := range v.segments {
		if other.done {
			s = other
		}
	}
	return s
}

func (h *HLS) codecsLocked() string {
	var names []string
	for _, v := range h.renditions {
		if v != nil {
			names = append(names, v.last().init.codec.mime)
		}
	}
	return strings.Join(names, ",")
}

// bandwidthLocked is how many bits a second there are at most and on average.
func (h *HLS) bandwidthLocked() (peak, mean int) {
	for _, v := range h.renditions {
		if v == nil {
			continue
		}
		var most, bytes, seconds float64
		for _, s := range v.segments {
			if s.done && s.lasts > 0 {
				most = max(most, float64(s.bytes)/s.lasts.Seconds())
				bytes, seconds = bytes+float64(s.bytes), seconds+s.lasts.Seconds()
			}
		}
		peak += int(8 * most)
		mean += int(8 * bytes / max(seconds, 0.001))
	}
	return max(peak, 1), max(mean, 1)
}
