package rtmp_test

import (
	"testing"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

func TestSplitName(t *testing.T) {
	for typed, want := range map[string][2]string{
		"live": {"live", ""}, "live?key=x": {"live", "key=x"}, "": {"", ""}, "?key=x": {"", "key=x"},
		"a/b?key=x": {"a/b", "key=x"},

		"live/?key=x": {"live", "key=x"}, "/live?key=x": {"live", "key=x"}, "//live//": {"live", ""}, "/": {"", ""},
		" live?key=x\r\n": {"live", "key=x"}, "live ?key=x": {"live", "key=x"}, "\ufefflive?key=x\u200b\u00a0": {"live", "key=x"},
		"flv:live": {"live", ""}, "mp4:live?key=x": {"live", "key=x"}, "/flv:/live/": {"live", ""}, "mp3: live": {"live", ""},
		"flv:mp4:live": {"mp4:live", ""}, "rtmp://h/live": {"rtmp://h/live", ""},
		"live?key=x?key=x": {"live", "key=x&key=x"}, "live?key=live?key=x": {"live", "key=live&key=x"},
		"live%3Fkey%3Dx": {"live", "key=x"}, "live%3fkey=x?a=b": {"live", "key=x&a=b"}, "li%76e?key=%78": {"live", "key=%78"},
		"live%20?key=x": {"live", "key=x"}, "li%2576e": {"li%76e", ""}, "live%2F": {"live/", ""}, "live%00": {"live\x00", ""},
		"live%zz?key=x": {"live%zz", "key=x"}, "%3F": {"", ""}, "live?": {"live", ""},
	} {
		if public, query := rtmp.SplitName(typed); public != want[0] || query != want[1] {
			t.Errorf("%q: got %q and %q, want %q", typed, public, query, want)
		}
	}
}

// FCUnpublish ends a stream by its name, with the query of publish or without.
func TestFCUnpublish(t *testing.T) {
	tp := &tape{}
	withPeer(t, desk{publish: func(p *rtmp.Publish) { p.Accept(tp) }}, rtmp.ErrClosed, func(p *rtmptest.Peer, s *rtmp.Session) {
		p.Expect("onBWDone", 0)
		for _, tx := range []float64{2, 3} {
			p.Command(0, "createStream", tx, amf.Null{})
			p.Expect("_result", tx)
		}
		publish := func(stream uint32, name string) {
			t.Helper()
			p.Command(stream, "publish", 0, amf.Null{}, amf.String(name))
			p.ExpectStatus(stream, rtmp.CodePublishStart)
		}
		for _, name := range []string{"live", "live?key=x", "live?key=another", "flv:live", "live/", "live ", ""} {
			publish(1, "live?key=x")
			p.Command(0, "FCUnpublish", 0, amf.Null{}, amf.String(name))
			p.ExpectStatus(1, rtmp.CodeUnpublishSuccess)
		}
		publish(1, "flv:live?key=x")
		publish(2, "cam?key=x")
		p.Command(0, "FCUnpublish", 0, amf.Null{}, amf.String("")) // which one?
		p.Command(0, "FCUnpublish", 0, amf.Null{}, amf.String("other"))
		p.Command(0, "FCUnpublish", 0, amf.Null{})
		p.Command(0, "FCUnpublish", 9, amf.Null{}, amf.String("cam"))
		p.Expect("_result", 9)
		p.ExpectStatus(2, rtmp.CodeUnpublishSuccess)
		p.Command(0, "FCUnpublish", 0, amf.Null{}, amf.String("live"))
		p.ExpectStatus(1, rtmp.CodeUnpublishSuccess)
	})
	for _, err := range tp.closed {
		if err != nil {
			t.Errorf("an end that was said is %v", err)
		}
	}
}
