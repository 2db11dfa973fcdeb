package server

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"foyer/server/rtmp"
)

// What people type into the two fields of an encoder. wrong is what the refusal
// says to change; then the rest of the row does not matter.
var typedAddresses = []struct {
	name, app, tcURL, stream string
	instance, public, wrong  string
}{
	{"as it should be", "app/blue", "", "live?key=secret", "blue", "live", ""},
	{"everything in the first field", "app/blue/live?key=secret", "", "", "blue", "live", ""},
	{"and the name in the second", "app/blue/live?key=secret", "", "live", "blue", "live", ""},
	{"and another name", "app/blue/live?key=secret", "", "cam", "blue", "cam", ""},
	{"everything twice", "app/blue/live?key=secret", "", "live?key=secret", "blue", "live", ""},
	{"a slash behind it", "app/blue/live/?key=secret", "", "", "blue", "live", ""},
	{"under a mount", "chapter4/app/blue/live?key=secret", "", "", "blue", "live", ""},
	{"a type in front", "app/blue/flv:live?key=secret", "", "", "blue", "live", ""},
	{"a pass", "app/blue/live?pass=secret", "", "live?key=secret", "blue", "live", ""},
	{"the key in the first field", "app/blue?key=secret", "", "live", "blue", "live", ""},
	{"an empty key in the second", "app/blue?key=secret", "", "live?key=", "blue", "live", ""},
	{"another key in the second", "app/blue?key=wrong", "", "live?key=secret", "blue", "live", ""},
	{"the key in tcUrl", "app/blue", "rtmp://here/app/blue?key=secret", "live", "blue", "live", ""},
	{"everything in tcUrl", "app/blue/live", "rtmp://here/app/blue/live?key=secret", "", "blue", "live", ""},
	{"an encoded question mark", "app/blue/live%3Fkey%3Dsecret", "", "", "blue", "live", ""},
	{"and in tcUrl none", "app/blue%3fkey=secret", "rtmp://here/app/blue%3fkey=secret", "live", "blue", "live", ""},
	{"blanks around the server", " app/blue\r\n", "", "live?key=secret", "blue", "live", ""},
	{"blanks around everything", "app/blue/live ?key=secret\n", "", " ", "blue", "live", ""},
	{"slashes", "/app//blue/", "", "/live/?key=secret", "blue", "live", ""},
	{"a key alone in the second", "app/blue/live?key=wrong", "", "?key=secret", "blue", "live", ""},

	{"no name", "app/blue?key=secret", "", "", "", "", "The stream has no name. The stream key is live?key=KEY"},
	{"no key", "app/blue/live", "", "live?key=secret", "", "", "App name is not valid."},
	{"a path too deep", "app/blue/live/x?key=secret", "", "", "", "", "App name is not valid."},
	{"a name that is not valid", "app/blue/li ve?key=secret", "", "", "", "", "App name is not valid."},
	{"an instance that is not valid", "app/b lue/live?key=secret", "", "", "", "", "App name is not valid."},
	{"an encoded slash", "app/blue%2Flive?key=secret", "", "", "", "", "App name is not valid."},
	{"an unknown application", "xyz/blue/live?key=secret", "", "", "", "", "Application (xyz/blue/live) is not defined."},
}

// typist lets publish whoever knows the key, and notes where.
type typist struct {
	testApp
	instance *string
}

func (a *typist) OnPublish(_ *Client, name, kind string) (string, bool, error) {
	*a.instance = a.in.Name()
	public, query, _ := strings.Cut(name, "?")
	if !strings.HasSuffix(query, "key=secret") {
		return "", false, badName("Wrong key.")
	}
	return public, true, nil
}

func (a *typist) OnUnpublish(*Client, string) {}

func TestTypedAddresses(t *testing.T) {
	for _, tt := range typedAddresses {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n network
				var instance string
				h := &Host{Mounts: []string{"chapter4"}}
				h.Handle("app", func() Application { return &typist{instance: &instance} })
				stop := serve(t, &n, "here", h)
				defer stop()
				public, err := typeIn(t, &n, h, tt.app, tt.tcURL, tt.stream)
				if tt.wrong != "" {
					if err == nil || !strings.Contains(err.Error(), tt.wrong) {
						t.Errorf("got %v, want %q", err, tt.wrong)
					}
					return
				}
				if instance != "app/"+tt.instance || public != tt.public || err != nil {
					t.Errorf("published %q in %q: %v", public, instance, err)
				}
			})
		})
	}
}

// typeIn connects and publishes, and returns the public name.
func typeIn(t *testing.T, n *network, h *Host, app, tcURL, stream string) (public string, err error) {
	t.Helper()
	r := &rtmp.ConnectRequest{App: app, TCURL: tcURL}
	s, _, err := rtmp.Dial(t.Context(), "rtmp://here/app", r, rtmp.DialOptions{Dial: n.Dial})
	if err != nil {
		return "", err
	}
	ended := make(chan struct{})
	go func() { s.Run(context.Background()); close(ended) }()
	defer func() { s.Close(nil); <-ended }()
	st, err := s.CreateStream(t.Context())
	if err == nil {
		err = st.Publish(t.Context(), stream, "live")
	}
	if err != nil {
		return "", err
	}
	for _, in := range h.all() {
		public += await(in, func() (names string) {
			for name, s := range in.streams.byName {
				if s.publisher != nil {
					names += name
				}
			}
			return names
		})
	}
	return public, nil
}
