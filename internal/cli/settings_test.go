package cli

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serveSettings are the settings of "foyer serve" with those arguments.
func serveSettings(t *testing.T, args []string, env map[string]string) (*settings, error) {
	t.Helper()
	p := &program{getenv: func(name string) string { return env[name] }, stdout: t.Output(), stderr: t.Output()}
	c, err := parse(p, args)
	if err != nil {
		return nil, err
	}
	return &c.Model.Target.Addr().Interface().(*commands).Serve.Settings, nil
}

// Each source of settings beats the ones after it: flag, environment, file,
// default. Every row leaves out one more of them.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "foyer.yaml")
	writeFile(t, file, "idle: 3s\nrooms:\n  - blue\n  - jazz\nadmin-token: 0123\nmount: [one, two]\n")
	secretFile := filepath.Join(t.TempDir(), "secret")
	writeFile(t, secretFile, "from a file\n")
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want time.Duration
	}{
		{"flag", []string{"serve", "--idle=1s", "--config=" + file}, map[string]string{"FOYER_IDLE": "2s"}, time.Second},
		{"environment", []string{"serve", "--config=" + file}, map[string]string{"FOYER_IDLE": "2s"}, 2 * time.Second},
		{"file", []string{"serve", "--config=" + file}, nil, 3 * time.Second},
		{"file from the environment", nil, map[string]string{"FOYER_CONFIG": file}, 3 * time.Second},
		{"default", nil, nil, 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := serveSettings(t, tt.args, tt.env)
			if err != nil {
				t.Fatal(err)
			}
			if s.Idle != tt.want {
				t.Errorf("idle is %v, want %v", s.Idle, tt.want)
			}
		})
	}

	s, err := serveSettings(t, []string{"--config=" + file}, map[string]string{"FOYER_LOBBY_SECRET_FILE": secretFile, "FOYER_ROOMS": "garden"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Rooms, []string{"garden"}; !cmp.Equal(got, want) {
		t.Errorf("rooms are %q, want %q: the environment's", got, want)
	}
	if got, want := s.Mount, []string{"one", "two"}; !cmp.Equal(got, want) {
		t.Errorf("mounts are %q, want %q: the file's list", got, want)
	}
	if string(s.AdminToken) != "0123" {
		t.Errorf("admin token is %q, want it as it is written", string(s.AdminToken))
	}
	if string(s.LobbySecret) != "from a file" {
		t.Errorf("lobby secret is %q, want what is in its file", string(s.LobbySecret))
	}
}

func TestDefaults(t *testing.T) {
	s, err := serveSettings(t, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &settings{
		RTMP: ":1935", HTTP: ":8080", Apps: []string{"lobby", "room"}, Mount: []string{"chapter4"}, Publish: "takeover", Elsewhere: "serve", MaxUsers: 1000,
		Drain: 10 * time.Second, Grace: 30 * time.Second, Idle: 30 * time.Second, StaleAfter: 15 * time.Second, GoneAfter: 30 * time.Second, Data: "foyer-data", Node: hostName(),
		History: 2000, HistoryAge: 720 * time.Hour,
		People: peopleSettings{ReservedNicks: []string{"admin", "administrator", "moderator", "mod", "operator", "owner", "system", "server", "foyer"}},
		Store:  storeSettings{DiskReserve: 64 << 20, MaxObjects: 1 << 30}, Publishing: publishingSettings{MaxBitrate: 50e6},
		Limits: limitSettings{
			AddressConnections: 100, AddressRate: 300, AddressRooms: 5, OpenRooms: "everybody", MaxRooms: 10000,
			Exempt: networks{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		},
	}
	// kong makes them empty; TestEmptyLists has the other
	s.Rooms, s.MetricsFrom, s.TrustedProxies, s.Origins, s.AllowedHosts = nil, nil, nil, nil, nil
	if diff := cmp.Diff(want, s, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error(diff)
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

func TestParseSettings(t *testing.T) {
	known := map[string]bool{"rtmp": true, "rooms": true, "tls-key": true}
	tests := []struct {
		name, yaml string
		want       map[string]string
		err        string // what the error must have
	}{
		{name: "empty", yaml: "", want: map[string]string{}},
		{name: "comment", yaml: "# nothing\n", want: map[string]string{}},
		{name: "one", yaml: "rtmp: :1935\n", want: map[string]string{"rtmp": ":1935"}},
		{name: "quoted", yaml: "rtmp: \":1935\"\n", want: map[string]string{"rtmp": ":1935"}},
		{name: "empty is set", yaml: "rtmp: ''\nrooms: []\n", want: map[string]string{"rtmp": "", "rooms": ""}},
		{name: "null is unset", yaml: "rtmp:\nrooms: ~\n", want: map[string]string{}},
		{name: "number as written", yaml: "rtmp: 0010\n", want: map[string]string{"rtmp": "0010"}},
		{name: "list", yaml: "rooms: [a, b]\n", want: map[string]string{"rooms": "a,b"}},
		{name: "block", yaml: "tls-key: |\n  key.pem\n", want: map[string]string{"tls-key": "key.pem"}},
		{name: "unknown", yaml: "rtmp: x\n\ncolour: blue\n", err: `line 3: unknown key "colour"`},
		{name: "config is no setting", yaml: "config: x\n", err: `unknown key "config"`},
		{name: "map", yaml: "rtmp: {a: b}\n", err: "line 1: rtmp must be a plain value"},
		{name: "list of lists", yaml: "rooms: [[a]]\n", err: "rooms must be"},
		{name: "no mapping", yaml: "- rtmp\n", err: "line 1: want settings"},
		{name: "twice", yaml: "rtmp: a\nrtmp: b\n", err: "rtmp"},
		{name: "broken", yaml: "rtmp: [\n", err: "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSettings([]byte(tt.yaml), known)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, %v; want an error with %q", got, err, tt.err)
				}
				return
			}
			if err != nil || !cmp.Equal(got, tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

// A secret does not show itself, however it is printed.
func TestSecretIsRedacted(t *testing.T) {
	var out bytes.Buffer
	s := settings{LobbySecret: "hush", NATS: "nats://me:hush@a:4222,tls://hush@b:4222", LogFormat: "json"}
	s.logger(&out, slog.LevelInfo).Info("x", "secret", s.LobbySecret, "nats", s.NATS, "settings", s, "text", fmt.Sprint(s.NATS))
	if strings.Contains(out.String(), "hush") {
		t.Errorf("the log shows it: %s", out.String())
	}
}

func TestGuessPublic(t *testing.T) {
	tests := []struct{ scheme, listen, port, want string }{
		{"rtmp", ":1935", "1935", "rtmp://localhost"},
		{"rtmp", "127.0.0.1:0", "40000", "rtmp://localhost:40000"},
		{"rtmp", "[::]:1936", "1936", "rtmp://localhost:1936"},
		{"rtmp", "192.0.2.1:1935", "1935", "rtmp://192.0.2.1"},
		{"rtmp", "[2001:db8::1]:1935", "1935", "rtmp://[2001:db8::1]"},
		{"http", ":8080", "8080", "http://localhost:8080"},
		{"http", "0.0.0.0:80", "80", "http://localhost"},
		{"https", "example.org:443", "443", "https://example.org"},
	}
	for _, tt := range tests {
		if got := guessPublic(tt.scheme, tt.listen, tt.port); got != tt.want {
			t.Errorf("guessPublic(%q, %q, %q) = %q, want %q", tt.scheme, tt.listen, tt.port, got, tt.want)
		}
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRecordSettings(t *testing.T) {
	for _, tt := range []struct {
		limit string
		want  size
	}{
		{"0", 0}, {"500", 500}, {"1500 B", 1500}, {"500MB", 500e6}, {"1.5gb", 1.5e9}, {"2GiB", 2 << 30}, {"1 TiB", 1 << 40},
		{"", -1}, {"-1", -1}, {"many", -1}, {"1XB", -1}, {"NaN", -1}, {"9999999TB", -1},
	} {
		s, err := serveSettings(t, []string{"serve", "--record=blue,jazz", "--record-limit=" + tt.limit}, nil)
		if (err != nil) != (tt.want < 0) || err == nil && s.RecordLimit != tt.want {
			t.Errorf("%q: %v, want %d", tt.limit, err, tt.want)
		}
		if err == nil && !cmp.Equal(s.Record, []string{"blue", "jazz"}) {
			t.Errorf("rooms are %q", s.Record)
		}
	}
	file := filepath.Join(t.TempDir(), "foyer.yaml")
	writeFile(t, file, "record: [all]\nrecord-limit: 20GB\n")
	if s, err := serveSettings(t, []string{"--config=" + file}, nil); err != nil || !cmp.Equal(s.Record, []string{"all"}) || s.RecordLimit != 20e9 {
		t.Errorf("from the file: %v", err)
	}
	if s, err := serveSettings(t, nil, map[string]string{"FOYER_RECORD": "all", "FOYER_RECORD_LIMIT": "1KiB"}); err != nil || s.RecordLimit != 1024 {
		t.Errorf("from the environment: %v", err)
	}
}

// TestSettingsRefused: what contradicts itself is refused, with the flag to look at.
func TestSettingsRefused(t *testing.T) {
	for _, tt := range []struct{ flags, want string }{
		{"--apps=chess", "--apps"}, {"--tls-cert=c.pem", "--tls-key"}, {"--rtmps=:1936", "--rtmps"},
		{"--apps=lobby --rooms=blue", "--rooms"}, {"--rooms=a/b", "--rooms"}, {"--mount=a\tb", "--mount"},
		{"--max-users=0", "--max-users"}, {"--apps=lobby --record=all", "--record"}, {"--record=../x", "--record"},
		{"--idle=0s", "--idle"}, {"--stale-after=0s", "--stale-after"}, {"--gone-after=0s", "--gone-after"},
		{"--history=0", "--history"}, {"--history-age=1s", "--history-age"},
		{"--grace=-1s", "--grace"}, {"--drain=-1s", "--drain"},
		{"--lobby=host/lobby", "--lobby"}, {"--node-rtmp=host:1935", "--node-rtmp"},
	} {
		s, err := serveSettings(t, append([]string{"serve"}, strings.Split(tt.flags, " ")...), nil)
		if err != nil {
			t.Errorf("%s: %v", tt.flags, err)
			continue
		}
		if err := s.check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.flags, err)
		}
	}
	if s, err := serveSettings(t, []string{"serve", "--node-rtmp=rtmp://10.0.0.3"}, nil); err != nil || s.check() != nil {
		t.Error("the right ones are refused, too")
	}
}

// TestReadmeSettings: the file of settings that the README shows can be used,
// with the lines in it that are left out as well.
func TestReadmeSettings(t *testing.T) {
	text := readFile(t, root+"README.md")
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Fatal("there is none")
	}
	for _, m := range blocks {
		file := filepath.Join(t.TempDir(), "foyer.yaml")
		writeFile(t, file, strings.ReplaceAll("\n"+m[1], "\n#", "\n"))
		if _, err := serveSettings(t, []string{"serve", "--config=" + file}, nil); err != nil {
			t.Error(err)
		}
	}
}
