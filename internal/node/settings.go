package node

import (
	"net/url"
	"slices"
	"time"

	"foyer/internal/folder"
	"foyer/store"
	"foyer/web"
)

// Settings are what a server can be told. A flag is stronger than the
// environment, which is stronger than the file, which is stronger than the
// default.
type Settings struct {
	RTMP    string `group:"listen" default:":1935" placeholder:"ADDR" help:"Listen here for RTMP; port 0 picks a free one. Default: ${default}."`
	HTTP    string `name:"http" group:"listen" default:":8080" placeholder:"ADDR" help:"Listen here for browsers and the API. Default: ${default}."`
	RTMPS   string `group:"listen" placeholder:"ADDR" help:"Listen here for RTMP over TLS. Default: off."`
	TLSCert string `group:"listen" placeholder:"FILE" help:"Certificate (PEM) for --rtmps; with it, --http speaks https. It is read again within a minute when it changes."`
	TLSKey  string `group:"listen" placeholder:"FILE" help:"Key of the certificate (PEM)."`

	TLSSettings   `embed:""`
	AdminSettings `embed:""`

	Apps  []string `group:"rooms" default:"lobby,room" placeholder:"APP" help:"The applications that this process hosts; lobby and rooms can run on separate servers. Default: ${default}."`
	Mount []string `group:"rooms" default:"chapter4" placeholder:"PATH" help:"Extra leading paths: rtmp://h/${default}/lobby is rtmp://h/lobby. Default: ${default}."`
	Rooms []string `group:"rooms" placeholder:"NAME" help:"Rooms to start at once and never stop. Any other starts when somebody first connects to it."`
	Lobby string   `group:"rooms" placeholder:"URL" help:"The lobby that the rooms here report to. Default: the one of this server."`

	Publish string `group:"rooms" default:"takeover" enum:"takeover,reject" help:"When somebody publishes, with the right key, a stream that is already being published: takeover or reject. Default: ${default}."`

	Elsewhere string `group:"rooms" default:"serve" enum:"serve,redirect,relay" help:"What to do with an RTMP client whose room runs on another node of --nats: serve it from here, or redirect it there. Without --nats, clients are led to the server where the lobby here lists the room; with relay they are served from here, browsers too, if both servers have the same --node-secret. Default: ${default}."`

	MaxUsers int `group:"rooms" default:"1000" placeholder:"N" help:"How many people with a nick a room holds. Default: ${default}."`

	People PeopleSettings `embed:""`
	Store  StoreSettings  `embed:""`

	Record      []string `group:"rooms" placeholder:"ROOM" help:"Rooms to record: all, or their names. A broadcast becomes an FLV file in the folder recordings of --data. Moderators can have others recorded."`
	RecordLimit Size     `group:"rooms" placeholder:"SIZE" help:"How much all recordings together may take, as in 500MB or 20GB; the oldest are removed for new ones. Default: no limit."`

	Limits LimitSettings `embed:""`

	Idle       time.Duration `group:"rooms" default:"30s" placeholder:"TIME" help:"How long a room or lobby keeps running without clients. Default: ${default}."`
	StaleAfter time.Duration `group:"rooms" default:"15s" placeholder:"TIME" help:"How long after its last report a room is stale. Default: ${default}."`
	GoneAfter  time.Duration `group:"rooms" default:"30s" placeholder:"TIME" help:"How long after that it is gone. Default: ${default}."`
	Drain      time.Duration `group:"rooms" default:"10s" placeholder:"TIME" help:"How long stopping may take. People are asked to come back in a moment; anyone who has not left by then is cut off. With nobody connected, it takes no time. Default: ${default}."`
	Grace      time.Duration `group:"rooms" default:"30s" placeholder:"TIME" help:"How long viewers wait for a broadcast whose connection broke, before it is over. 0s: not at all. Default: ${default}."`
	MaxBitrate Bitrate       `group:"rooms" default:"50Mbit/s" placeholder:"RATE" help:"The most that one broadcast may send, averaged over ten seconds, as in 50M or 50Mbit/s; a faster one is ended. 0: no limit. Default: ${default}."`

	LobbySecret folder.Secret `group:"secrets" placeholder:"SECRET" help:"Password between rooms and lobby. Default: made at first start."`
	AdminToken  folder.Secret `group:"secrets" placeholder:"SECRET" help:"Makes moderators and operators. Default: made at first start."`
	// The keys to publish with follow from it.
	StreamSecret folder.Secret `group:"secrets" placeholder:"SECRET" help:"The rooms' publishing keys are made from it; servers that share it have the same keys. Default: made at first start."`
	NodeSecret   folder.Secret `group:"secrets" placeholder:"SECRET" help:"What the servers of --nats share, and prove to each other that they know; needed with --nats. Default: made at first start."`
	Data         string        `group:"secrets" default:"foyer-data" placeholder:"DIR" help:"Folder of the secrets and of all that is kept. Default: ${default}."`

	NATS       NATSURL       `name:"nats" group:"secrets" placeholder:"URL" help:"A NATS with JetStream to keep things in and to be one site with other servers, as in nats://a:4222,nats://b:4222. Default: one in this process, its files in the folder store of --data."`
	NATSCA     string        `name:"nats-ca" group:"secrets" placeholder:"FILE" help:"Certificates (PEM) of the authority that signs those of --nats, for tls:// addresses. Default: the system's."`
	Sync       store.Sync    `group:"secrets" default:"auto" placeholder:"WHEN" help:"When something stored is safe from a power loss: always before it is acknowledged, or at most a second later. With --nats, that is set there. Default: auto, which is always on a disk that can do 300 a second."`
	History    int           `group:"secrets" default:"2000" placeholder:"N" help:"How many messages of a room's chat are kept. Default: ${default}."`
	HistoryAge time.Duration `group:"secrets" default:"720h" placeholder:"TIME" help:"How long they are kept. Default: ${default}."`

	Node       string `group:"self" default:"${node}" placeholder:"NAME" help:"Name of this process. Default: the host name."`
	NodeRTMP   string `name:"node-rtmp" group:"self" placeholder:"URL" help:"Where the other servers of --nats reach this one, as in rtmp://10.0.0.3:1935. Default: its host name and port."`
	PublicRTMP string `group:"self" placeholder:"URL" help:"Where others reach this server by RTMP, as in rtmp://live.example.org. Default: a guess."`
	PublicHTTP string `group:"self" placeholder:"URL" help:"Where others reach its pages, as in https://live.example.org, or https://example.org/foyer where a proxy has them below a path. Default: a guess."`
	AddrSettings

	LogLevel  string `group:"log" default:"" enum:",debug,info,warn,error" placeholder:"LEVEL" help:"debug, info, warn or error. Default: info; warn for a demo on a terminal."`
	LogFormat string `group:"log" default:"" enum:",text,json" placeholder:"FORMAT" help:"text or json. Default: text on a terminal, else json."`
	Assets    string `group:"log" placeholder:"DIR" help:"Serve the pages from this folder, for work on them. Default: the ones built in."`

	Config string `group:"settings" placeholder:"FILE" help:"YAML file with any of these settings, named as the flags are without the dashes in front."`
}

// TLSSettings say where certificates come from when there are no files of them.
type TLSSettings struct {
	TLSAuto       []string `name:"tls-auto" group:"listen" placeholder:"HOST" help:"Get certificates for these host names and renew them: --http speaks https, and --rtmps can be used. Port 443 of the hosts must lead to --http, as with --http :443. They are kept in the folder acme of --data. Default: off."`
	ACMEDirectory string   `name:"acme-directory" group:"listen" placeholder:"URL" help:"Another authority to get them from. Default: Let's Encrypt."`
	ACMECA        string   `name:"acme-ca" group:"listen" placeholder:"FILE" help:"Certificates (PEM) that vouch for that authority's server. Default: as the system has them."`
}

// AdminSettings say where operators ask, and which addresses may see figures.
type AdminSettings struct {
	Admin       string   `group:"listen" placeholder:"ADDR" help:"Listen here for operators: /metrics, /debug/pprof and all of the API that needs the admin token. --http then answers 404 to those. Default: off."`
	MetricsFrom Networks `group:"listen" default:"127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fe80::/10,fc00::/7" placeholder:"CIDR" help:"Addresses that need no admin token for /metrics, and for /debug/pprof of --admin. Empty: nobody. Default: loopback and private ones, unless a proxy brings others from there."`
}

// LimitSettings say how much one address, and all strangers together, may have.
type LimitSettings struct {
	MaxConnections     int      `group:"limits" placeholder:"N" help:"All connections together. Default: as many as this process may open files, minus some for the store."`
	AddressConnections int      `group:"limits" default:"100" placeholder:"N" help:"Connections of one address (IPv4, or IPv6 /64) at a time. 0: no limit. Default: ${default}."`
	AddressRate        int      `group:"limits" default:"300" placeholder:"N" help:"New connections of one address: so many at once, and in each minute. 0: no limit. Default: ${default}."`
	AddressRooms       int      `group:"limits" default:"5" placeholder:"N" help:"Rooms that one address opened and that still run. 0: no limit. Default: ${default}."`
	Exempt             Networks `group:"limits" default:"127.0.0.0/8,::1" placeholder:"CIDR" help:"Addresses to which the limits for addresses do not apply. Empty: nobody. Default: ${default}."`
	OpenRooms          string   `group:"limits" default:"everybody" enum:"everybody,pass,nobody" placeholder:"WHO" help:"Who may open a room that does not exist yet: everybody, pass (anyone who shows the admin token) or nobody. Rooms of --rooms exist, and so do those of which something is kept. Default: ${default}."`
	MaxRooms           int      `group:"limits" default:"10000" placeholder:"N" help:"Rooms at a time. The lobby and --rooms always have a place. Default: ${default}."`
}

// PeopleSettings say which nicks people may have.
type PeopleSettings struct {
	ReservedNicks []string `group:"rooms" default:"admin,administrator,moderator,mod,operator,owner,system,server,foyer" placeholder:"NICK" help:"Nicks that need the admin token, and so do those that look like them. Empty: none. Default: ${default}."`
}

// StoreSettings bound what is kept.
type StoreSettings struct {
	DiskReserve Size `group:"secrets" default:"64MiB" placeholder:"SIZE" help:"How much of the disk of --data must stay free: with less, nothing more is stored until there is space. 0: none. Default: ${default}."`
	MaxObjects  Size `group:"secrets" default:"1GiB" placeholder:"SIZE" help:"How much the persistent shared objects of all rooms may take together. Default: ${default}."`
}

// AddrSettings say by which addresses and names this server knows others, and is
// known to them.
type AddrSettings struct {
	TrustedProxies Networks `group:"self" placeholder:"CIDR" help:"Addresses of proxies in front of this server, as in 127.0.0.1 or 10.0.0.0/8. They say where their clients come from: by X-Forwarded-For, X-Forwarded-Proto and Forwarded, and by a PROXY header on any port. Default: none."`
	Origins        []string `group:"self" placeholder:"ORIGIN" help:"Other sites whose pages may connect to this server, as in https://example.org. Those of --public-http always may."`
	AllowedHosts   []string `group:"self" placeholder:"HOST" help:"The only names by which browsers may ask for this server, for one inside a network. Default: any."`
}

// secure reports whether the server speaks TLS.
func (s *Settings) secure() bool { return s.TLSCert != "" || len(s.TLSAuto) > 0 }

// Hosts reports whether an application runs here.
func (s *Settings) Hosts(app string) bool { return slices.Contains(s.Apps, app) }

// reserve is the DiskReserve in the words of the store.
func (s *StoreSettings) reserve() int64 {
	if s.DiskReserve == 0 {
		return -1
	}
	return int64(s.DiskReserve)
}

// access is whose pages may connect, and which hosts may be asked for.
func (s *Settings) access() web.Access {
	origins := s.Origins
	if u, err := url.Parse(s.PublicHTTP); err == nil && u.Host != "" {
		origins = append([]string{u.Scheme + "://" + u.Host}, origins...)
	}
	return web.Access{Origins: origins, Hosts: s.AllowedHosts}
}
