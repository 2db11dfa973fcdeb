package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// TestElsewhere: a client is led to the server that has an instance, before one starts
// here, by whatever mount it came. Instances that run here, or that always may, are not
// asked for elsewhere, and nobody else is led away.
func TestElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, same(new(testApp)))
		h.Mounts, h.Always = []string{"chapter4"}, []string{"app/ours"}
		there := map[string]bool{"app/far": true, "app/ours": true, "room/far": true, "app/here": false}
		h.Elsewhere = func(_ context.Context, instance string, r *Request) *rtmp.StatusError {
			if !there[instance] {
				return nil
			}
			_, query := clean(r.Path)
			return Moved("It is there.", "rtmp://other/"+instance, query)
		}
		redirect := func(path string) string {
			_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: path})
			no, ok := errors.AsType[*rtmp.StatusError](err)
			if !ok {
				return ""
			}
			if no.Code != rtmp.CodeConnectRejected {
				t.Errorf("%s: refused with %s", path, no.Code)
			}
			if len(no.Extra) == 0 {
				return no.Description
			}
			if code, _ := amf.AsNumber(amf.Lookup(no.Extra[0].Value, "code")); no.Extra[0].Name != "ex" || code != 302 {
				t.Errorf("%s: refused with %v", path, no.Extra)
			}
			to, _ := amf.AsString(amf.Lookup(no.Extra[0].Value, "redirect"))
			return to
		}
		const undefined = "[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (room/near) is not defined."
		for path, want := range map[string]string{
			"app/here": "", "app/ours": "", "app/far": "rtmp://other/app/far", "/chapter4//app/FAR/?key=x": "rtmp://other/app/far?key=x",
			"room/far": "rtmp://other/room/far", "chapter4/Room/far": "rtmp://other/room/far", "room/near": undefined,
		} {
			if got := redirect(path); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
		}
		there["app/here"] = true
		if got := redirect("app/here"); got != "" {
			t.Errorf("an instance that runs here: led to %s", got)
		}
		if n := h.Stats().Instances["app"]; n != 2 {
			t.Errorf("%d instances run", n)
		}
		stopHost(h)
	})
}
