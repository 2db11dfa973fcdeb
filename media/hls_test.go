package media

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/relay"
	"foyer/server/rtmp"
)

// A real configuration: 1920x1080, baseline, so without reordering.
const (
	realSPS = "\x67\x42\xc0\x28\xd9\x00\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc9\x20"
	realPPS = "\x68\xcb\x8c\xb2"
	realAVC = "\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe1\x00\x19" + realSPS + "\x01\x00\x04" + realPPS
	realKey = "\x17\x01\x00\x00\x00\x00\x00\x00\x05\x65\x88\x84\x00\x10"
	realInt = "\x27\x01\x00\x00\x00\x00\x00\x00\x05\x41\x9a\x00\x00\x10"
)

// A cinema is an HLS that runs, with its stream.
type cinema struct {
	*testing.T
	hls    *HLS
	stream *relay.Stream
	ended  chan struct{}
}

func newCinema(t *testing.T) *cinema {
	c := &cinema{T: t, stream: relay.New("live"), ended: make(chan struct{})}
	c.hls = NewHLS(c.stream, 0, testLog(t))
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // ends with ctx, which the test awaits
		defer close(c.ended)
		c.hls.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-c.ended })
	c.stream.Publish()
	synctest.Wait()
	return c
}

// seconds publishes a stream of 25 pictures a second with a key frame every
// second, and sound; a body of "" is left out.
func (c *cinema) seconds(from, to int, key, inter, sound string) {
	for at := from * 1000; at < to*1000; at += 40 {
		picture := inter
		if at%1000 == 0 {
			picture = key
		}
		for _, body := range []string{picture, sound} {
			if body != "" {
				send(c.stream, uint32(at), body)
			}
		}
	}
	synctest.Wait()
}

// get asks for the playlist, or for a part.
func (c *cinema) get(part string) (body, kind string, err error) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(c.Context(), "GET", "/live/blue/live/"+part, nil)
	if part == "" {
		err = c.hls.Playlist(w, r, "live/", "SESSION")
	} else {
		name, _, _ := strings.Cut(part, "?")
		err = c.hls.Part(w, r, name)
	}
	return w.Body.String(), w.Header().Get("Content-Type"), err
}

var partName = regexp.MustCompile(`[A-Za-z0-9_]+\.(?:mp4|m3u8)`)

func TestHLS(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		headers                 []string
		key, inter, sound, want string // CODECS
	}{
		{"pictures and sound", []string{realAVC, tagAAC}, realKey, realInt, tagSound, "avc1.42c028,mp4a.40.2"},
		{"pictures", []string{realAVC}, realKey, realInt, "", "avc1.42c028"},
		{"sound", []string{tagAAC}, "", "", tagSound, "mp4a.40.2"},
		{"Opus", []string{"\x90OpusOpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00"}, "", "", "\x91Opus\xfc\xff\xfe", "opus"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCinema(t)
				for _, h := range tt.headers {
					send(c.stream, 0, h)
				}
				c.seconds(0, 5, tt.key, tt.inter, tt.sound)
				playlist, kind, err := c.get("")
				if err != nil {
					t.Fatal(err)
				}
				if kind != "application/vnd.apple.mpegurl" || !strings.Contains(playlist, `CODECS="`+tt.want+`"`) {
					t.Errorf("%s: %s", kind, playlist)
				}
				seen := 0
				for _, name := range partName.FindAllString(playlist, -1) {
					if !strings.Contains(playlist, "live/"+name) {
						t.Errorf("%s is not below live/: %s", name, playlist)
					}
					media, _, err := c.get(name)
					if err != nil || !strings.Contains(media, "#EXT-X-PART:") {
						t.Fatalf("%v: %s", err, media)
					}
					for _, name := range partName.FindAllString(media[:strings.LastIndex(media, "#EXT-X-PRELOAD")], -1) {
						if name == "gap.mp4" { // in front of the first segment: is not asked for
							continue
						}
						want := "video/mp4"
						if strings.Contains(name, "_audio") {
							want = "audio/mp4"
						}
						if b, kind, err := c.get(name); err != nil || kind != want || b == "" {
							t.Errorf("%s: %d bytes of %s, %v", name, len(b), kind, err)
						}
						seen++
					}
				}
				if seen < 5*len(tt.headers) {
					t.Errorf("%d segments and parts", seen)
				}
			})
		})
	}
}

func TestHLSRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, header, frame, codec string
	}{
		{"MP3", "", "\x2fxxx", "MP3"},
		{"H.263", "", "\x12xxx", "Sorenson H.263"},
		{"a header that lies", "\x17\x00\x00\x00\x00\x01\x42\xc0\x28\xff\xe1\xff\xff", realKey, "H.264"},
		{"an SPS that lies", strings.Replace(realAVC, realSPS, "\x67"+strings.Repeat("\xff", len(realSPS)-1), 1), realKey, "H.264"},
		{"HEVC that lies", "\x90hvc1" + strings.Repeat("\x01", 30), "\x93hvc1xx", "H.265"},
		{"AV1 that lies", "\x90av01\x81\x00\x00\x00\xff\xff", "\x91av01xx", "AV1"},
		{"no header", "", realKey, "H.264"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCinema(t)
				if tt.header != "" {
					send(c.stream, 0, tt.header)
				}
				m := message(0, tt.frame)
				if tt.codec == "MP3" {
					m.Type = rtmp.TypeAudio
				}
				for range 3 {
					c.stream.WriteMessage(m)
				}
				synctest.Wait()
				_, _, err := c.get("")
				if codec, ok := errors.AsType[*CodecError](err); !ok || codec.Codec != tt.codec {
					t.Errorf("got %v", err)
				}
				// A publisher that does better is shown.
				c.stream.Unpublish()
				c.stream.Publish()
				send(c.stream, 0, realAVC)
				c.seconds(0, 4, realKey, realInt, "")
				if _, _, err := c.get(""); err != nil {
					t.Errorf("the next publisher: %v", err)
				}
			})
		})
	}
}

// A request waits a bounded time, for the first segment and for the next part.
func TestHLSWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		begin := time.Now()
		if _, _, err := c.get(""); err != ErrHLSNotYet || time.Since(begin) != hlsWait {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		send(c.stream, 0, realAVC)
		c.seconds(0, 3, realKey, realInt, "")
		playlist, _, err := c.get("")
		if err != nil {
			t.Fatal(err)
		}
		name := partName.FindString(playlist)
		w := httptest.NewRecorder()
		begin = time.Now()
		err = c.hls.Part(w, httptest.NewRequestWithContext(t.Context(), "GET", "/"+name+"?_HLS_msn=10&_HLS_part=0", nil), name)
		if err != ErrHLSNotYet || time.Since(begin) > 2*hlsSilence {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		// It continues when the publisher does.
		c.seconds(60, 64, realKey, realInt, "")
		if _, _, err := c.get(""); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"x.mp4", "../x.mp4", "index.m3u8", "", "a.exe"} {
			w := httptest.NewRecorder()
			if err := c.hls.Part(w, httptest.NewRequest("GET", "/", nil), name); err != ErrHLSNotFound {
				t.Errorf("%q: %v", name, err)
			}
		}
		c.stream.Unpublish()
		begin = time.Now()
		<-c.ended
		if d := time.Since(begin); d < DefaultGrace || d > DefaultGrace+hlsSilence {
			t.Errorf("ended after %v", d)
		}
		if c.stream.Players() != 0 {
			t.Error("it has not left the stream")
		}
	})
}

// New parameters stay in the same playlist; another set of codecs gets another.
func TestHLSChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		send(c.stream, 0, realAVC)
		c.seconds(0, 4, realKey, realInt, "")
		first := c.hls.muxer()
		send(c.stream, 4000, strings.Replace(realAVC, realPPS, "\x68\xcb\x83\xcb", 1))
		c.seconds(4, 6, realKey, realInt, "")
		if c.hls.muxer() != first {
			t.Error("new parameters begin anew")
		}
		// It begins again at 0, without a word: time continues.
		c.seconds(0, 3, realKey, realInt, "")
		if c.hls.muxer() != first {
			t.Error("another publisher of the same begins anew")
		}
		send(c.stream, 3000, tagAAC)
		c.seconds(3, 8, realKey, realInt, tagSound)
		playlist, _, err := c.get("")
		if err != nil || !strings.Contains(playlist, "mp4a") || c.hls.muxer() == first {
			t.Errorf("%v: %s", err, playlist)
		}
	})
}

// A track that no longer comes is left out, and is taken in again when it is back.
func TestHLSRest(t *testing.T) {
	const both, pictures, sound = `CODECS="avc1.42c028,mp4a.40.2"`, `CODECS="avc1.42c028"`, `CODECS="mp4a.40.2"`
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		send(c.stream, 0, realAVC, tagAAC)
		muxers := map[*hlsMuxer]bool{}
		for i, step := range []struct {
			key, sound, want string
		}{
			{realKey, tagSound, both}, {realKey, "", pictures}, {realKey, tagSound, both},
			{"", tagSound, sound}, {realKey, tagSound, both}, {realKey, "", pictures},
		} {
			inter := realInt
			if step.key == "" {
				inter = ""
			}
			c.seconds(i*8, i*8+8, step.key, inter, step.sound)
			playlist, _, err := c.get("")
			if err != nil || !strings.Contains(playlist, step.want) {
				t.Fatalf("step %d: %v: %s", i, err, playlist)
			}
			muxers[c.hls.muxer()] = true
		}
		if len(muxers) != 6 {
			t.Errorf("%d muxers, want one for each step", len(muxers))
		}
		// The next publisher, within the grace, has pictures only from the start.
		c.stream.Publish()
		send(c.stream, 0, realAVC)
		c.seconds(0, 5, realKey, realInt, "")
		if playlist, _, err := c.get(""); err != nil || !strings.Contains(playlist, pictures) {
			t.Errorf("%v: %s", err, playlist)
		}
	})
}

// Both may pause at once, and the sound for a second: nothing begins again.
func TestHLSPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		send(c.stream, 0, realAVC, tagAAC)
		c.seconds(0, 4, realKey, realInt, tagSound)
		first := c.hls.muxer()
		c.seconds(9, 12, realKey, realInt, tagSound)
		c.seconds(12, 13, realKey, realInt, "")
		c.seconds(13, 16, realKey, realInt, tagSound)
		if c.hls.muxer() != first {
			t.Error("it has begun anew")
		}
	})
}

// Whatever comes, the process stays and so does the next good publisher's stream.
func TestHLSGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		send(c.stream, 0, realAVC, tagAAC)
		for i := range 2000 {
			at := uint32(i * 7919 % 100_000 * (1 + i%3))
			junk := fmt.Sprintf("\x00\x00\x00\x02%c\x00", 'A'+i%60)
			send(c.stream, at, []string{realKey, realInt, realKey[:9], realKey[:9] + junk, "\x17\x01\xff\xff\xff" + junk, tagSound, realInt[:5],
				"\x27\x01\x80\x00\x00" + junk, "\x17\x01\x7f\xff\xff\x00\x00\x00\x01\x65"}[i%9])
		}
		synctest.Wait()
		c.get("")
		c.stream.Unpublish()
		c.stream.Publish()
		send(c.stream, 0, realAVC)
		c.seconds(0, 4, realKey, realInt, "")
		if _, _, err := c.get(""); err != nil {
			t.Error(err)
		}
	})
}
