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
		{"AV1 that lies", "\x90av01\x81\x00\x00\x00\xff\xff", "\x91av01\x32\x01\x10", "AV1"},
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
		ask := func(query string) (text string, wait time.Duration, err error) {
			w, begin := httptest.NewRecorder(), time.Now()
			err = c.hls.Part(w, httptest.NewRequestWithContext(t.Context(), "GET", "/"+name+query, nil), name)
			return w.Body.String(), time.Since(begin), err
		}
		now, wait, err := ask("")
		if err != nil || wait > 0 || !strings.Contains(now, "\n#EXT-X-PRELOAD-HINT:") {
			t.Errorf("%v after %v: %s", err, wait, now)
		}
		if text, wait, err := ask("?_HLS_msn=2&_HLS_part=50"); text != now || wait != 600*time.Millisecond || err != nil {
			t.Errorf("%v after %v: %s", err, wait, text)
		}
		if _, wait, err := ask("?_HLS_msn=10&_HLS_part=0"); err != ErrHLSNotFound || wait > 0 {
			t.Errorf("%v after %v", err, wait)
		}
		// It continues when the publisher does.
		time.AfterFunc(500*time.Millisecond, func() { c.seconds(60, 64, realKey, realInt, "") })
		if text, wait, err := ask("?_HLS_msn=3"); err != nil || wait != 500*time.Millisecond || !strings.Contains(text, "seg3.mp4") {
			t.Errorf("%v after %v: %s", err, wait, text)
		}
		for _, name := range []string{"x.mp4", "../x.mp4", "index.m3u8", "", "a.exe", c.hls.id + "_video1_seg99.mp4", "AAAAAAAA_video1_seg1.mp4", c.hls.id + "_audio2_seg1.mp4"} {
			w := httptest.NewRecorder()
			if err := c.hls.Part(w, httptest.NewRequest("GET", "/", nil), name); err != ErrHLSNotFound {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

// An end that was said is an end: the playlist says so at once, with all that came
// before, and it stays. The next publication is another broadcast.
func TestHLSEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		send(c.stream, 0, realAVC, tagAAC)
		c.seconds(0, 4, realKey, realInt, tagSound)
		begin := time.Now()
		c.stream.Unpublish()
		c.stream.Publish()
		send(c.stream, 0, realAVC)
		c.seconds(0, 4, realKey, realInt, "")
		<-c.ended
		if time.Since(begin) > 0 || c.stream.Players() != 0 || !c.hls.Over() {
			t.Errorf("ended after %v, %d players", time.Since(begin), c.stream.Players())
		}
		for _, name := range []string{"video1_stream.m3u8", "audio2_stream.m3u8"} {
			text, _, err := c.get(name)
			if err != nil || !strings.HasSuffix(text, "#EXT-X-ENDLIST\n") || strings.Count(text, "#EXTINF:") != 4 || strings.Contains(text, "PRELOAD") {
				t.Errorf("%v: %s", err, text)
			}
			for _, name := range regexp.MustCompile(`[A-Z0-9]+_[a-z0-9]+_seg[0-9]+\.mp4`).FindAllString(text, -1) {
				if b, _, err := c.get(name); err != nil || b == "" {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}

// A stream that was lost may come back within the grace, after which it has ended.
func TestHLSLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCinema(t)
		send(c.stream, 0, realAVC)
		c.seconds(0, 3, realKey, realInt, "")
		c.stream.Lose()
		time.Sleep(DefaultGrace - time.Second)
		c.stream.Publish()
		send(c.stream, 0, realAVC)
		c.seconds(0, 3, realKey, realInt, "")
		if text, _, err := c.get("video1_stream.m3u8"); err != nil || strings.Count(text, "#EXT-X-DISCONTINUITY\n") != 1 || strings.Contains(text, "ENDLIST") {
			t.Errorf("%v: %s", err, text)
		}
		begin := time.Now()
		c.stream.Lose()
		<-c.ended
		if d := time.Since(begin); d < DefaultGrace || d > DefaultGrace+hlsLook {
			t.Errorf("ended after %v", d)
		}
		if text, _, err := c.get("video1_stream.m3u8"); err != nil || !strings.Contains(text, "ENDLIST") {
			t.Errorf("%v: %s", err, text)
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
		c.stream.Publish()
		send(c.stream, 0, realAVC)
		c.seconds(0, 4, realKey, realInt, "")
		if _, _, err := c.get(""); err != nil {
			t.Error(err)
		}
	})
}
