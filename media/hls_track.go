package media

import (
	"encoding/binary"
	"slices"
	"time"
)

// hlsLate is by how many milliseconds frames may lag behind what has been written. Beyond
// that there is more sound than time, or the time is over, and they are left out.
const hlsLate = 120

// An hlsTrack is one track on its way into its rendition.
type hlsTrack struct {
	// set by newHLSMuxer
	h    *HLS
	lane lane
	name string

	want      *codec // of its frames; nil: not known
	booked    *codec // of the last segment that has been cut
	codec     *codec // of the segment that is being made; nil: there is no rendition
	err       error  // why it cannot be shown
	absent    bool   // says the metadata
	announced bool   // says the metadata

	seen   bool  // a frame has come
	last   int64 // its time
	missed int64 // by how much the other track has continued since
	lost   bool  // a picture is missing, so the next has to be a key frame
	late   bool  // pictures come, but for a time that has been filled in
	filled bool  // it does not come: what is written is silence, or the last picture
	still  tag   // the last key frame

	waiting  []hlsFrame // for the leading track
	cuts     []hlsCut   // at which it has not come yet
	pending  *sample    // a picture whose duration is not known yet
	due      int64      // where the next frame belongs, in ticks
	out      []sample   // of the part that is being made
	ticks    int64      // how long those last
	sequence uint32
}

// turns reports whether another codec of the track begins with f.
func (t *hlsTrack) turns(f hlsFrame) bool {
	if t.want == nil || t.want == t.booked {
		return false
	}
	return t.lane == audioLane && (t.seen || t.booked == nil && t.filled) || t.lane == videoLane && f.picture() && f.codec == t.want
}

// written is the time up to which the track has been written, in milliseconds.
func (t *hlsTrack) written() int64 { return t.due * 1000 / int64(t.codec.timescale) }

// begin begins the rendition with a segment. Sound that comes late begins with silence
// for the segments that are there already, since players want both; players of pictures
// begin where the pictures do.
func (t *hlsTrack) begin(c hlsCut, other *hlsRendition) {
	t.codec = c.codec
	v := &hlsRendition{name: t.name}
	if other == nil {
		t.start(v, c)
		return
	}
	before := other.segments[:len(other.segments)-1]
	v.breaks = other.breaks
	if t.lane == videoLane {
		for _, s := range before {
			v.breaks += s.breaks()
		}
		before = nil
	}
	for _, s := range before {
		past := hlsCut{s.number, s.at, s.date, s.broken, c.codec}
		if len(v.segments) == 0 {
			t.start(v, past)
		} else {
			t.turn(past)
		}
	}
	if len(before) == 0 {
		t.start(v, c)
	} else {
		t.turn(c)
	}
}

// start begins the first segment of a rendition.
func (t *hlsTrack) start(v *hlsRendition, c hlsCut) {
	t.due = c.at * int64(t.codec.timescale) / 1000
	v.segments = append(v.segments, &hlsSegment{hlsCut: c, init: t.init(c.number)})
	t.h.change(func() { t.h.renditions[t.lane] = v })
}

// init makes the init segment from a segment on.
func (t *hlsTrack) init(number int) *hlsInit {
	var codecs [lanes]*codec
	codecs[t.lane] = t.codec
	data, err := initSegment(codecs)
	if err != nil {
		panic(err) // a mistake of ours
	}
	return &hlsInit{number, t.codec, data}
}

// turn ends a segment and begins another.
func (t *hlsTrack) turn(c hlsCut) {
	t.complete(c.at)
	v := t.h.renditions[t.lane]
	s := &hlsSegment{hlsCut: c, init: v.last().init}
	if c.broken {
		scale := int64(t.codec.timescale)
		t.due = (t.due*int64(c.codec.timescale) + scale - 1) / scale
		t.codec = c.codec
		s.init = t.init(c.number)
	}
	t.h.change(func() {
		t.h.close(v.last())
		v.segments = append(v.segments, s)
	})
}

// close ends a segment. The caller holds mu.
func (h *HLS) close(s *hlsSegment) {
	s.done = true
	h.target = max(h.target, int(s.lasts.Round(time.Second)/time.Second))
}

// trim forgets segments that nobody needs, or for which there is no room.
func (h *HLS) trim(number int) {
	h.change(func() {
		for least := number - hlsKept; least <= number-hlsLeast; least++ {
			bytes := 0
			for _, v := range h.renditions {
				if v != nil {
					v.trim(least)
					bytes += v.bytes()
				}
			}
			if bytes <= MaxHLS-MaxHLSSegment {
				return
			}
		}
	})
}

// release writes the frames up to a time.
func (t *hlsTrack) release(until int64) {
	n := 0
	for ; n < len(t.waiting) && t.waiting[n].at <= until; n++ {
		t.write(t.waiting[n])
	}
	t.waiting = slices.Delete(t.waiting, 0, n)
}

// write writes a frame, unless it is for a decoder that the segment does not have.
func (t *hlsTrack) write(f hlsFrame) {
	for len(t.cuts) > 0 && f.at >= t.cuts[0].at {
		t.next()
	}
	switch {
	case f.codec != t.codec:
	case f.picture():
		t.picture(f)
	default:
		t.sound(f)
	}
}

// next begins the next segment.
func (t *hlsTrack) next() {
	c := t.cuts[0]
	t.cuts = slices.Delete(t.cuts, 0, 1)
	t.turn(c)
}

// picture writes the picture before, whose duration is known now.
func (t *hlsTrack) picture(f hlsFrame) {
	t.show(f.at)
	s := &sample{dts: max(f.at, t.due), key: f.Key, data: f.Body}
	if f.Shift >= -maxOffset && f.Shift <= maxOffset {
		s.cts = f.Shift
	}
	if f.Key {
		t.still = f.tag
		s.data = t.codec.inBand(f.Body)
	}
	t.pending, t.due = s, s.dts+1
}

// show writes the picture that waits, which lasts until a time.
func (t *hlsTrack) show(until int64) {
	p := t.pending
	if p == nil {
		return
	}
	t.pending = nil
	p.dur = uint32(max(1, until-p.dts))
	t.put(*p)
	t.due = p.dts + int64(p.dur)
}

// inBand puts the parameter sets in front of a key frame, for players that do not read
// another init segment (ffmpeg).
func (c *codec) inBand(frame []byte) []byte {
	var b []byte
	for _, unit := range slices.Concat(c.vps, c.sps, c.pps) {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(unit)))
		b = append(append(b, length[4-c.prefix:]...), unit...)
	}
	return append(b, frame...)
}

// sound writes sound. Frames follow one another, since times in milliseconds are not
// exact, unless there is a gap.
func (t *hlsTrack) sound(f hlsFrame) {
	scale, dur := int64(t.codec.timescale), t.codec.ticks(f.Body)
	at := f.at * scale / 1000
	if dur == 0 || t.due-at > hlsLate*scale/1000 {
		return
	}
	if at-t.due > audioSlack*scale/1000 {
		t.reach(f.at)
	}
	t.put(sample{dts: t.due, dur: dur, key: true, data: f.Body})
	t.due += int64(dur)
}

// reach lets the track last until a time: the picture that waits, or silence.
func (t *hlsTrack) reach(until int64) {
	if t.lane == videoLane {
		t.show(until)
		return
	}
	for len(t.cuts) > 0 && until > t.cuts[0].at {
		t.next()
	}
	scale := int64(t.codec.timescale)
	end, silence := until*scale/1000, t.codec.silence()
	if silence == nil || end-t.due <= audioSlack*scale/1000 {
		return
	}
	for dur := int64(t.codec.ticks(silence)); t.due+dur <= end; {
		t.hush(silence)
	}
}

// complete writes the rest of a segment, which lasts until a time. It may be shorter than
// a frame, but has one.
func (t *hlsTrack) complete(until int64) {
	t.reach(until)
	t.flush()
	if silence := t.codec.silence(); silence != nil && len(t.h.renditions[t.lane].last().parts) == 0 {
		t.hush(silence)
		t.flush()
	}
}

// hush writes a frame of silence.
func (t *hlsTrack) hush(silence []byte) {
	dur := t.codec.ticks(silence)
	t.put(sample{dts: t.due, dur: dur, key: true, data: silence})
	t.due += int64(dur)
}

// put adds a frame to the part that is being made.
func (t *hlsTrack) put(s sample) {
	t.out = append(t.out, s)
	if t.ticks += int64(s.dur); t.ticks*1000 >= hlsPartTime.Milliseconds()*int64(t.codec.timescale) {
		t.flush()
	}
}

// flush writes the part.
func (t *hlsTrack) flush() {
	if len(t.out) == 0 {
		return
	}
	var samples [lanes][]sample
	samples[t.lane] = t.out
	t.sequence++
	data, err := fragment(t.sequence, &samples)
	if err != nil {
		panic(err) // a mistake of ours
	}
	frames, lasts := len(t.out), time.Duration(t.ticks)*time.Second/time.Duration(t.codec.timescale)
	p := hlsPart{data: data, lasts: lasts, key: t.out[0].key}
	clear(t.out)
	t.out, t.ticks = t.out[:0], 0
	t.h.change(func() { t.h.renditions[t.lane].last().add(p, frames) })
}

// finish ends the rendition.
func (t *hlsTrack) finish(until int64) {
	if t.codec == nil {
		return
	}
	t.release(until)
	for len(t.cuts) > 0 {
		t.next()
	}
	if t.pending != nil {
		t.show(max(until, t.pending.dts+usualFrame))
	}
	t.complete(until)
	t.h.change(func() { t.h.close(t.h.renditions[t.lane].last()) })
}
