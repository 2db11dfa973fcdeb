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

	"foyer/internal/node"
	"foyer/room/nick"

	"github.com/google/go-cmp/cmp"
)

// serveSettings are the settings of "foyer serve" with those arguments.
func serveSettings(t *testing.T, args []string, env map[string]string) (*node.Settings, error) {
	t.Helper()
	p := &program{env: env, stdout: t.Output(), stderr: t.Output()}
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
	want := &node.Settings{
		RTMP: ":1935", HTTP: ":8080", Apps: []string{"lobby", "room"}, Mount: []string{"chapter4"}, Publish: "takeover", Elsewhere: "serve", MaxUsers: 1000,
		Drain: 10 * time.Second, Grace: 30 * time.Second, Idle: 30 * time.Second, StaleAfter: 15 * time.Second, GoneAfter: 30 * time.Second, Data: "foyer-data", Node: hostName(),
		History: 2000, HistoryAge: 720 * time.Hour,
		People: node.PeopleSettings{ReservedNicks: []string{"admin", "administrator", "moderator", "mod", "operator", "owner", "system", "server", "foyer"}},
		Store:  node.StoreSettings{DiskReserve: 64 << 20, MaxObjects: 1 << 30}, MaxBitrate: 50e6,
		Limits: node.LimitSettings{
			AddressConnections: 100, AddressRate: 300, AddressRooms: 5, OpenRooms: "everybody", MaxRooms: 10000,
			Exempt: node.Networks{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		},
	}
	// kong makes them empty; TestEmptyLists has the other
	s.Rooms, s.MetricsFrom, s.TrustedProxies, s.Origins, s.AllowedHosts = nil, nil, nil, nil, nil
	if diff := cmp.Diff(want, s, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error(diff)
	}
	if err := checked(s); err != nil {
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
		{name: "BOM", yaml: "\ufeffrtmp: a\n", want: map[string]string{"rtmp": "a"}},
		{name: "CRLF", yaml: "rtmp: a\r\nrooms: [b]\r\n", want: map[string]string{"rtmp": "a", "rooms": "b"}},
		{name: "JSON", yaml: `{"rtmp": "a"}`, want: map[string]string{"rtmp": "a"}},
		{name: "unknown", yaml: "rtmp: x\n\ncolour: blue\n", err: `line 3: unknown key "colour": the keys are`},
		{name: "misspelt", yaml: "roosm: x\n", err: `line 1: unknown key "roosm": did you mean rooms?`},
		{name: "case", yaml: "RTMP: x\n", err: "did you mean rtmp?"},
		{name: "as a variable", yaml: "FOYER_TLS_KEY: x\n", err: "did you mean tls-key?"},
		{name: "as a flag", yaml: "--rtmp: x\n", err: "did you mean rtmp?"},
		{name: "UTF-16", yaml: "\xff\xfer\x00t\x00", err: "this is no UTF-8"},
		{name: "tab", yaml: "rooms:\n\t- blue\n", err: "line 2 begins with a tab: YAML takes blanks only"},
		{name: "tab first", yaml: "rtmp: a\n\trooms: b\n", err: "line 2 begins with a tab"},
		{name: "no blank", yaml: "rtmp:a\n", err: "line 1: want settings such as 'rtmp: :1935', with a blank"},
		{name: "equals sign", yaml: "rtmp = a\n", err: "line 1: want settings"},
		{name: "brackets", yaml: "rtmp: [::1]:80\n", err: "line 1: value is not allowed in this context; a value that has [ ]"},
		{name: "unfinished", yaml: "rtmp: a\nrooms: [b\n", err: "line 2: "},
		{name: "alias", yaml: "rtmp: *x\n", err: "line 1: rtmp must be a plain value"},
		{name: "second document", yaml: "rtmp: a\n---\nrtmp: b\n", err: "line 3: a second document begins"},
		{name: "config is no setting", yaml: "config: x\n", err: `unknown key "config"`},
		{name: "map", yaml: "rtmp: {a: b}\n", err: "line 1: rtmp must be a plain value"},
		{name: "list of lists", yaml: "rooms: [[a]]\n", err: "rooms must be"},
		{name: "no mapping", yaml: "- rtmp\n", err: "line 1: want settings"},
		{name: "twice", yaml: "rtmp: a\nrtmp: b\n", err: `line 2: mapping key "rtmp" already defined at line 1`},
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
	s := node.Settings{LobbySecret: "hush", NATS: "nats://me:hush@a:4222,tls://hush@b:4222", LogFormat: "json"}
	newLogger(&s, &out, slog.LevelInfo).Info("x", "secret", s.LobbySecret, "nats", s.NATS, "settings", s, "text", fmt.Sprint(s.NATS))
	if strings.Contains(out.String(), "hush") {
		t.Errorf("the log shows it: %s", out.String())
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
		want  node.Size
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

// TestSettingsRefused: settings that contradict each other are refused, with the
// flag to look at.
func TestSettingsRefused(t *testing.T) {
	for _, tt := range []struct{ flags, want string }{
		{"--apps=chess", "--apps"}, {"--tls-cert=c.pem", "--tls-key"}, {"--rtmps=:1936", "--rtmps"},
		{"--apps=lobby --rooms=blue", "--rooms"}, {"--rooms=a/b", "--rooms"}, {"--mount=a\tb", "--mount"},
		{"--max-users=0", "--max-users"}, {"--apps=lobby --record=all", "--record"}, {"--record=../x", "--record"},
		{"--idle=0s", "--idle"}, {"--stale-after=0s", "--stale-after"}, {"--gone-after=0s", "--gone-after"},
		{"--history=0", "--history"}, {"--history-age=1s", "--history-age"},
		{"--grace=-1s", "--grace"}, {"--drain=-1s", "--drain"},
		{"--rtmp=:8080", "--rtmp and --http cannot both listen at :8080"}, {"--admin=127.0.0.1:8080", "--http and --admin cannot both listen"},
		{"--rooms=blue|jazz", `"blue|jazz" is not the name of a room`}, {"--apps=", "name lobby, room or both"},
		{"--lobby=http://h:8080/", "rtmp://h/lobby is that server's lobby"}, {"--node=", "--node: the name of this process is empty"}, {"--assets=/nowhere", "--assets: there is no folder /nowhere"},
		{"--tls-auto=localhost", "no public authority gives a certificate for"}, {"--tls-auto=nas.local", "no public authority"},
		{"--lobby=host/lobby", "--lobby"}, {"--node-rtmp=host:1935", "--node-rtmp"},
	} {
		s, err := serveSettings(t, append([]string{"serve"}, strings.Split(tt.flags, " ")...), nil)
		if err != nil {
			t.Errorf("%s: %v", tt.flags, err)
			continue
		}
		if err := checked(s); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.flags, err)
		}
	}
	if s, err := serveSettings(t, []string{"serve", "--node-rtmp=rtmp://10.0.0.3"}, nil); err != nil || checked(s) != nil {
		t.Error("the right ones are refused, too")
	}
	s, err := serveSettings(t, []string{"serve", "--rooms=blue, jazz ,", "--apps= lobby, room", "--lobby=rtmp://h:1"}, nil)
	if err != nil || checked(s) != nil || !cmp.Equal(s.Rooms, []string{"blue", "jazz"}) || !cmp.Equal(s.Apps, []string{"lobby", "room"}) || s.Lobby != "rtmp://h:1/lobby" {
		t.Errorf("blanks: %q, %q, %s, %v", s.Rooms, s.Apps, s.Lobby, err)
	}
}

// TestFlagsRefused: what kong refuses is said in words of ours.
func TestFlagsRefused(t *testing.T) {
	for _, c := range []struct{ flag, want string }{
		{"--log-level=Info", `--log-level must be debug or info or warn or error, not "Info": did you mean info?`},
		{"--publish=maybe", `--publish must be takeover or reject, not "maybe"`},
		{"--data=~/foyer", `--data: "~/foyer" has a ~ that no shell has replaced: write the whole path`},
		{"--tls-cert=~/cert.pem", "write the whole path"},
		{"--max-users", "--max-users needs a value behind it"},
		{"--rtmps", "--rtmps needs a value behind it"},
		{"--rooms", "--rooms needs a value behind it"},
		{"--rooms --idle=3s", "--rooms needs a value behind it"},
		{"--history -1", "--history needs a value behind it: say --history=-1 if that is -1"},
		{"--nick ann", "--nick is a flag of join, and comes behind that command"},
	} {
		if _, err := serveSettings(t, append([]string{"serve"}, strings.Split(c.flag, " ")...), nil); err == nil || !strings.HasPrefix(err.Error(), "--") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.flag, err, c.want)
		}
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

// TestAddrSettings: an address that others could not use is refused as wrong
// usage, with the flag and a sentence.
func TestAddrSettings(t *testing.T) {
	for _, tt := range []struct{ flag, want string }{
		{"--trusted-proxies=10.0.0.0/8,192.0.2.1,::1,fd00::/8", ""}, {"--trusted-proxies=", ""},
		{"--trusted-proxies=10.0.0.0/33", "10.0.0.0/33"}, {"--trusted-proxies=proxy.example", "proxy.example"}, {"--trusted-proxies=fe80::1%eth0", "fe80::1%eth0"}, {"--trusted-proxies=10.0.0.1:80", "10.0.0.1:80"},
		{"--origins=https://example.org,http://localhost:3000", ""}, {"--origins=", ""},
		{"--origins=example.org", "scheme"}, {"--origins=*", "scheme"}, {"--origins=https://example.org/page", "ends after"},
		{"--allowed-hosts=live.example.org,10.0.0.1:8080,[::1],::1", ""}, {"--allowed-hosts=http://live.example.org", "host"}, {"--allowed-hosts=a/b", "host"},
		{"--public-http=https://live.example.org/", ""}, {"--public-http=http://[::1]:8080", ""},
		{"--public-http=https://live.example.org/foyer", ""}, {"--public-http=https://live.example.org/a/b_c-d/", ""}, {"--public-http=https://live.example.org/a/../b", "path"},
		{"--public-http=https://live.example.org/foyer/room/blue", "path"}, {"--public-http=https://live.example.org/a%2Fb%20c", "path"},
		{"--public-http=live.example.org", "scheme"}, {"--public-http=localhost:8080", "scheme"}, {"--public-http=rtmp://live.example.org", "scheme"}, {"--public-http=https://", "scheme"},
		{"--public-http=https://live.example.org/room/blue", "path"}, {"--public-http=https://live.example.org?a=b", "leave the rest out"}, {"--public-http=https://u:p@live.example.org", "leave the rest out"},
		{"--public-http=https://live.example.org:http", "scheme"}, {"--public-http=https://b\u00fccher.example", "scheme"},
		{"--public-rtmp=rtmps://live.example.org:443", ""}, {"--public-rtmp=rtmp://live.example.org/chapter4", ""},
		{"--public-rtmp=live.example.org", "scheme"}, {"--public-rtmp=http://live.example.org", "scheme"}, {"--public-rtmp=rtmp:/live", "scheme"}, {"--public-rtmp=rtmp://live.example.org/live", "path"},
	} {
		s, err := serveSettings(t, []string{"serve", tt.flag}, nil)
		usage := err != nil // in the eyes of the flags
		if err == nil {
			err = checked(s)
			_, usage = err.(*usageError)
		}
		name, _, _ := strings.Cut(tt.flag, "=")
		if tt.want == "" && err != nil || tt.want != "" && (!usage || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v", tt.flag, err)
		}
	}
}

// An empty list is nobody, on the command line and in the file; a list that is not
// mentioned is the default.
func TestEmptyLists(t *testing.T) {
	file := filepath.Join(t.TempDir(), "foyer.yaml")
	for _, c := range []struct {
		name, yaml string
		args       []string
		networks   int
	}{
		{"default", "", nil, 8}, {"flag", "", []string{"--metrics-from="}, 0}, {"null", "metrics-from:", nil, 8}, {"text", "metrics-from: ''", nil, 0},
		{"list", "metrics-from: []", nil, 0}, {"two", "metrics-from: [192.0.2.1, 10.0.0.0/8]", nil, 2}, {"flag over file", "metrics-from: ''", []string{"--metrics-from=::1"}, 1},
	} {
		writeFile(t, file, c.yaml)
		s, err := serveSettings(t, append([]string{"serve", "--config=" + file}, c.args...), nil)
		if err != nil || len(s.MetricsFrom) != c.networks {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	writeFile(t, file, "http: ''")
	if s, err := serveSettings(t, []string{"serve", "--config=" + file}, nil); err != nil || s.HTTP != ":8080" {
		t.Errorf("an address that is empty: %q, %v", s.HTTP, err)
	}
	if _, err := serveSettings(t, []string{"serve", "--metrics-from=here"}, nil); err == nil || !strings.Contains(err.Error(), `"here" is not an address`) {
		t.Errorf("no address: %v", err)
	}
}

func TestLimitSettings(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // part of the error; "" for none
	}{
		{[]string{"--address-connections=0", "--address-rate=0", "--address-rooms=0"}, ""},
		{[]string{"--address-rooms=-1"}, "must not be negative"},
		{[]string{"--max-connections=-1"}, "must not be negative"},
		{[]string{"--max-rooms=0"}, "at least 1"},
		{[]string{"--open-rooms=somebody"}, "everybody"},
		{[]string{"--exempt=somewhere"}, "is not an address"},
		{[]string{"--exempt=10.0.0.0/33"}, "is not an address"},
		{[]string{"--exempt=fe80::1%eth0"}, "is not an address"},
		{[]string{"--exempt=192.0.2.1, 2001:db8::/32"}, ""},
		{[]string{"--rooms=.."}, "a letter or digit first"},
		{[]string{"--rooms=a/b"}, "a letter or digit first"},
	} {
		s, err := serveSettings(t, append([]string{"serve"}, tt.args...), nil)
		if err == nil {
			err = checked(s)
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestExempt(t *testing.T) {
	for _, tt := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{nil, nil, "127.0.0.0/8,::1/128"},
		{[]string{"--exempt="}, nil, ""},
		{[]string{"--exempt", ""}, nil, ""},
		{[]string{"--exempt=10.1.2.3/8,::ffff:192.0.2.1, ::ffff:192.0.3.0/120,2001:db8::1/64"}, nil, "10.0.0.0/8,192.0.2.1/32,192.0.3.0/24,2001:db8::/64"},
		{nil, map[string]string{"FOYER_EXEMPT": "192.0.2.1"}, "192.0.2.1/32"},
	} {
		s, err := serveSettings(t, append([]string{"serve"}, tt.args...), tt.env)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		if got := s.Limits.Exempt.String(); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.args, got, tt.want)
		}
	}
}

func TestReservedNicksSetting(t *testing.T) {
	var reserved nick.Reserved
	for _, c := range []struct {
		arg  string
		want []string
		err  string
	}{
		{"--reserved-nicks=", nil, ""},
		{"--reserved-nicks=boss, Ren\u0065\u0301 ,", []string{"boss", "Ren\u00e9"}, ""},
		{"--reserved-nicks=a\u200bb", nil, "Nickname has control or invisible characters."},
	} {
		s, err := serveSettings(t, []string{"serve", c.arg}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := checked(s); c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+q: %v, want %q", c.arg, err, c.err)
		} else if c.err == "" && !cmp.Equal(s.People.ReservedNicks, c.want) {
			t.Errorf("%+q: got %q", c.arg, s.People.ReservedNicks)
		} else if reserved.Set(s.People.ReservedNicks); reserved.Has("B0SS") != (len(c.want) > 0) {
			t.Errorf("%+q: B0SS is reserved: %v", c.arg, reserved.Has("B0SS"))
		}
	}
}

func TestMaxBitrateSetting(t *testing.T) {
	for text, want := range map[string]node.Bitrate{
		"": 50e6, "50M": 50e6, "50Mbit/s": 50e6, "8000000": 8e6, "0": 0, "2.5 Mbit/s": 2.5e6, "800k": 800e3, "1Gbps": 1e9, "64kbit": 64e3,
		"-1": -1, "fast": -1, "5X": -1, "NaN": -1, "5MB": -1, "1kM": -1, "9999999999G": -1,
	} {
		var args []string
		if text != "" {
			args = []string{"serve", "--max-bitrate=" + text}
		}
		s, err := serveSettings(t, args, nil)
		if (err != nil) != (want < 0) || err == nil && s.MaxBitrate != want {
			t.Errorf("%q: %v, want %d", text, err, want)
		}
	}
}

func TestStoreSettings(t *testing.T) {
	for _, c := range []struct {
		arg              string
		reserve, objects node.Size
		err              string
	}{
		{"--disk-reserve=64MiB", 64 << 20, 1 << 30, ""},
		{"--disk-reserve=0", 0, 1 << 30, ""},
		{"--max-objects=20MB", 64 << 20, 20e6, ""},
		{"--max-objects=0", 0, 0, "--max-objects must be at least 1B"},
	} {
		s, err := serveSettings(t, []string{"serve", c.arg}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := checked(s); c.err != "" || err != nil {
			if err == nil || c.err == "" || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.arg, err, c.err)
			}
			continue
		}
		if s.Store.DiskReserve != c.reserve || s.Store.MaxObjects != c.objects {
			t.Errorf("%s: %d, %d", c.arg, s.Store.DiskReserve, s.Store.MaxObjects)
		}
	}
}

// A file of a secret that has nothing in it is refused: a secret that nobody else
// has would be made instead.
func TestEmptySecretFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	writeFile(t, file, "\n")
	for _, name := range []string{"FOYER_NODE_SECRET_FILE", "FOYER_NATS_FILE"} {
		_, err := serveSettings(t, []string{"serve"}, map[string]string{name: file})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "is empty") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The address of NATS has a password in it, so it can come from a file as
// secrets do.
func TestNATSFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	writeFile(t, file, "tls://node1:hush@a:4222,tls://node1:hush@b:4222\n")
	s, err := serveSettings(t, []string{"serve"}, map[string]string{"FOYER_NATS_FILE": file, "FOYER_NATS_CA": "ca.pem"})
	if err != nil {
		t.Fatal(err)
	}
	if string(s.NATS) != "tls://node1:hush@a:4222,tls://node1:hush@b:4222" || s.NATSCA != "ca.pem" {
		t.Errorf("got %q, %q", string(s.NATS), s.NATSCA)
	}
}

func TestTLSAutoSettings(t *testing.T) {
	for _, c := range []struct{ flags, want string }{
		{"--tls-auto=a.example --tls-cert=c --tls-key=k", "give only one of them"},
		{"--acme-directory=https://x/", "name the hosts"}, {"--acme-ca=x", "name the hosts"},
		{"--tls-auto=*.example.org", "--tls-auto"}, {"--tls-auto=192.0.2.1", "--tls-auto"}, {"--tls-auto=https://a.example", "--tls-auto"},
		{"--tls-auto=a.example --acme-directory=example.org", "--acme-directory"},
	} {
		s, err := serveSettings(t, append([]string{"serve"}, strings.Split(c.flags, " ")...), nil)
		if err != nil {
			t.Errorf("%s: %v", c.flags, err)
			continue
		}
		if err := checked(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.flags, err)
		}
	}
	s, err := serveSettings(t, []string{"serve", "--tls-auto=a.example,b.example", "--rtmps=:1936"}, nil)
	if err != nil || checked(s) != nil {
		t.Fatal("the right ones are refused, too")
	}
	missing := []string{"--data=" + t.TempDir(), "--rtmp=127.0.0.1:0", "--http=127.0.0.1:0", "--tls-auto=a.example", "--acme-ca=missing.pem"}
	var out strings.Builder
	if status := Main(t.Context(), missing, nil, strings.NewReader(""), &out, &out); status != exitFailed || !strings.Contains(out.String(), "reading the authority's certificate") {
		t.Errorf("without the authority's certificate: %d %s", status, out.String())
	}
}
