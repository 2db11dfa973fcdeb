package cli

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"foyer/internal/folder"
	"foyer/room"
	"foyer/store"
)

// settings are what a server can be told. A flag is stronger than the
// environment, which is stronger than the file, which is stronger than the
// default.
type settings struct {
	RTMP    string `group:"listen" default:":1935" placeholder:"ADDR" help:"Listen here for RTMP; port 0 picks a free one. Default: ${default}."`
	HTTP    string `name:"http" group:"listen" default:":8080" placeholder:"ADDR" help:"Listen here for browsers and the API. Default: ${default}."`
	RTMPS   string `group:"listen" placeholder:"ADDR" help:"Listen here for RTMP over TLS. Default: off."`
	TLSCert string `group:"listen" placeholder:"FILE" help:"Certificate (PEM) for --rtmps; with it, --http speaks https. It is read again within a minute when it changes."`
	TLSKey  string `group:"listen" placeholder:"FILE" help:"Key of the certificate (PEM)."`

	tlsSettings   `embed:""`
	adminSettings `embed:""`

	Apps  []string `group:"rooms" default:"lobby,room" placeholder:"APP" help:"What this process hosts, so that lobby and rooms can run on separate servers. Default: ${default}."`
	Mount []string `group:"rooms" default:"chapter4" placeholder:"PATH" help:"Extra leading paths: rtmp://h/${default}/lobby is rtmp://h/lobby. Default: ${default}."`
	Rooms []string `group:"rooms" placeholder:"NAME" help:"Rooms to start at once and never stop. Any other starts when somebody first connects to it."`
	Lobby string   `group:"rooms" placeholder:"URL" help:"The lobby that the rooms here report to. Default: the one of this server."`

	Publish string `group:"rooms" default:"takeover" enum:"takeover,reject" help:"When somebody publishes, with the right key, what is published already: takeover or reject. Default: ${default}."`

	Elsewhere string `group:"rooms" default:"serve" enum:"serve,redirect" help:"What becomes of an RTMP client whose room runs on another node: serve it from here, or redirect it there. Default: ${default}."`

	MaxUsers int `group:"rooms" default:"1000" placeholder:"N" help:"How many people with a nick a room holds. Default: ${default}."`

	People peopleSettings `embed:""`
	Store  storeSettings  `embed:""`

	Record      []string `group:"rooms" placeholder:"ROOM" help:"Rooms to record: all, or their names. A broadcast becomes an FLV file in the folder recordings of --data. Moderators can have others recorded."`
	RecordLimit size     `group:"rooms" placeholder:"SIZE" help:"What all recordings together may take, as in 500MB or 20GB; the oldest are removed for new ones. Default: no limit."`

	Limits limitSettings `embed:""`

	Idle       time.Duration `group:"rooms" default:"30s" placeholder:"TIME" help:"When a room or lobby without clients stops. Default: ${default}."`
	StaleAfter time.Duration `group:"rooms" default:"15s" placeholder:"TIME" help:"When a room without a report is stale. Default: ${default}."`
	GoneAfter  time.Duration `group:"rooms" default:"30s" placeholder:"TIME" help:"How much later it is gone. Default: ${default}."`
	Drain      time.Duration `group:"rooms" default:"10s" placeholder:"TIME" help:"How long stopping may take. People are asked to come back in a moment; who has not left by then is cut off. With nobody in, it takes no time. Default: ${default}."`
	Grace      time.Duration `group:"rooms" default:"30s" placeholder:"TIME" help:"How long viewers wait for a broadcast whose connection broke, before it is over. 0s: not at all. Default: ${default}."`

	LobbySecret folder.Secret `group:"secrets" placeholder:"SECRET" help:"Password between rooms and lobby. Default: made at first start."`
	AdminToken  folder.Secret `group:"secrets" placeholder:"SECRET" help:"Makes moderators and operators. Default: made at first start."`
	// The keys to publish with follow from it.
	StreamSecret folder.Secret `group:"secrets" placeholder:"SECRET" help:"The rooms' publishing keys are made of it; servers that share it have the same. Default: made at first start."`
	proofSettings
	Publishing publishingSettings `embed:""`
	Data       string             `group:"secrets" default:"foyer-data" placeholder:"DIR" help:"Folder of the secrets and of all that is kept. Default: ${default}."`

	NATS       natsURL       `name:"nats" group:"secrets" placeholder:"URL" help:"A NATS with JetStream to keep things in and to be one site with other servers, as in nats://a:4222,nats://b:4222. Default: one in this process, its files in the folder store of --data."`
	NATSCA     string        `name:"nats-ca" group:"secrets" placeholder:"FILE" help:"Certificates (PEM) of who signs those of --nats, for tls:// addresses. Default: the system's."`
	Sync       store.Sync    `group:"secrets" default:"auto" placeholder:"WHEN" help:"When what is stored is safe from a power loss: always before it is answered, or at most a second later. With --nats, that is set there. Default: auto, which is always on a disk that can do 300 a second."`
	History    int           `group:"secrets" default:"2000" placeholder:"N" help:"How many messages of a room's chat are kept. Default: ${default}."`
	HistoryAge time.Duration `group:"secrets" default:"720h" placeholder:"TIME" help:"How long they are kept. Default: ${default}."`

	Node       string `group:"self" default:"${node}" placeholder:"NAME" help:"Name of this process. Default: the host name."`
	NodeRTMP   string `name:"node-rtmp" group:"self" placeholder:"URL" help:"Where the other servers of --nats reach this one, as in rtmp://10.0.0.3:1935. Default: its host name and port."`
	PublicRTMP string `group:"self" placeholder:"URL" help:"Where others reach this server by RTMP, as in rtmp://live.example.org. Default: a guess."`
	PublicHTTP string `group:"self" placeholder:"URL" help:"Where others reach its pages, as in https://live.example.org. Default: a guess."`
	addrSettings

	LogLevel  string `group:"log" default:"" enum:",debug,info,warn,error" placeholder:"LEVEL" help:"debug, info, warn or error. Default: info; warn for a demo on a terminal."`
	LogFormat string `group:"log" default:"" enum:",text,json" placeholder:"FORMAT" help:"text or json. Default: text on a terminal, else json."`
	Assets    string `group:"log" placeholder:"DIR" help:"Serve the pages from this folder, for work on them. Default: the ones built in."`

	Config string `group:"settings" placeholder:"FILE" help:"YAML file with any of these settings, named as the flags are without the dashes in front."`
}

// helpGroups are the headings of the settings in the help.
var helpGroups = []kong.Group{
	{Key: "demo", Title: "The demo:"},
	{Key: "listen", Title: "Where it listens:"},
	{Key: "rooms", Title: "Lobby and rooms:"},
	{Key: "limits", Title: "What strangers may have:"},
	{Key: "secrets", Title: "Secrets and storage:"},
	{Key: "self", Title: "How others see it:"},
	{Key: "log", Title: "Logging and work on the pages:"},
	{Key: "settings", Title: "Settings from elsewhere:", Description: "SIGHUP has a server read them again, and ends nobody: it takes over what a running server can, and names the rest in its log. Every flag can be given in the environment, as FOYER_ and its name (FOYER_STALE_AFTER=20s), the secrets also as a file (FOYER_LOBBY_SECRET_FILE=/run/secrets/lobby)."},
}

// check refuses settings that contradict each other, and tidies the rest.
func (s *settings) check() error {
	for _, app := range s.Apps {
		if app != "lobby" && app != "room" {
			return usagef("--apps: %q is not an application; there are lobby and room", app)
		}
	}
	switch {
	case len(s.Apps) == 0:
		return usagef("--apps: name lobby, room or both")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return usagef("--tls-cert and --tls-key belong together: give both")
	case s.RTMPS != "" && !s.secure():
		return usagef("--rtmps needs --tls-cert and --tls-key, or --tls-auto")
	case len(s.Rooms) > 0 && !s.hosts("room"):
		return usagef("--rooms needs the application room: add it to --apps")
	case slices.ContainsFunc(s.Rooms, func(name string) bool { return !room.ValidName(name) }):
		return usagef("--rooms: the name of a room has 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first")
	case slices.ContainsFunc(s.Mount, func(path string) bool { return strings.ContainsFunc(path, unicode.IsSpace) }):
		return usagef("--mount: a path has no spaces")
	case s.MaxUsers < 1:
		return usagef("--max-users must be at least 1")
	case len(s.Record) > 0 && !s.hosts("room"):
		return usagef("--record needs the application room: add it to --apps")
	case s.Idle <= 0 || s.StaleAfter <= 0 || s.GoneAfter <= 0:
		return usagef("--idle, --stale-after and --gone-after must be longer than nothing")
	case s.History < 1 || s.HistoryAge < time.Minute:
		return usagef("--history must be at least 1, --history-age at least 1m")
	case s.Grace < 0:
		return usagef("--grace must not be less than nothing")
	case s.Drain < 0:
		return usagef("--drain must not be less than nothing")
	}
	if err := s.tlsSettings.check(s.TLSCert); err != nil {
		return err
	}
	if err := s.adminSettings.check(); err != nil {
		return err
	}
	if err := s.Limits.check(); err != nil {
		return err
	}
	for _, l := range []struct{ flag, addr string }{{"--rtmp", s.RTMP}, {"--http", s.HTTP}, {"--rtmps", s.RTMPS}} {
		if !listenable(l.addr) {
			return usagef("%s: %q is not an address to listen at such as :1935 or 127.0.0.1:1935", l.flag, l.addr)
		}
	}
	for _, name := range s.Record {
		if !room.ValidName(name) {
			return usagef("--record: %q is not the name of a room: 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first, or all for every room", name)
		}
	}
	if err := cmp.Or(s.Store.check(), s.People.check(), s.addrSettings.check(), s.checkPublic()); err != nil {
		return err
	}
	if s.Lobby != "" && !isRTMP(s.Lobby) {
		return usagef("--lobby: %q is not an absolute address such as rtmp://host/lobby", s.Lobby)
	}
	if s.NodeRTMP != "" && !isRTMP(s.NodeRTMP) {
		return usagef("--node-rtmp: %q is not an absolute address such as rtmp://host:1935", s.NodeRTMP)
	}
	return s.proofSettings.check(s.NATS)
}

// listenable reports whether a text has the form of an address to listen at.
func listenable(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	return addr == "" || err == nil
}

// isRTMP reports whether a text begins as an absolute RTMP address does.
func isRTMP(uri string) bool {
	return strings.HasPrefix(uri, "rtmp://") || strings.HasPrefix(uri, "rtmps://")
}

// secure reports whether there is TLS.
func (s *settings) secure() bool { return s.TLSCert != "" || len(s.TLSAuto) > 0 }

func (s *settings) hosts(app string) bool { return slices.Contains(s.Apps, app) }

// level is the one of the log; unset is used when none is set.
func (s *settings) level(unset slog.Level) slog.Level {
	if s.LogLevel != "" {
		unset.UnmarshalText([]byte(s.LogLevel)) // one of the enum
	}
	return unset
}

// logger makes the log that the settings ask for; its level may change.
func (p *program) logger(s *settings, unset slog.Level) *slog.Logger {
	p.unset = unset
	p.level.Set(s.level(unset))
	return s.logger(p.stderr, &p.level)
}

func (s *settings) logger(w io.Writer, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" || s.LogFormat == "" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// isTerminal reports whether w, a reader or a writer, is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A natsURL is where a NATS is. It may have a password in it, which never shows
// in a log.
type natsURL string

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *natsURL) UnmarshalText(text []byte) error {
	for address := range strings.SplitSeq(string(text), ",") {
		parsed, err := url.Parse(strings.TrimSpace(address))
		if err != nil || parsed.Host == "" || !portCanBe(parsed.Port()) || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, parsed.Scheme) {
			return fmt.Errorf("an address is not one such as nats://host:4222 or tls://user:password@host:4222")
		}
	}
	*u = natsURL(text)
	return nil
}

// portCanBe reports whether a URL's port is one, or left out.
func portCanBe(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

// LogValue implements slog.LogValuer.
func (u natsURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText keeps its secrets out of JSON, inside a struct too.
func (u natsURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// String keeps its secrets out of %v; convert to string for its value.
func (u natsURL) String() string {
	if u == "" {
		return ""
	}
	return store.Redacted(string(u))
}

// A size is a number of bytes, written with a unit.
type size int64

// sizeUnits are the units of a size; the longest that fits is meant.
var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) error {
	for _, unit := range sizeUnits {
		number, ok := cutSuffixFold(strings.TrimSpace(string(text)), unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(n >= 0) || n*unit.bytes >= 1<<62 {
			break
		}
		*s = size(n * unit.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size such as 500MB or 20GB", text)
}

func cutSuffixFold(s, suffix string) (before string, ok bool) {
	i := len(s) - len(suffix)
	if i < 0 || !strings.EqualFold(s[i:], suffix) {
		return s, false
	}
	return s[:i], true
}
