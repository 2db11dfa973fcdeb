package media

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// breaksOf are the numbers of the segments that begin with a discontinuity.
func breaksOf(v *hlsRendition) (numbers []int) {
	for _, s := range v.segments {
		if s.broken {
			numbers = append(numbers, s.number)
		}
	}
	return numbers
}

// A viewer reads the playlists of a cinema again and again, as players do, and checks
// that what they say fits together.
type viewer struct {
	*cinema
	first  map[string]int            // the last media sequence, by rendition
	breaks map[int]int               // discontinuities up to a segment, by number: the same in all renditions
	seen   map[string]map[int]string // what was said of a segment, by rendition and number
	end    map[string]float64        // where the last segment that was seen ends, in seconds
	maps   map[string][]string       // the init segments, in order
	apart  bool                      // what was not muxed may be missing between segments
}

func newViewer(t *testing.T) *viewer {
	return &viewer{
		cinema: newCinema(t), first: map[string]int{}, breaks: map[int]int{}, seen: map[string]map[int]string{}, end: map[string]float64{},
		maps: map[string][]string{},
	}
}

var (
	seqLine  = regexp.MustCompile(`\n#EXT-X-MEDIA-SEQUENCE:(\d+)\n#EXT-X-DISCONTINUITY-SEQUENCE:(\d+)\n`)
	mapLine  = regexp.MustCompile(`^#EXT-X-MAP:URI="([^"?]+)\?`)
	partLine = regexp.MustCompile(`^#EXT-X-PART:DURATION=([0-9.]+),`)
)

// look reads a rendition.
func (v *viewer) look(name string) {
	v.Helper()
	text, _, err := v.get(name)
	if err != nil {
		v.Fatalf("%s: %v", name, err)
	}
	head := seqLine.FindStringSubmatch(text)
	if head == nil {
		v.Fatalf("%s: %s", name, text)
	}
	number, _ := strconv.Atoi(head[1])
	breaks, _ := strconv.Atoi(head[2])
	if number < v.first[name] {
		v.Errorf("%s: media sequence went from %d to %d", name, v.first[name], number)
	}
	v.first[name] = number
	if v.seen[name] == nil {
		v.seen[name] = map[int]string{}
	}
	var lasts, init string
	var parts float64
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch m := mapLine.FindStringSubmatch(line); {
		case line == "#EXT-X-DISCONTINUITY":
			breaks++
			init = ""
		case m != nil:
			init = m[1]
		case strings.HasPrefix(line, "#EXT-X-PART:"):
			d, _ := strconv.ParseFloat(partLine.FindStringSubmatch(line)[1], 64)
			parts += d
		case strings.HasPrefix(line, "#EXTINF:"):
			lasts = strings.TrimSuffix(strings.TrimPrefix(line, "#EXTINF:"), ",")
		case line != "" && line[0] != '#':
			v.segment(name, number, breaks, init, lasts, strings.Split(line, "?")[0])
			if d, _ := strconv.ParseFloat(lasts, 64); parts > 0 && math.Abs(parts-d) > 0.001 {
				v.Errorf("%s: segment %d lasts %s, its parts %.5f", name, number, lasts, parts)
			}
			number, parts = number+1, 0
		}
	}
}

// segment looks at one of a rendition.
func (v *viewer) segment(name string, number, breaks int, init, lasts, file string) {
	v.Helper()
	said := fmt.Sprint(breaks, init, lasts, file)
	if before, ok := v.seen[name][number]; ok && before != said {
		v.Errorf("%s: segment %d was %s, is %s", name, number, before, said)
	} else if ok {
		return
	}
	v.seen[name][number] = said
	if b, ok := v.breaks[number]; ok && b != breaks {
		v.Errorf("%s: %d discontinuities up to segment %d, in the other rendition %d", name, breaks, number, b)
	}
	v.breaks[number] = breaks
	if n := len(v.maps[name]); n == 0 || v.maps[name][n-1] != init {
		v.maps[name] = append(v.maps[name], init)
	}
	begin, media, key := v.times(init, file)
	if want, _ := strconv.ParseFloat(lasts, 64); math.Abs(media-want) > 0.002 || !key {
		v.Errorf("%s: segment %d has %.3f s, EXTINF says %s; begins with a key frame: %v", name, number, media, lasts, key)
	}
	if end, ok := v.end[name]; ok && math.Abs(begin-end) > 0.05 && !v.apart || begin < end-0.001 {
		v.Errorf("%s: segment %d begins at %.3f, the one before ended at %.3f", name, number, begin, end)
	}
	v.end[name] = begin + media
}

// times reads a segment.
func (v *viewer) times(init, file string) (begin, lasts float64, key bool) {
	v.Helper()
	head, _, err := v.get(init)
	if err != nil {
		v.Fatalf("%s: %v", init, err)
	}
	body, _, err := v.get(file)
	if err != nil {
		v.Fatalf("%s: %v", file, err)
	}
	f, err := mp4.DecodeFile(bytes.NewReader([]byte(head + body)))
	if err != nil {
		v.Fatalf("%s: %v", file, err)
	}
	scale := float64(f.Init.Moov.Trak.Mdia.Mdhd.Timescale)
	for i, s := range f.Segments {
		for j, frag := range s.Fragments {
			if i == 0 && j == 0 {
				begin = float64(frag.Moof.Traf.Tfdt.BaseMediaDecodeTime()) / scale
				key = frag.Moof.Traf.Trun.Samples[0].IsSync()
			}
			for _, sample := range frag.Moof.Traf.Trun.Samples {
				lasts += float64(sample.Dur) / scale
			}
		}
	}
	return begin, lasts, key
}

const (
	videoList = "video1_stream.m3u8"
	audioList = "audio2_stream.m3u8"
	aac48     = "\xaf\x00\x11\x90"
	newPPS    = "\x68\xcb\x83\xcb"
)

// TestHLSChanges: whatever changes in a broadcast, its playlists continue: numbers grow,
// both renditions have a discontinuity at the same segments, and each segment says the
// same for ever.
func TestHLSChanges(t *testing.T) {
	otherAVC := strings.Replace(realAVC, realPPS, newPPS, 1)
	for _, tt := range []struct {
		name   string
		steps  func(v *viewer, second func(key, sound string))
		codecs string // in the end
		breaks int
		video  int // init segments
		audio  int
	}{
		{"nothing", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, realAVC, tagAAC)
			for range 15 {
				second(realKey, tagSound)
			}
		}, "avc1.42c028,mp4a.40.2", 0, 1, 1},
		{"late sound", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, realAVC)
			for range 5 {
				second(realKey, "")
			}
			send(v.stream, 5000, tagAAC)
			for range 5 {
				second(realKey, tagSound)
			}
		}, "avc1.42c028,mp4a.40.2", 1, 2, 2},
		{"late pictures", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, tagAAC)
			for range 5 {
				second("", tagSound)
			}
			send(v.stream, 5000, realAVC)
			for range 5 {
				second(realKey, tagSound)
			}
		}, "avc1.42c028,mp4a.40.2", 1, 1, 2},
		{"sound that is announced", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, metaBoth, realAVC)
			for range 4 {
				second(realKey, "")
			}
			send(v.stream, 4000, aac48) // as the silence
			for range 4 {
				second(realKey, tagSound)
			}
		}, "avc1.42c028,mp4a.40.2", 0, 1, 1},
		{"another sample rate", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, realAVC, tagAAC)
			for range 4 {
				second(realKey, tagSound)
			}
			v.stream.Publish()
			send(v.stream, 0, realAVC, aac48)
			for range 4 {
				second(realKey, tagSound)
			}
		}, "avc1.42c028,mp4a.40.2", 1, 2, 2},
		{"without sound, and with it again", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, realAVC, tagAAC)
			for i := range 12 {
				sound := tagSound
				if i/4 == 1 {
					sound = ""
				}
				second(realKey, sound)
			}
		}, "avc1.42c028,mp4a.40.2", 2, 3, 3},
		{"without pictures, and with them again", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, realAVC, tagAAC)
			for i := range 12 {
				key := realKey
				if i/4 == 1 {
					key = ""
				}
				second(key, tagSound)
			}
		}, "avc1.42c028,mp4a.40.2", 2, 3, 3},
		{"another configuration", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, realAVC, tagAAC)
			for range 4 {
				second(realKey, tagSound)
			}
			send(v.stream, 4000, otherAVC)
			for range 4 {
				second(realKey, tagSound)
			}
		}, "avc1.42c028,mp4a.40.2", 1, 2, 2},
		{"an outage", func(v *viewer, second func(key, sound string)) {
			send(v.stream, 0, realAVC, tagAAC)
			for range 3 {
				second(realKey, tagSound)
			}
			time.Sleep(20 * time.Second)
			v.stream.Publish()
			send(v.stream, 0, realAVC, tagAAC)
			for range 3 {
				second(realKey, tagSound)
			}
		}, "avc1.42c028,mp4a.40.2", 1, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newViewer(t)
				n := 0
				tt.steps(v, func(key, sound string) {
					inter := realInt
					if key == "" {
						inter = ""
					}
					v.seconds(n, n+1, key, inter, sound)
					n++
					time.Sleep(200 * time.Millisecond)
					v.lookAll()
				})
				playlist, _, err := v.get("")
				if err != nil || !strings.Contains(playlist, `CODECS="`+tt.codecs+`"`) {
					t.Errorf("%v: %s", err, playlist)
				}
				most := 0
				for _, b := range v.breaks {
					most = max(most, b)
				}
				if most != tt.breaks || len(v.maps[videoList]) != tt.video || len(v.maps[audioList]) != tt.audio {
					t.Errorf("%d discontinuities, init segments %q, want %d, %d and %d", most, v.maps, tt.breaks, tt.video, tt.audio)
				}
				if video, audio := v.seen[videoList], v.seen[audioList]; len(video) < 4 || len(audio) < 4 {
					t.Errorf("%d segments of pictures, %d of sound", len(video), len(audio))
				}
			})
		})
	}
}

// TestHLSSilence: sound that stays away is silence, of the length of the pictures.
func TestHLSSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViewer(t)
		send(v.stream, 0, realAVC, tagAAC)
		v.seconds(0, 3, realKey, realInt, tagSound)
		v.seconds(3, 12, realKey, realInt, "")
		v.look(videoList)
		v.look(audioList)
		if a, b := v.end[videoList], v.end[audioList]; math.Abs(a-b) > 0.1 || a < 10 {
			t.Errorf("pictures end at %.3f, sound at %.3f", a, b)
		}
		part := v.hls.renditions[audioLane].last().parts[0]
		f, err := mp4.DecodeFile(bytes.NewReader(slices.Concat(v.hls.renditions[audioLane].last().init.data, part.data)))
		if err != nil {
			t.Fatal(err)
		}
		if b := f.Segments[0].Fragments[0].Mdat.Data; !bytes.HasPrefix(b, silentFrame(2)) {
			t.Errorf("the sound is %x", b)
		}
	})
}

// TestHLSWithout: a track that HLS cannot show does not take the other one away.
func TestHLSWithout(t *testing.T) {
	const pictures, sound = `CODECS="avc1.42c028"`, `CODECS="mp4a.40.2"`
	for _, tt := range []struct {
		name    string
		headers []string
		key     string
		inter   string
		sound   string
		want    string
	}{
		{"PCM", []string{realAVC}, realKey, realInt, "\x3fpcm", pictures},
		{"MP3", []string{realAVC}, realKey, realInt, "\x2fmp3", pictures},
		{"Speex", []string{realAVC}, realKey, realInt, "\xb2speex", pictures},
		{"Nellymoser", []string{realAVC}, realKey, realInt, "\x62nelly", pictures},
		{"G.711", []string{realAVC}, realKey, realInt, "\x72alaw", pictures},
		{"AAC whose configuration never comes", []string{realAVC}, realKey, realInt, tagSound, pictures},
		{"AAC whose configuration is nonsense", []string{realAVC, "\xaf\x00\xff"}, realKey, realInt, tagSound, pictures},
		{"announced AAC whose configuration never comes", []string{metaBoth, realAVC}, realKey, realInt, tagSound, pictures},
		{"Sorenson", []string{tagAAC}, "\x12h263", "\x22h263", tagSound, sound},
		{"VP6", []string{tagAAC}, "\x14vp6", "\x24vp6", tagSound, sound},
		{"H.264 whose configuration never comes", []string{tagAAC}, realKey, realInt, tagSound, sound},
		{"H.264 whose configuration is nonsense", []string{"\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe1\xff\xff", tagAAC}, realKey, realInt, tagSound, sound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newViewer(t)
				write := func(at uint32, body string) {
					m := message(at, body)
					if body == tt.sound {
						m.Type = rtmp.TypeAudio
					}
					v.stream.WriteMessage(m)
				}
				for _, h := range tt.headers {
					write(0, h)
				}
				for at := uint32(0); at < 6000; at += 40 {
					write(at, tt.sound)
					if at%1000 == 0 {
						write(at, tt.key)
					} else {
						write(at, tt.inter)
					}
				}
				synctest.Wait()
				playlist, _, err := v.get("")
				if err != nil || !strings.Contains(playlist, tt.want) {
					t.Errorf("%v: %s", err, playlist)
				}
				for l, r := range v.hls.renditions {
					if r != nil {
						v.look([lanes]string{videoList, audioList}[l])
						if len(r.segments) < 5 {
							t.Errorf("%s has %d segments", r.name, len(r.segments))
						}
					}
				}
			})
		})
	}
}

// TestHLSFollow: when the stream that was lost is published again as another, its room
// having moved, the playlists continue. After an end they do not.
func TestHLSFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViewer(t)
		send(v.stream, 0, realAVC, tagAAC)
		v.seconds(0, 4, realKey, realInt, tagSound)
		v.look(videoList)
		v.look(audioList)
		again := relay.New("live")
		if v.hls.Follow(again) {
			t.Error("follows while the stream is live")
		}
		v.stream.Lose()
		time.Sleep(5 * time.Second)
		if !v.hls.Follow(again) {
			t.Fatal("does not follow")
		}
		if v.stream.Players() != 0 || again.Players() != 1 {
			t.Error("it has not changed streams")
		}
		v.stream = again
		again.Publish()
		send(again, 0, realAVC, tagAAC)
		v.seconds(0, 4, realKey, realInt, tagSound)
		v.look(videoList)
		v.look(audioList)
		if n := len(v.seen[videoList]); n < 7 || v.breaks[n-1] != 1 {
			t.Errorf("%d segments, discontinuities %v", n, v.breaks)
		}
		again.Unpublish()
		if v.hls.Follow(relay.New("live")) {
			t.Error("follows after the end")
		}
	})
}

// TestHLSRandom: whatever an encoder does in whatever order, what the playlists say fits
// together.
func TestHLSRandom(t *testing.T) {
	headers := []string{realAVC, strings.Replace(realAVC, realPPS, newPPS, 1), tagAAC, aac48, metaBoth, "\xaf\x00\x12\x08"}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 9))
				v := newViewer(t)
				v.apart = true
				begin, jumps := 0, seed%2 == 0
				for n := range 40 {
					switch r.IntN(8) {
					case 0:
						v.stream.Publish() // it takes over
						begin = -n + r.IntN(3)
					case 1:
						time.Sleep(time.Duration(r.IntN(20)) * time.Second)
					case 2:
						if jumps {
							begin += r.IntN(30) - 10 // timestamps jump, perhaps of one track only
						}
					}
					for range r.IntN(3) {
						send(v.stream, uint32(max(0, begin+n)*1000), headers[r.IntN(len(headers))])
					}
					key, inter, sound := realKey, realInt, tagSound
					switch r.IntN(6) {
					case 0:
						sound = ""
					case 1:
						key, inter = "", ""
					case 2:
						sound = "\x2fmp3"
					}
					for range 1 + r.IntN(4) {
						at := max(0, begin+n)
						v.seconds(at, at+1, key, inter, sound)
						begin++
					}
					v.lookAll()
				}
				// An encoder that does everything right is shown as it is.
				v.stream.Publish()
				at := max(0, begin+40)
				send(v.stream, uint32(at*1000), realAVC, tagAAC)
				v.seconds(at, at+15, realKey, realInt, tagSound)
				v.stream.Unpublish()
				synctest.Wait()
				v.lookAll()
				pictures, sound := v.hls.renditions[videoLane].whole(), v.hls.renditions[audioLane].whole()
				if jumps { // the tracks may be apart since
					return
				}
				if pictures.frames != 25 || (pictures.lasts-time.Second).Abs() > 10*time.Millisecond || !bytes.Contains(sound.parts[0].data, []byte("sound")) {
					t.Errorf("segment %d has %d pictures and lasts %v", pictures.number, pictures.frames, pictures.lasts)
				}
			})
		})
	}
}

// lookAll looks at all renditions that there are.
func (v *viewer) lookAll() {
	v.Helper()
	for l, r := range v.hls.renditions {
		if r.ready() {
			v.look([lanes]string{videoList, audioList}[l])
		}
	}
}
