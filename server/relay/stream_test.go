package relay

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"foyer/server/flv"
	"foyer/server/rtmp"

	"github.com/google/go-cmp/cmp"
)

// player remembers what it is told, a word for each message.
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

// The messages of a publisher.
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

	// A player that comes later gets the headers at once, dated so that time
	// does not jump, and everything since the last key frame.
	write(s, 1000, avcKey, avcNext)
	s.Join(late)
	s.Join(late)
	expect(t, late, "meta@0 avcHead@1000 aacHead@1000 key@1000 next@1000")
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
	expect(t, again, "meta@0 avcHead@1080 aacHead@1080 key@1080 aac@1080 next@1080 avc2@2000")
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

	// The next publisher starts from nothing, with a key frame, and time
	// continues.
	s.Publish()
	write(s, 0, avcHead, avcNext, avcKey)
	expect(t, early, "PublishNotify:cam is now published. avcHead@2041 key@2041")
}

// A stream that continues elsewhere is over for followers only. Others are told
// nothing until somebody publishes it here again.
func TestLose(t *testing.T) {
	s := New("cam")
	muxer, watcher := &player{}, &follower{room: 1 << 30}
	s.Join(muxer)
	c := s.Follow(watcher)
	s.Publish()
	write(s, 0, avcHead, avcKey)
	serve(t, c)
	muxer.take()
	watcher.player.take()
	s.Lose()
	s.Lose()
	write(s, 40, avcNext)
	serve(t, c)
	if s.Live() {
		t.Error("still live")
	}
	expect(t, muxer, "")
	expect(t, &watcher.player, "UnpublishNotify:cam is now unpublished.")
	s.Publish()
	expect(t, muxer, "PublishNotify:cam is now published.")
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

// A publisher that takes over is not announced, and starts from nothing.
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

// Messages over a limit are passed on and not kept.
func TestLimits(t *testing.T) {
	s := New("cam")
	s.Publish()
	write(s, 0, avcHead, avcHead+strings.Repeat("x", MaxHeaderBytes))
	for i := range 2 * MaxHeaders {
		s.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: fmt.Appendf(nil, "\x96\x00avc1%c", 1+i)})
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
	head := func(media flv.Media, kind flv.Kind, several bool, track uint8, codec flv.Codec) class {
		return class{kind: sequenceHeader, key: headerKey{media, kind, several, track, codec}}
	}
	const begin = flv.SequenceStart
	video, audio, data, data3 := rtmp.TypeVideo, rtmp.TypeAudio, rtmp.TypeDataAMF0, rtmp.TypeDataAMF3
	key, next := class{kind: keyFrame, part: flv.Begin}, class{part: flv.Begin}
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
		{"VP6 frame", video, "\x24\x00", next},
		{"AVC header", video, avcHead, head(flv.Video, begin, false, 0, flv.AVC)},
		{"AVC key frame", video, avcKey, key},
		{"AVC frame", video, avcNext, next},
		{"AVC frame that is none", video, "\x17\x01\x00\x00\x00", class{}},
		{"AVC key frame by its unit", video, "\x27\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88", key},
		{"AVC key frame by its flag only", video, "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a", next},
		{"AVC slice of a key frame", video, "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x48", class{kind: keyFrame, part: flv.More}},
		{"AVC parameters", video, "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x67\x42", class{part: flv.Set}},
		{"AVC end", video, "\x17\x02\x00\x00\x00", class{}},
		{"AVC cut short", video, "\x17", class{}},
		{"AVC header cut short", video, "\x17\x00\x00\x00", class{}},
		{"AVC key frame cut short", video, "\x17\x01\x00\x00", class{}},
		{"HEVC header, the old way", video, "\x1c\x00\x00\x00\x00", head(flv.Video, begin, false, 0, flv.HEVC)},
		{"HEVC key frame, the old way", video, "\x1c\x01\x00\x00\x00k", key},
		{"command frame", video, "\x57\x00", class{}},
		{"empty video", video, "", class{}},
		{"HEVC header", video, "\x90hvc1", head(flv.Video, begin, false, 0, flv.HEVC)},
		{"HEVC key frame", video, "\x91hvc1\x00\x00\x00k", key},
		{"HEVC key frame without offset", video, "\x93hvc1k", key},
		{"HEVC frame", video, "\xa3hvc1i", next},
		{"HEVC end", video, "\x92hvc1", class{}},
		{"AV1 header in MPEG-2 TS", video, "\x95av01", head(flv.Video, flv.MPEG2TSSequenceStart, false, 0, flv.AV1)},
		{"HDR metadata", video, "\x94hvc1", head(flv.Video, flv.Metadata, false, 0, flv.HEVC)},
		{"command", video, "\xd0\x00", class{}},
		{"FourCC cut short", video, "\x90hv", class{}},
		{"key frame behind ModEx", video, "\x97\x02\x00\x00\x00\x01hvc1\x00\x00\x00k", key},
		{"header behind two ModEx", video, "\x97\x00\x00\x07\x00\x00\x00hvc1", head(flv.Video, begin, false, 0, flv.HEVC)},
		{"header behind long ModEx", video, "\x97\xff\x00\xff" + strings.Repeat("x", 256) + "\x00hvc1", head(flv.Video, begin, false, 0, flv.HEVC)},
		{"ModEx without end", video, "\x97\x00\x00\x07", class{}},
		{"ModEx that lies", video, "\x97\xff\xff\xff\x00hvc1", class{}},
		{"ModEx cut short", video, "\x97\xff\x00", class{}},
		{"track 3", video, "\x96\x00hvc1\x03", head(flv.Video, begin, false, 3, flv.HEVC)},
		{"many tracks", video, "\x96\x10avc1\x01\x00\x00\x00\x00\x00\x00\x00", head(flv.Video, begin, true, 1, flv.AVC)},
		{"key frame of a track", video, "\x96\x01hvc1\x03\x00\x00\x00k", class{kind: keyFrame, track: 3, part: flv.Begin}},
		{"key frames of tracks 3 and 1", video, "\x96\x11av01\x03\x00\x00\x03\x32\x01\x10\x01\x00\x00\x00", class{kind: keyFrame, track: 1, part: flv.Begin}},
		{"multitrack cut short", video, "\x96", class{}},
		{"ModEx and nothing", video, "\x97", class{}},
		{"track cut short", video, "\x96\x00hvc1", class{}},
		{"AAC header", audio, aacHead, head(flv.Audio, begin, false, 0, flv.AAC)},
		{"AAC", audio, aac, class{}},
		{"MP3", audio, "\x2f\x00", class{}},
		{"empty audio", audio, "", class{}},
		{"Opus header", audio, "\x90Opus", head(flv.Audio, begin, false, 0, flv.Opus)},
		{"Opus", audio, "\x91Opus", class{}},
		{"channels", audio, "\x94Opus", head(flv.Audio, flv.MultichannelConfig, false, 0, flv.Opus)},
		{"audio track", audio, "\x95\x00mp4a\x02", head(flv.Audio, begin, false, 2, flv.AAC)},
		{"audio behind ModEx", audio, "\x97\x00\x00\x00fLaC", head(flv.Audio, begin, false, 0, flv.FLAC)},
		{"a command", rtmp.TypeCommandAMF0, meta, class{}},
	} {
		got := classify(&rtmp.Message{Type: tt.typ, Payload: []byte(tt.payload)})
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(class{}, headerKey{})); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, diff)
		}
	}
}

// Players begin at a key frame of the lowest track, while that has some: the
// others of the same moment follow it.
func TestTracks(t *testing.T) {
	const low, minor = "\x91av01key", "\x96\x01av01\x01key"
	names[low], names[minor] = "low", "minor"
	s := New("cam")
	s.Publish()
	join := func(want string) {
		t.Helper()
		p := &player{}
		s.Join(p)
		defer s.Leave(p)
		expect(t, p, want)
	}
	write(s, 0, minor)
	join("minor@0")
	write(s, 1, low, minor)
	join("low@1 minor@1")
	for at := uint32(10_000); at <= MaxLogTime; at += 10_000 {
		write(s, at, minor)
	}
	join("low@1 minor@1 minor@10000 minor@20000")
	write(s, MaxLogTime+2, avcNext, minor) // the low one is forgotten
	join("minor@20002")
}

func BenchmarkClassify(b *testing.B) {
	for _, m := range []rtmp.Message{
		{Type: rtmp.TypeVideo, Payload: []byte(avcKey)}, {Type: rtmp.TypeAudio, Payload: []byte(aac)},
		{Type: rtmp.TypeVideo, Payload: []byte("\x91hvc1\x00\x00\x28key")}, {Type: rtmp.TypeAudio, Payload: []byte("\x91Opusdata")},
		{Type: rtmp.TypeVideo, Payload: []byte("\x96\x01hvc1\x01\x00\x00\x28key")},
	} {
		b.Run(fmt.Sprintf("%x", m.Payload[:6]), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				classify(&m)
			}
		})
	}
}

// TestBeginAtParts: a player begins with the first tag of a key frame, and with what
// is in tags of its own in front of it.
func TestBeginAtParts(t *testing.T) {
	const (
		slice1 = "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88"
		slice2 = "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x48"
		set    = "\x27\x01\x00\x00\x00\x00\x00\x00\x02\x67\x42"
		sei    = "\x27\x01\x00\x00\x00\x00\x00\x00\x05\x06\x01\x01\x11\x80"
		inter  = "\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a"
	)
	s := New("cam")
	s.Publish()
	write(s, 0, set, slice1, slice2, slice2)
	write(s, 40, sei, inter)
	write(s, 80, set, sei, slice1, aac, slice2, slice2)
	write(s, 120, sei, inter)
	p := &keeper{}
	s.Join(p)
	want := []string{set, sei, slice1, aac, slice2, slice2, sei, inter}
	if diff := cmp.Diff(want, p.payloads); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// keeper keeps what it gets.
type keeper struct{ payloads []string }

func (p *keeper) WriteMessage(m rtmp.Message) error {
	p.payloads = append(p.payloads, string(m.Payload))
	return nil
}

func (*keeper) Status(string, string) {}
