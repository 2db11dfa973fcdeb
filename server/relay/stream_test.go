package relay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"foyer/server/rtmp"

	"github.com/google/go-cmp/cmp"
)

// player remembers what it is told, a word each.
type player struct {
	mu     sync.Mutex
	told   []string
	broken bool
	during func() // runs while the player is being called
}

func (p *player) WriteMessage(m rtmp.Message) error {
	p.mu.Lock()
	p.told = append(p.told, fmt.Sprintf("%s@%d", names[string(m.Payload)], m.Timestamp))
	broken, during := p.broken, p.during
	p.during = nil
	p.mu.Unlock()
	if during != nil {
		during()
	}
	if broken {
		return errors.New("gone")
	}
	return nil
}

func (p *player) Status(code, description string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, strings.TrimPrefix(code, "NetStream.Play.")+":"+description)
}

// take returns what p was told since the last time.
func (p *player) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := strings.Join(p.told, " ")
	p.told = nil
	return s
}

// What a publisher sends.
const (
	meta    = "\x02\x00\x0aonMetaData\x05"
	noMeta  = "\x02\x00\x0f@clearDataFrame\x02\x00\x0aonMetaData"
	cue     = "\x02\x00\x03cue\x05"
	avcHead = "\x17\x00\x00\x00\x00head"
	avcKey  = "\x17\x01\x00\x00\x00key"
	avcNext = "\x27\x01\x00\x00\x00next"
	aacHead = "\xaf\x00\x12\x10"
	aac     = "\xaf\x01data"
	avc2    = "\x17\x00\x00\x00\x00other head"
)

var names = map[string]string{
	meta: "meta", noMeta: "noMeta", cue: "cue", avcHead: "avcHead", avcKey: "key", avcNext: "next",
	aacHead: "aacHead", aac: "aac", avc2: "avc2",
}

func write(s *Stream, at uint32, payloads ...string) {
	for _, p := range payloads {
		m := rtmp.Message{Type: rtmp.TypeVideo, StreamID: 1, Timestamp: at, Payload: []byte(p)}
		switch p[0] >> 4 {
		case 0:
			m.Type = rtmp.TypeDataAMF0
		case 10:
			m.Type = rtmp.TypeAudio
		}
		s.WriteMessage(m)
	}
}

func expect(t *testing.T, p *player, want string) {
	t.Helper()
	if got := p.take(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStream(t *testing.T) {
	s := New("cam")
	early, late := &player{}, &player{}

	// Before there is a publisher, a player waits.
	s.Join(early)
	write(s, 0, meta, avcHead, avcKey)
	expect(t, early, "")

	s.Publish()
	if !s.Live() {
		t.Error("not live")
	}
	write(s, 0, meta, avcHead, aacHead, avcKey, aac, avcNext)
	expect(t, early, "PublishNotify:cam is now published. meta@0 avcHead@0 aacHead@0 key@0 aac@0 next@0")

	// Who comes later gets what it needs at once, dated so that time does not
	// jump, and what has come since the last key frame.
	write(s, 1000, avcKey, avcNext)
	s.Join(late)
	s.Join(late)
	expect(t, late, "meta@1000 avcHead@1000 aacHead@1000 key@1000 next@1000")
	write(s, 1040, avcNext, aac, cue)
	expect(t, late, "next@1040 aac@1040 cue@1040")
	write(s, 1080, avcKey, aac, avcNext)
	expect(t, late, "key@1080 aac@1080 next@1080")
	if s.Players() != 2 {
		t.Errorf("%d players", s.Players())
	}

	// New metadata and headers take the place of the old ones.
	write(s, 2000, noMeta, avc2)
	expect(t, late, "avc2@2000")
	again := &player{}
	s.Join(again)
	expect(t, again, "meta@1080 avcHead@1080 aacHead@1080 key@1080 aac@1080 next@1080 avc2@2000")
	s.Leave(again)
	write(s, 2040, avcKey)
	expect(t, late, "key@2040")
	s.Join(again)
	expect(t, again, "avc2@2040 aacHead@2040 key@2040")
	s.Leave(again)
	s.Leave(again)

	early.take()
	s.Unpublish()
	expect(t, early, "UnpublishNotify:cam is now unpublished.")
	write(s, 3000, avcKey)
	expect(t, again, "")
	s.Unpublish()
	expect(t, early, "")

	// The next publisher starts from nothing, with a key frame, and time goes on.
	s.Publish()
	write(s, 0, avcHead, avcNext, avcKey)
	expect(t, early, "PublishNotify:cam is now published. avcHead@2041 key@2041")
}

// Without video a player needs no key frame.
func TestAudioOnly(t *testing.T) {
	s := New("radio")
	s.Publish()
	write(s, 0, aacHead, aac)
	p := &player{}
	s.Join(p)
	write(s, 20, aac)
	expect(t, p, "aacHead@0 aac@20")
	// When video comes after all, it begins with a key frame.
	write(s, 40, avcHead, aac, avcNext, avcKey, aac)
	expect(t, p, "avcHead@40 aac@40 key@40 aac@40")
}

// A publisher that takes over is not announced, and begins anew.
func TestTakeover(t *testing.T) {
	s := New("cam")
	s.Publish()
	write(s, 0, avcHead, avcKey)
	p := &player{}
	s.Join(p)
	s.Publish()
	expect(t, p, "avcHead@0 key@0")
	write(s, 0, avcNext, avc2, avcKey)
	expect(t, p, "avc2@1 key@1")
}

func TestBrokenPlayer(t *testing.T) {
	s := New("cam")
	s.Publish()
	broken, sound := &player{broken: true}, &player{}
	s.Join(broken)
	s.Join(sound)
	write(s, 0, avcHead, avcKey)
	expect(t, broken, "avcHead@0")
	expect(t, sound, "avcHead@0 key@0")
	if s.Players() != 1 {
		t.Errorf("%d players", s.Players())
	}
}

// A player may call the stream back while it is being called.
func TestReentry(t *testing.T) {
	s := New("cam")
	s.Publish()
	other := &player{}
	p := &player{}
	p.during = func() {
		s.Join(other)
		s.Leave(p)
		s.Unpublish()
	}
	s.Join(p)
	write(s, 0, avcHead, avcKey)
	expect(t, p, "avcHead@0")
	expect(t, other, "avcHead@0 UnpublishNotify:cam is now unpublished.")
}

// What goes over a limit is passed on and not kept.
func TestLimits(t *testing.T) {
	s := New("cam")
	s.Publish()
	write(s, 0, avcHead, avcHead+strings.Repeat("x", MaxHeaderBytes))
	for i := range 2 * MaxHeaders {
		s.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: fmt.Appendf(nil, "\x96\x00avc1%c", i)})
	}
	p := &player{}
	s.Join(p)
	if got := strings.Fields(p.take()); len(got) != MaxHeaders || got[0] != "avcHead@0" {
		t.Errorf("%d headers, the first is %s", len(got), got[0])
	}
}

// Players come and go on their own goroutines while a publisher sends: what
// each is told is in order and without gaps from its key frame on.
func TestOrder(t *testing.T) {
	s := New("cam")
	var publisher, players sync.WaitGroup
	stop := make(chan struct{})
	publisher.Go(func() {
		s.Publish()
		for i := uint32(1); ; i++ {
			select {
			case <-stop:
				s.Unpublish()
				return
			default:
			}
			write(s, i, map[bool]string{true: avcKey, false: avcNext}[i%5 == 0])
		}
	})
	for range 4 {
		players.Go(func() {
			for range 200 {
				p := &orderly{}
				s.Join(p)
				for range 50 {
					s.Players()
				}
				s.Leave(p)
				p.check(t)
			}
		})
	}
	players.Wait()
	close(stop)
	publisher.Wait()
	if s.Players() != 0 {
		t.Errorf("%d players left", s.Players())
	}
}

type orderly struct {
	mu    sync.Mutex
	times []uint32
}

func (p *orderly) WriteMessage(m rtmp.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.times = append(p.times, m.Timestamp)
	return nil
}

func (p *orderly) Status(string, string) {}

func (p *orderly) check(t *testing.T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, at := range p.times {
		if i == 0 && at%5 != 0 || i > 0 && at != p.times[i-1]+1 {
			t.Errorf("told %v", p.times)
			return
		}
	}
}

func TestClassify(t *testing.T) {
	head := func(m rtmp.MessageType, packet byte, codec string, multi, track byte) class {
		return class{sequenceHeader, headerKey{m, packet, codec, multi, track}}
	}
	video, audio, data, data3 := rtmp.TypeVideo, rtmp.TypeAudio, rtmp.TypeDataAMF0, rtmp.TypeDataAMF3
	key := class{kind: keyFrame}
	for _, tt := range []struct {
		name    string
		typ     rtmp.MessageType
		payload string
		want    class
	}{
		{"metadata", data, meta, class{kind: metadata}},
		{"metadata, type 15", data3, "\x00" + meta, class{kind: metadata}},
		{"cue point", data, cue, class{}},
		{"no data", data, "", class{}},
		{"clear", data, noMeta, class{kind: clearMetadata}},
		{"H.263 key frame", video, "\x12\x00", key},
		{"VP6 frame", video, "\x24\x00", class{}},
		{"AVC header", video, avcHead, head(video, 0, "\x07", 0, 0)},
		{"AVC key frame", video, avcKey, key},
		{"AVC frame", video, avcNext, class{}},
		{"AVC end", video, "\x17\x02\x00\x00\x00", class{}},
		{"AVC cut short", video, "\x17", class{}},
		{"HEVC header, the old way", video, "\x1c\x00\x00\x00\x00", head(video, 0, "\x0c", 0, 0)},
		{"HEVC key frame, the old way", video, "\x1c\x01\x00\x00\x00", key},
		{"command frame", video, "\x57\x00", class{}},
		{"empty video", video, "", class{}},
		{"HEVC header", video, "\x90hvc1", head(video, 0, "hvc1", 0, 0)},
		{"HEVC key frame", video, "\x91hvc1", key},
		{"HEVC key frame without offset", video, "\x93hvc1", key},
		{"HEVC frame", video, "\xa3hvc1", class{}},
		{"HEVC end", video, "\x92hvc1", class{}},
		{"AV1 header in MPEG-2 TS", video, "\x95av01", head(video, 5, "av01", 0, 0)},
		{"HDR metadata", video, "\x94hvc1", head(video, 4, "hvc1", 0, 0)},
		{"command", video, "\xd0\x00", class{}},
		{"FourCC cut short", video, "\x90hv", class{}},
		{"key frame behind ModEx", video, "\x97\x02\x00\x00\x00\x01hvc1", key},
		{"header behind two ModEx", video, "\x97\x00\x00\x07\x00\x00\x00hvc1", head(video, 0, "hvc1", 0, 0)},
		{"header behind long ModEx", video, "\x97\xff\x00\xff" + strings.Repeat("x", 256) + "\x00hvc1", head(video, 0, "hvc1", 0, 0)},
		{"ModEx without end", video, "\x97\x00\x00\x07", class{}},
		{"ModEx that lies", video, "\x97\xff\xff\xff\x00hvc1", class{}},
		{"ModEx cut short", video, "\x97\xff\x00", class{}},
		{"track 3", video, "\x96\x00hvc1\x03", head(video, 0, "hvc1", 1, 3)},
		{"many tracks", video, "\x96\x10avc1\x01\x00\x00\x00", head(video, 0, "avc1", 2, 1)},
		{"key frame of a track", video, "\x96\x01hvc1\x03", key},
		{"multitrack cut short", video, "\x96", class{}},
		{"ModEx and nothing", video, "\x97", class{}},
		{"track cut short", video, "\x96\x00hvc1", class{}},
		{"AAC header", audio, aacHead, head(audio, 0, "\x0a", 0, 0)},
		{"AAC", audio, aac, class{}},
		{"MP3", audio, "\x2f\x00", class{}},
		{"empty audio", audio, "", class{}},
		{"Opus header", audio, "\x90Opus", head(audio, 0, "Opus", 0, 0)},
		{"Opus", audio, "\x91Opus", class{}},
		{"channels", audio, "\x94Opus", head(audio, 4, "Opus", 0, 0)},
		{"audio track", audio, "\x95\x00mp4a\x02", head(audio, 0, "mp4a", 1, 2)},
		{"audio behind ModEx", audio, "\x97\x00\x00\x00fLaC", head(audio, 0, "fLaC", 0, 0)},
		{"a command", rtmp.TypeCommandAMF0, meta, class{}},
	} {
		got := classify(rtmp.Message{Type: tt.typ, Payload: []byte(tt.payload)})
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(class{}, headerKey{})); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, diff)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, p := range slices.Sorted(maps.Keys(names)) {
		f.Add(byte(rtmp.TypeVideo), []byte(p))
	}
	f.Add(byte(rtmp.TypeVideo), []byte("\x97\x00\x00\x06\x00hvc1\x01"))
	f.Add(byte(rtmp.TypeAudio), []byte("\x97\xff\x00\x01"))
	f.Fuzz(func(t *testing.T, typ byte, payload []byte) {
		c := classify(rtmp.Message{Type: rtmp.MessageType(typ), Payload: payload})
		if c.kind != sequenceHeader && c.key != (headerKey{}) {
			t.Errorf("%v has the key %v", c.kind, c.key)
		}
	})
}
