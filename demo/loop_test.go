package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"foyer/server/flv"
)

// played returns what a loop over tags sends, up to n tags: letter and time.
func played(t *testing.T, l *loop, n int) string {
	t.Helper()
	var s []string
	for range n {
		g, err := l.next()
		if err != nil {
			s = append(s, err.Error())
			break
		}
		s = append(s, fmt.Sprintf("%s%d", letters[string(g.data)], g.time))
	}
	return strings.Join(s, " ")
}

var letters = map[string]string{avcHeader: "V", avcKey: "k", avcInter: "p", aacHeader: "A", aacFrame: "s", metadata: "M", "\x17\x00\x00\x00\x00H": "W",
	"\x90av01h": "X", "\x96\x00av01\x01h": "Y", "\x91av01k": "z"}

func TestLoop(t *testing.T) {
	start := []tag{{media: flv.Script, data: []byte(metadata)}, video(0, avcHeader), audio(0, aacHeader)}
	for _, c := range []struct {
		name string
		tags []tag
		once bool
		want string
	}{
		{"rounds go on where the last one ended", append(start[:3:3], video(0, avcKey), audio(5, aacFrame), video(40, avcInter), video(40, avcEnd)), false,
			"M0 V0 A0 k0 s5 p40 k80 s85 p120 k160 s165 p200 k240"},
		{"once", append(start[:3:3], video(0, avcKey), video(40, avcInter)), true, "M0 V0 A0 k0 p40 EOF"},
		{"it begins with a key frame", append(start[:3:3], audio(0, aacFrame), video(0, avcInter), video(40, avcKey), audio(45, aacFrame)), true, "M40 V40 A40 k40 s45 EOF"},
		{"timestamps that begin late", []tag{video(0, avcHeader), video(500_000, avcKey), video(500_040, avcInter)}, false, "V0 k0 p40 k80 p120 k160 p200 k240 p280 k320 p360 k400 p440"},
		{"a long pause is a cut", []tag{video(0, avcKey), video(40, avcInter), video(60_000, avcKey), video(60_040, avcInter)}, true, "k0 p40 k80 p120 EOF"},
		{"a step back is a cut", []tag{video(60_000, avcKey), video(60_040, avcInter), video(0, avcKey), video(40, avcInter)}, true, "k0 p40 k80 p120 EOF"},
		{"a little back within a track does not go back", []tag{video(100, avcKey), video(140, avcInter), video(120, avcInter), video(180, avcInter)}, true, "k0 p40 p40 p80 EOF"},
		{"the file's timestamps wrap", []tag{video(0xFFFFFFF0, avcKey), video(24, avcInter)}, true, "k0 p40 EOF"},
		{"headers that change are said again", []tag{video(0, avcHeader), video(0, avcKey), video(40, "\x17\x00\x00\x00\x00H"), video(40, avcKey)}, false,
			"V0 k0 W0 k40 V40 k80 W80 k120 V120 k160 W160 k200 V200"},
		{"each track has its header", []tag{video(0, "\x90av01h"), video(0, "\x96\x00av01\x01h"), video(0, "\x91av01k")}, true, "X0 Y0 z0 EOF"},
		{"sound alone", []tag{audio(0, aacHeader), audio(0, aacFrame), audio(32, aacFrame)}, false, "A0 s0 s32 s64 s96 s128 s160 s192 s224 s256 s288 s320 s352"},
		{"data after sound that is older than the first picture", []tag{video(100, avcKey), audio(84, aacFrame), {media: flv.Script, data: []byte(metadata)}}, true, "k0 s0 M0 EOF"},
		{"one picture", []tag{video(0, avcKey)}, false, "k0 k40 k80 k120 k160 k200 k240 k280 k320 k360 k400 k440 k480"},
		{"no key frame", []tag{video(0, avcInter)}, false, "there is no key frame in the file"},
		{"no key frame, once", []tag{video(0, avcInter)}, true, "there is no key frame in the file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := NewSource(bytes.NewReader(flvFile(c.tags...)))
			if err != nil {
				t.Fatal(err)
			}
			l, err := s.play(time.Time{}, c.once)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, played(t, l, len(strings.Fields(c.want)))); diff != "" && c.want != errNothing.Error() {
				t.Error(diff)
			} else if got := played(t, l, 1); c.want == errNothing.Error() && got != c.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A new peer is sent the headers again, and continues with the next key frame.
func TestLoopResumes(t *testing.T) {
	s, err := NewSource(bytes.NewReader(flvFile(video(0, avcHeader), video(0, avcKey), video(40, avcInter), video(80, avcInter), video(120, avcKey), video(160, avcInter))))
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.play(time.Time{}, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := played(t, l, 3); got != "V0 k0 p40" {
		t.Error(got)
	}
	l.resume()
	if got := played(t, l, 4); got != "V120 k120 p160 EOF" {
		t.Error(got)
	}
	l.resume()
	if _, err := l.next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Many rounds, past 32 bits: no time goes back, and none drifts.
func TestLoopGoesOn(t *testing.T) {
	l, err := Clip().play(time.UnixMilli(0), false)
	if err != nil {
		t.Fatal(err)
	}
	const late = 1<<32 - 50_000
	l.end = late / 20_000 * 20_000
	begin := l.end
	last := map[flv.Media]int64{flv.Audio: begin - 32, flv.Video: begin - 40}
	step := map[flv.Media]int64{flv.Audio: 32, flv.Video: 40}
	for n := map[flv.Media]int{}; n[flv.Video] < 5*500 || n[flv.Audio] < 5*625; {
		g, err := l.next()
		if err != nil {
			t.Fatal(err)
		}
		if step[g.media] == 0 || g.role() == header {
			continue
		}
		if g.time != last[g.media]+step[g.media] {
			t.Fatalf("%d after %d", g.time, last[g.media])
		}
		last[g.media] = g.time
		n[g.media]++
	}
	if last[flv.Video] < 1<<32 {
		t.Errorf("only got to %d", last[flv.Video])
	}
}
