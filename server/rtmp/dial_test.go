package rtmp_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"foyer/server/rtmp"
)

func TestParseURI(t *testing.T) {
	for _, test := range []struct {
		uri  string
		want rtmp.Address
	}{
		{"rtmp://localhost/chapter4/lobby", rtmp.Address{Host: "localhost:1935", App: "chapter4/lobby", URL: "rtmp://localhost/chapter4/lobby"}},
		{"rtmp://localhost:1936/lobby/", rtmp.Address{Host: "localhost:1936", App: "lobby", URL: "rtmp://localhost:1936/lobby"}},
		{"RTMP://h//room/blue//?a=b", rtmp.Address{Host: "h:1935", App: "room/blue?a=b", URL: "rtmp://h/room/blue?a=b"}},
		{"rtmps://h/room", rtmp.Address{TLS: true, Host: "h:443", App: "room", URL: "rtmps://h/room"}},
		{"rtmp://[::1]/room", rtmp.Address{Host: "[::1]:1935", App: "room", URL: "rtmp://[::1]/room"}},
		{"rtmp://h", rtmp.Address{Host: "h:1935", URL: "rtmp://h/"}},
	} {
		got, err := rtmp.ParseURI(test.uri)
		if err != nil {
			t.Errorf("%s: %v", test.uri, err)
			continue
		}
		if d := cmp.Diff(test.want, *got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", test.uri, d)
		}
	}
}

func TestParseURIRefuses(t *testing.T) {
	for uri, reason := range map[string]string{
		"":                       "not an absolute rtmp:// address",
		"lobby":                  "not an absolute rtmp:// address",
		"rtmp:/lobby":            "relative address: there must be a host name",
		"rtmp::1935/lobby":       "relative address: there must be a host name",
		"rtmp:///lobby":          "there must be a host name",
		"rtmpt://h/lobby":        "HTTP tunnelling is not available here",
		"http://h/lobby":         "HTTP tunnelling is not available here",
		"rtmfp://h/lobby":        "rtmfp is not rtmp or rtmps",
		"rtmp://h:port/lobby":    `parse "rtmp://h:port/lobby": invalid port ":port" after host`,
		"rtmp://user:pw@/lobby":  "there must be a host name",
		"ftp://example/whatever": "ftp is not rtmp or rtmps",
	} {
		_, err := rtmp.ParseURI(uri)
		ae, ok := errors.AsType[*rtmp.AddressError](err)
		if !ok || ae.Reason != reason {
			t.Errorf("%q: got %v, want %s", uri, err, reason)
		}
		if _, _, err := rtmp.Dial(t.Context(), uri, nil, rtmp.DialOptions{}); err == nil {
			t.Errorf("dialed %q", uri)
		}
	}
}
