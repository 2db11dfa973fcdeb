package ingest

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// MaxSide is the largest width or height that is believed.
const MaxSide = 16384

// avcPicture is what a sequence header of H.264 says about the pictures.
type avcPicture struct {
	profile       string
	width, height int
	common        bool // 8 bits and 4:2:0, as every browser plays it
}

// avcProfiles by profile_idc (H.264 §A.2).
var avcProfiles = map[byte]string{
	66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10", 122: "High 4:2:2", 244: "High 4:4:4",
}

// parseAVC reads the size of the pictures out of a sequence header: an
// AVCDecoderConfigurationRecord (ISO 14496-15 §5.2.4.1), whose first sequence
// parameter set says it.
func parseAVC(record []byte) (p avcPicture, ok bool) {
	if len(record) < 8 || record[0] != 1 || record[5]&0x1F == 0 {
		return p, false
	}
	size, set := int(binary.BigEndian.Uint16(record[6:])), record[8:]
	var sps h264.SPS
	if size > len(set) || sps.Unmarshal(set[:size]) != nil {
		return p, false
	}
	p = avcPicture{
		profile: avcProfiles[sps.ProfileIdc], width: sps.Width(), height: sps.Height(),
		common: sps.ChromaFormatIdc <= 1 && sps.BitDepthLumaMinus8 == 0 && sps.BitDepthChromaMinus8 == 0,
	}
	return p, p.width > 0 && p.height > 0 && p.width <= MaxSide && p.height <= MaxSide
}

// parseAAC reads an AudioSpecificConfig (ISO 14496-3 §1.6.2.1); 0 is not known.
func parseAAC(record []byte) (rate, channels int) {
	var c mpeg4audio.AudioSpecificConfig
	if c.Unmarshal(record) != nil {
		return 0, 0
	}
	if c.ChannelConfig == 7 {
		return c.SampleRate, 8
	}
	return c.SampleRate, int(c.ChannelConfig)
}
