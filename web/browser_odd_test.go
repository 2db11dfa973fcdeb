package web_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"foyer/server/flv"
	"foyer/server/rtmp"
)

// mpegtsJS is the mpegts.js that judges our HTTP-FLV. It is fetched when the test
// runs, by npm, which checks it.
const mpegtsJS = "mpegts.js@1.8.0"

// fetchMpegtsJS returns the script.
func fetchMpegtsJS(t *testing.T) []byte { return fetchPackage(t, mpegtsJS, "package/dist/mpegts.js") }

// oddReel is ten seconds of pictures in four slices each, and sound, as ffmpeg sends
// them.
func oddReel(t *testing.T) (list []rtmp.Message) {
	t.Helper()
	needFFmpeg(t)
	args := append([]string{"-v", "error"}, lavfi("testsrc2=r=25:s=320x180", sine)...)
	args = append(args, "-t", "10", "-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-x264-params", "slices=4", "-g", "25",
		"-c:a", "aac", "-ar", "44100", "-ac", "2", "-f", "flv", "pipe:1")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	r, err := flv.NewReader(bytes.NewReader(out))
	for err == nil {
		var h flv.Header
		var payload []byte
		if h, payload, err = r.Next(); err == nil {
			list = append(list, rtmp.Message{Type: rtmp.MessageType(h.Media), Timestamp: h.Time, Payload: payload})
		}
	}
	return list
}

// odd is what an odd encoder makes of a message.
type odd func(t flv.Tag) []flv.Tag

// units makes a tag of each unit, and puts one with SEI in front.
func oddUnits(t flv.Tag) (list []flv.Tag) {
	alone := func(unit []byte) {
		u := t
		u.Body = t.Codec.AppendUnit(nil, unit)
		list = append(list, u)
	}
	alone([]byte("\x06\x05\x04\x01\x02\x03\x04\x80"))
	for r := flv.Units(t.Body, 4); r.Next(); {
		alone(r.Unit)
	}
	return list
}

// oddCodes writes pictures with start codes, with the parameter sets in front of key
// frames and an empty picture behind.
func oddCodes(sets []byte) odd {
	return func(t flv.Tag) []flv.Tag {
		empty := t
		var body []byte
		if t.Key {
			body = append(body, sets...)
		}
		for r := flv.Units(t.Body, 4); r.Next(); {
			body = append(append(body, 0, 0, 0, 1), r.Unit...)
		}
		t.Body, empty.Body = body, nil
		return []flv.Tag{t, empty}
	}
}

// oddADTS leaves the header of a file on sound.
func oddADTS(t flv.Tag) []flv.Tag {
	n := 7 + len(t.Body)
	t.Body = append([]byte{0xFF, 0xF1, 0x50, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1F, 0xFC}, t.Body...)
	return []flv.Tag{t}
}

// oddConfig sends the configuration as a frame, and an empty one.
func oddConfig(t flv.Tag) []flv.Tag {
	config, empty := t, t
	config.Body, empty.Body = []byte{0x12, 0x10}, nil
	return []flv.Tag{config, empty, t}
}

// setsOf is the parameter sets of an avcC with one of each, behind start codes.
func setsOf(record []byte) []byte {
	n := int(binary.BigEndian.Uint16(record[6:]))
	sps, rest := record[8:8+n], record[8+n+1:]
	return bytes.Join([][]byte{nil, sps, rest[2 : 2+binary.BigEndian.Uint16(rest)]}, []byte{0, 0, 0, 1})
}

// bendReel is the reel as an odd encoder sends it, with sound so many milliseconds
// before its picture.
func bendReel(list []rtmp.Message, video, audio odd, headers bool, apart uint32) (bent []rtmp.Message) {
	var behind []rtmp.Message // pictures that are still in the encoder
	for _, m := range list {
		var t flv.Tag
		if !t.Parse(flv.Media(m.Type), m.Payload) || t.Kind == flv.SequenceEnd {
			continue
		}
		tags := []flv.Tag{t}
		switch {
		case t.Kind == flv.SequenceStart && !headers:
			continue
		case t.Kind != flv.CodedFrames:
		case t.Media == flv.Video && video != nil:
			tags = video(t)
		case t.Media == flv.Audio && audio != nil:
			tags = audio(t)
		}
		for len(behind) > 0 && t.Media == flv.Audio && behind[0].Timestamp+apart <= m.Timestamp {
			bent, behind = append(bent, behind[0]), behind[1:]
		}
		for _, t := range tags {
			m.Payload = t.Append(nil)
			if t.Media == flv.Video && t.Kind == flv.CodedFrames && apart > 0 {
				behind = append(behind, m)
			} else {
				bent = append(bent, m)
			}
		}
	}
	return append(bent, behind...)
}

// TestBrowserOdd broadcasts as odd encoders do. The room's page, mpegts.js and hls.js
// show the pictures and play the sound.
func TestBrowserOdd(t *testing.T) {
	if os.Getenv("FOYER_TEST_BROWSER") == "" && os.Getenv("CI") == "" {
		t.Skip("drives a browser for minutes: set FOYER_TEST_BROWSER=1")
	}
	browser := startBrowser(t)
	scripts := map[string][]byte{"/mpegts.js": fetchMpegtsJS(t), "/hls.js": fetchHLSJS(t)}
	reel := oddReel(t)
	var sets []byte
	for _, m := range reel {
		var tag flv.Tag
		if tag.Parse(flv.Media(m.Type), m.Payload) && m.Type == rtmp.TypeVideo && tag.Kind == flv.SequenceStart {
			sets = setsOf(tag.Body)
		}
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if script := scripts[r.URL.Path]; script != nil {
			w.Header().Set("Content-Type", "text/javascript")
			w.Write(script)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><video muted autoplay></video><script src="/mpegts.js"></script><script src="/hls.js"></script>`)
	}))
	defer page.Close()
	for name, messages := range map[string][]rtmp.Message{
		"parts":  bendReel(reel, oddUnits, oddADTS, true, 0),
		"codes":  bendReel(reel, oddCodes(sets), oddADTS, false, 0),
		"config": bendReel(reel, nil, oddConfig, true, 0),
		"apart":  bendReel(reel, nil, nil, true, 1200),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.room("blue", "Blue")
			broadcastOdd(t, h, messages)
			const plays = `video.currentTime > 3 && video.getVideoPlaybackQuality().totalVideoFrames > 60 && video.webkitAudioDecodedByteCount > 1000`
			b := watchRoom(t, browser, h, "blue")
			b.waitText(".player-state", "Live")
			b.wait(plays)
			m := newTab(t, browser, h)
			m.base = page.URL
			m.open("/")
			m.script(fmt.Sprintf(`mpegts.LoggingControl.enableAll = false;
				window.errors = [];
				window.video = document.querySelector("video");
				window.player = mpegts.createPlayer({ type: "flv", isLive: true, url: "%s/live/blue/main.flv" });
				player.on(mpegts.Events.ERROR, (...e) => errors.push(e.join(" ")));
				player.attachMediaElement(video);
				player.load();`, h.url()))
			m.wait(plays + ` && errors.length === 0`)
			l := newTab(t, browser, h)
			l.base = page.URL
			l.open("/")
			l.script(fmt.Sprintf(`window.errors = [];
				window.video = document.querySelector("video");
				window.player = new Hls({ lowLatencyMode: true });
				player.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) errors.push(e.details); });
				player.loadSource("%s/live/blue/main.m3u8");
				player.attachMedia(video);`, h.url()))
			l.wait(plays + ` && errors.length === 0`)
		})
	}
}

// broadcastOdd sends messages in real time until the test ends, again and again with
// new headers.
func broadcastOdd(t *testing.T, h *house, messages []rtmp.Message) {
	t.Helper()
	session, _, err := rtmp.Dial(t.Context(), "rtmp://"+h.rtmp+"/room/blue", &rtmp.ConnectRequest{}, rtmp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{})
	go func() { // ends with the session, which the test closes
		defer close(ran)
		session.Run(context.Background())
	}()
	st, err := session.CreateStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Publish(t.Context(), "main?key="+streamKey("blue"), "live"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan struct{})
	go func() { // ends with ctx, which the test ends
		defer close(sent)
		sendOdd(ctx, st, messages)
	}()
	t.Cleanup(func() { cancel(); <-sent; session.Close(nil); <-ran })
}

func sendOdd(ctx context.Context, st *rtmp.Stream, messages []rtmp.Message) {
	begin, length := time.Now(), messages[len(messages)-1].Timestamp+40
	for round := uint32(0); ; round++ {
		var latest uint32 // messages come in the order in which they were sent
		for _, m := range messages {
			latest = max(latest, m.Timestamp)
			m.Timestamp += round * length
			select {
			case <-time.After(time.Until(begin.Add(time.Duration(round*length+latest) * time.Millisecond))):
			case <-ctx.Done():
				return
			}
			if st.WriteMessage(m) != nil {
				return
			}
		}
	}
}
