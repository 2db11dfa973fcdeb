package media

import (
	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"

	"foyer/server/flv"
)

// A sample is one frame of a track, in ticks of the track.
type sample struct {
	dts  int64
	dur  uint32
	cts  int32
	key  bool
	data []byte
}

// trackID is the number of a lane in our files.
func trackID(l lane) uint32 { return uint32(l) + 1 }

// initSegment writes ftyp and moov for one or both lanes (ISO/IEC 14496-12 §8.2).
func initSegment(codecs [lanes]*codec) ([]byte, error) {
	init := mp4.CreateEmptyInit()
	for l, c := range codecs {
		if c == nil {
			continue
		}
		kind := "video"
		if lane(l) == audioLane {
			kind = "audio"
		}
		trak := mp4.CreateEmptyTrak(trackID(lane(l)), c.timescale, kind, "und")
		init.Moov.AddChild(trak)
		init.Moov.Mvex.AddChild(mp4.CreateTrex(trackID(lane(l))))
		init.Moov.Mvhd.NextTrackID = trackID(lane(l)) + 1
		trak.Mdia.Minf.Stbl.Stsd.AddChild(c.entry(trak))
	}
	return encoded(init)
}

// entry is the sample entry: how the frames of the track are to be decoded.
func (c *codec) entry(trak *mp4.TrakBox) mp4.Box {
	if c.channels > 0 {
		rate := c.timescale
		if rate > 0xffff { // too large here; decoders read it in the configuration
			rate = 0
		}
		name := "mp4a"
		if c.fourCC == flv.Opus {
			name = "Opus"
		}
		return mp4.CreateAudioSampleEntryBox(name, c.channels, 16, uint16(rate), c.box)
	}
	trak.Tkhd.Width, trak.Tkhd.Height = mp4.Fixed32(c.size.width<<16), mp4.Fixed32(c.size.height<<16)
	return mp4.CreateVisualSampleEntryBox(c.fourCC.FourCC(), uint16(c.size.width), uint16(c.size.height), c.box)
}

// fragment writes moof and mdat for the samples of each lane (ISO/IEC
// 14496-12 §8.8). The media data are copied once, into what it returns.
func fragment(sequence uint32, samples *[lanes][]sample) ([]byte, error) {
	var ids []uint32
	for l := range samples {
		if len(samples[l]) > 0 {
			ids = append(ids, trackID(lane(l)))
		}
	}
	f, err := mp4.CreateMultiTrackFragment(sequence, ids)
	if err != nil {
		return nil, err
	}
	for l := range samples {
		for _, s := range samples[l] {
			flags := mp4.NonSyncSampleFlags
			if s.key {
				flags = mp4.SyncSampleFlags
			}
			m := mp4.NewSample(flags, s.dur, uint32(len(s.data)), s.cts)
			if err := f.AddSampleToTrack(m, trackID(lane(l)), uint64(s.dts)); err != nil {
				return nil, err
			}
			f.Mdat.AddSampleDataPart(s.data)
		}
	}
	f.Mdat.SetLazyDataSize(0)
	return encoded(f)
}

// encoded is the bytes of boxes.
func encoded(b interface {
	Size() uint64
	EncodeSW(bits.SliceWriter) error
}) ([]byte, error) {
	w := bits.NewFixedSliceWriter(int(b.Size()))
	if err := b.EncodeSW(w); err != nil {
		return nil, err
	}
	return w.Bytes(), nil
}
