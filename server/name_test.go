package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"blue": true, "A-Z_a.z-09": true, "0": true, "_definst_": true, strings.Repeat("x", MaxName): true,
		"": false, strings.Repeat("x", MaxName+1): false, "_definst": false, "_DEFINST_": false, "_x": false,
		".": false, "..": false, "-x": false, ".x": false, "a b": false, "a/b": false, "a\\b": false, "é": false, "a\x00": false,
		"a\n": false, "<b>": false, "%41": false, "a\u200b": false, "ａ": false, "\xff": false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
}

func TestBrief(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "OBS": "OBS", "žluť": "žluť",
		"a\x1b[2Jb": "a\ufffd[2Jb", "a\nb": "a\ufffdb", "a\u202eb": "a\ufffdb", "\xff": "\ufffd",
		strings.Repeat("ž", 9): strings.Repeat("ž", 8), strings.Repeat("x", 40): strings.Repeat("x", 17),
	} {
		if got := brief(in, 17); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// refusals are paths that lead nowhere, and the words for their peers.
var refusals = map[string]string{
	"app/..": "App name is not valid.", "app/.": "App name is not valid.", "app/-x": "App name is not valid.",
	"app/a/b": "App name is not valid.", "app/%41": "App name is not valid.", "app/a b": "App name is not valid.",
	"app/" + strings.Repeat("x", 4000): "App name is not valid.", "chapter4/app/" + strings.Repeat("x", 65): "App name is not valid.",
	"app/x\x00": "App name is not valid.", "app/" + strings.Repeat("/x", 30000): "App name is not valid.",
}

// TestInvalidNames: nothing is made for them.
func TestInvalidNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged strings.Builder
		h := &Host{Mounts: []string{"chapter4"}, Log: slog.New(slog.NewTextHandler(&logged, nil)), Objects: noStore{t}, Owners: noOwners{t}}
		h.HandleClaimed("app", func() Application { t.Error("an application was made"); return new(testApp) })
		for path, want := range refusals {
			_, err := h.Connect(t.Context(), new(fakePeer), Request{Path: path})
			if s, ok := errors.AsType[*rtmp.StatusError](err); !ok || s.Code != rtmp.CodeConnectRejected || s.Description != want {
				t.Errorf("%.40q: %v", path, err)
			}
			if _, name, ok := h.Resolve(path); ok {
				t.Errorf("%.40q resolves to %q", path, name)
			}
			if h.Running(path) {
				t.Errorf("%.40q runs", path)
			}
			if _, err := h.Call(t.Context(), path, "x"); !errors.Is(err, ErrNotRunning) {
				t.Errorf("call of %.40q: %v", path, err)
			}
			if err := h.Start(path); err == nil {
				t.Errorf("%.40q starts", path)
			}
			if h.owned(path) != nil || h.Stream(path, "live") != nil {
				t.Errorf("%.40q is somewhere", path)
			}
		}
		if n := running(h); n != 0 {
			t.Errorf("%d instances", n)
		}
		for line := range strings.Lines(logged.String()) {
			if len(line) > 300 {
				t.Errorf("a line of %d bytes in the log: %.60q", len(line), line)
			}
		}
	})
}

// TestPeersWordsAreBounded: where they are kept and where they are logged.
func TestPeersWordsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged strings.Builder
		h := newHost(t, same(new(testApp)))
		h.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		long := strings.Repeat("\x1b[31mž", 20000)
		c, err := h.Connect(t.Context(), new(fakePeer), Request{
			Path: "app/x?" + long, Agent: long, Referrer: long, PageURL: long, URI: long, Protocol: long,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.ServeCall(long, nil, nil)
		for _, text := range []string{c.Agent(), c.Referrer(), c.PageURL(), c.URI(), c.Protocol()} {
			if len(text) > 3*maxHint || strings.Contains(text, "\x1b") || !utf8.ValidString(text) {
				t.Errorf("kept %d bytes: %.20q", len(text), text)
			}
		}
		if n := len(c.Query()); n != maxQuery {
			t.Errorf("a query of %d bytes", n)
		}
		c.Leave(rtmp.ErrClosed)
		_, err = h.Connect(t.Context(), new(fakePeer), Request{Path: "nowhere/" + long})
		if s, _ := errors.AsType[*rtmp.StatusError](err); s == nil || len(s.Description) > 1000 || strings.Contains(s.Description, "\x1b") {
			t.Errorf("refused with %.100q", err)
		}
		synctest.Wait()
		for line := range strings.Lines(logged.String()) {
			if len(line) > 2500 {
				t.Errorf("a line of %d bytes in the log: %.60q", len(line), line)
			}
		}
		stopHost(h)
	})
}

// TestNamesWithoutCase: names that differ by case are one instance, which is
// shown as it was first opened.
func TestNamesWithoutCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var world atlas
		h := &Host{Owners: world.of("here", "rtmp://here")}
		h.HandleClaimed("app", same(&testApp{methods: map[string]Method{
			"name": func(c *Client, _ amf.Args) (amf.Value, error) { return amf.String(c.Instance().ShortName()), nil },
		}}))
		connect := func(path string) *Client {
			c, err := h.Connect(t.Context(), new(fakePeer), Request{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first, second := connect("app/MyRoom"), connect("app/myROOM")
		in := first.Instance()
		if second.Instance() != in || in.Name() != "app/myroom" || in.ShortName() != "MyRoom" {
			t.Errorf("%s (%s) and %s", in.Name(), in.ShortName(), second.Instance().Name())
		}
		if v, err := h.Call(t.Context(), "app/MYROOM", "name"); err != nil || v != amf.Value(amf.String("MyRoom")) {
			t.Errorf("call: %v, %v", v, err)
		}
		if !h.Running("app/myroom") || h.owned("app/MYroom") != in {
			t.Error("it does not run")
		}
		world.mu.Lock()
		if len(world.owners) != 1 || world.owners["app/myroom"] == nil {
			t.Errorf("claimed: %v", world.owners)
		}
		world.mu.Unlock()
		stopHost(h)
	})
}

// FuzzConnectPath: whatever the path, an instance has a valid, folded name, and
// for anything else nothing is made.
func FuzzConnectPath(f *testing.F) {
	for path := range refusals {
		f.Add(path)
	}
	for _, path := range []string{"app", "app/", "/app//Blue/?x=1", "chapter4/app/_definst_", "chapter4", "", "app/_DEFINST_", "nix", "app?x", "app/a.b-c_D"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		h := &Host{Mounts: []string{"chapter4"}}
		var made []string
		h.Handle("app", same(&testApp{start: func(in *Instance) error {
			made = append(made, in.Name())
			if !ValidName(in.ShortName()) || in.Name() != "app/"+strings.ToLower(in.ShortName()) {
				t.Errorf("instance %q (%q)", in.Name(), in.ShortName())
			}
			return nil
		}}))
		_, name, ok := h.Resolve(path)
		c, err := h.Connect(t.Context(), new(fakePeer), Request{Path: path})
		switch {
		case ok != (err == nil):
			t.Errorf("resolves: %v, connects: %v", ok, err)
		case err != nil:
			if s, is := errors.AsType[*rtmp.StatusError](err); !is || !utf8.ValidString(s.Description) || len(s.Description) > 1000 {
				t.Errorf("refused with %v", err)
			}
		case c.Instance().Name() != name:
			t.Errorf("resolves to %q, is %q", name, c.Instance().Name())
		}
		stopHost(h)
		if want := min(1, len(name)); len(made) != want {
			t.Errorf("made %q", made)
		}
	})
}

// noStore and noOwners are for names that nobody may ask about.
type (
	noStore  struct{ t *testing.T }
	noOwners struct{ t *testing.T }
)

func (s noStore) LoadObjects(_ context.Context, instance string) (map[string][]byte, map[string]time.Time, error) {
	s.t.Errorf("objects of %.40q are loaded", instance)
	return nil, nil, nil
}

func (s noStore) SaveObject(instance, _ string, _ []byte, done func(error)) {
	s.t.Errorf("an object of %.40q is stored", instance)
	done(nil)
}

func (p noOwners) Claim(_ context.Context, instance string, _ func()) (func(), error) {
	p.t.Errorf("%.40q is claimed", instance)
	return func() {}, nil
}

func (p noOwners) Find(_ context.Context, instance string) *ElsewhereError {
	p.t.Errorf("%.40q is looked for", instance)
	return nil
}
