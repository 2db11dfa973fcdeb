package lobby

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// Names that the lobby and its clients share.
const (
	MethodReport   = "report"   // room → lobby
	MethodRooms    = "rooms"    // anyone → lobby
	MethodTrends   = "trends"   // anyone → lobby
	MethodView     = "view"     // anyone → lobby
	MethodSums     = "sums"     // this process → lobby
	MethodWhere    = "where"    // this process → lobby
	MethodAnnounce = "announce" // operator → lobby, and lobby → rooms
	ObjectRooms    = "rooms"    // the shared object with a slot per room
)

// Values of Entry.State. A room that is neither is gone: not listed.
const (
	StateLive  = "live"
	StateStale = "stale"
)

// Bounds of a status. Longer texts are cut, and larger numbers brought down to the
// bound: a status of any size makes an entry of at most 16 KiB.
const (
	MaxName    = 64  // bytes of a room's name
	MaxTitle   = 100 // code points
	MaxTopic   = 300 // code points
	MaxAbout   = 500 // code points of a description
	MaxLang    = 35  // bytes of a language tag: BCP 47 §4.4.1
	MaxTags    = 10
	MaxTag     = 32 // code points
	MaxStreams = 16
	MaxNode    = 128     // code points
	MaxAddress = 512     // bytes of the addresses rtmp and http; a longer one is none
	MaxCount   = 1 << 30 // users, viewers …
	MaxWhole   = 1 << 53 // epoch, seq and times: a number holds no larger ones exactly
)

// Status is the report of a room, its whole state. Times are milliseconds since 1970.
type Status struct {
	Epoch             float64  `json:"epoch"` // grows when the room restarts
	Seq               float64  `json:"seq"`   // grows within an epoch
	Title             string   `json:"title"`
	Topic             string   `json:"topic"`
	Tags              []string `json:"tags"`
	Users             int      `json:"users"`      // with a nick
	Spectators        int      `json:"spectators"` // without one, who neither publish nor play
	Viewers           int      `json:"viewers"`    // clients that play a stream
	Publishers        int      `json:"publishers"` // clients that publish one
	MessagesPerMinute float64  `json:"messagesPerMinute"`
	Activity          float64  `json:"activity"` // 0 to 1
	LastActive        float64  `json:"lastActive"`
	Live              bool     `json:"live"` // something is being published
	Streams           []string `json:"streams"`
	Capacity          int      `json:"capacity"`
	Locked            bool     `json:"locked"`
	Unlisted          bool     `json:"unlisted"`
	Node              string   `json:"node"`
	RTMP              string   `json:"rtmp"` // full addresses of the room
	HTTP              string   `json:"http"`
	Restarting        bool     `json:"restarting,omitempty"` // its server is about to stop; left out when it is not

	// The fields below are left out when they are empty.
	Language    string  `json:"language,omitempty"` // a tag of BCP 47
	Description string  `json:"description,omitempty"`
	Access      string  `json:"access,omitempty"` // one of accesses
	Pinned      bool    `json:"pinned,omitempty"` // it comes first
	Opens       float64 `json:"opens,omitempty"`
	Closes      float64 `json:"closes,omitempty"`
}

// accesses are the values of Status.Access: to everybody, to talk only with a pass, or
// only with a pass.
var accesses = []string{"open", "talk", "pass"}

// Entry is a room as the lobby lists it.
type Entry struct {
	Name   string  `json:"name"`
	State  string  `json:"state"` // StateLive or StateStale
	Since  float64 `json:"since"` // when it was first listed
	Status         // what it reported last
}

// member is a named field of a status or an entry, by its pointer.
type member struct {
	name string
	dst  any // *string, *float64, *int, *bool or *[]string
}

// members lists what travels, in the order of the wire.
func (s *Status) members() []member {
	return []member{
		{"epoch", &s.Epoch}, {"seq", &s.Seq}, {"title", &s.Title}, {"topic", &s.Topic}, {"tags", &s.Tags},
		{"users", &s.Users}, {"spectators", &s.Spectators}, {"viewers", &s.Viewers}, {"publishers", &s.Publishers},
		{"messagesPerMinute", &s.MessagesPerMinute}, {"activity", &s.Activity}, {"lastActive", &s.LastActive},
		{"live", &s.Live}, {"streams", &s.Streams}, {"capacity", &s.Capacity},
		{"locked", &s.Locked}, {"unlisted", &s.Unlisted},
		{"node", &s.Node}, {"rtmp", &s.RTMP}, {"http", &s.HTTP}, {"restarting", &s.Restarting},
		{"language", &s.Language}, {"description", &s.Description}, {"access", &s.Access}, {"pinned", &s.Pinned},
		{"opens", &s.Opens}, {"closes", &s.Closes},
	}
}

// rare are the members that do not travel when they are zero.
var rare = map[string]bool{
	"restarting": true, "language": true, "description": true, "access": true, "pinned": true, "opens": true, "closes": true,
}

func (e *Entry) members() []member {
	return append([]member{{"name", &e.Name}, {"state", &e.State}, {"since", &e.Since}}, e.Status.members()...)
}

// Value returns s as it travels.
func (s Status) Value() amf.Object { return object(s.members()) }

// Value returns e as it travels: name, state and since, then the status.
func (e Entry) Value() amf.Object { return object(e.members()) }

// SeenFrom returns e for anyone who came to this site by host: addresses that say
// localhost have that host ([guard.SeenFrom]).
func (e Entry) SeenFrom(host string) Entry {
	e.RTMP, e.HTTP = guard.SeenFrom(e.RTMP, host), guard.SeenFrom(e.HTTP, host)
	return e
}

// ParseStatus reads a status. A member that is missing, null or undefined is
// zero, unknown ones are skipped, and numbers and texts are brought within
// their bounds. A member of another type is an error that names it.
func ParseStatus(v amf.Value) (Status, error) {
	var s Status
	if err := parse(v, s.members()); err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	s.clean()
	return s, nil
}

// ParseEntry reads an entry by the rules of ParseStatus.
func ParseEntry(v amf.Value) (Entry, error) {
	var e Entry
	if err := parse(v, e.members()); err != nil {
		return Entry{}, fmt.Errorf("entry: %w", err)
	}
	e.Name, e.State, e.Since = text(e.Name, MaxName), text(e.State, MaxName), whole(e.Since, MaxWhole)
	e.Status.clean()
	return e, nil
}

// ValidName reports whether name may be the name of a room or of a stream.
func ValidName(name string) bool { return server.ValidName(name) }

func object(ms []member) amf.Object {
	o := make(amf.Object, 0, len(ms))
	for _, m := range ms {
		if rare[m.name] && reflect.ValueOf(m.dst).Elem().IsZero() {
			continue
		}
		var v amf.Value
		switch p := m.dst.(type) {
		case *float64:
			v = amf.Number(*p)
		case *int:
			v = amf.Number(*p)
		case *bool:
			v = amf.Bool(*p)
		case *string:
			v = amf.String(*p)
		case *[]string:
			list := make(amf.StrictArray, len(*p))
			for i, s := range *p {
				list[i] = amf.String(s)
			}
			v = list
		}
		o = append(o, amf.Field{Name: m.name, Value: v})
	}
	return o
}

// errNotValue is the error of raw bytes that are no value.
var errNotValue = errors.New("not a value")

func parse(v amf.Value, ms []member) error {
	v, ok := decoded(v)
	if !ok {
		return errNotValue
	}
	switch v.(type) {
	case amf.Object, amf.ECMAArray, *amf.TypedObject:
	default:
		return fmt.Errorf("want an object, got %s", kind(v))
	}
	for _, m := range ms {
		if err := m.parse(amf.Lookup(v, m.name)); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

func (m member) parse(v amf.Value) error {
	v, ok := decoded(v)
	if !ok {
		return errNotValue
	}
	if none(v) {
		return nil
	}
	switch p := m.dst.(type) {
	case *float64:
		if n, ok := v.(amf.Number); ok {
			*p = float64(n)
			return nil
		}
		return fmt.Errorf("want a number, got %s", kind(v))
	case *int:
		if n, ok := v.(amf.Number); ok {
			*p = int(whole(float64(n), MaxCount))
			return nil
		}
		return fmt.Errorf("want a number, got %s", kind(v))
	case *bool:
		if b, ok := v.(amf.Bool); ok {
			*p = bool(b)
			return nil
		}
		return fmt.Errorf("want a boolean, got %s", kind(v))
	case *string:
		if s, ok := v.(amf.String); ok {
			*p = string(s)
			return nil
		}
		return fmt.Errorf("want a string, got %s", kind(v))
	case *[]string:
		return m.parseList(p, v)
	}
	panic("lobby: member of a type without a rule")
}

// parseList reads a strict array, or the ECMA array that peers with AMF3 or ActionScript
// send instead.
func (m member) parseList(p *[]string, v amf.Value) error {
	var items []amf.Value
	switch v := v.(type) {
	case amf.StrictArray:
		items = v
	case amf.ECMAArray:
		for _, f := range v {
			if f.Name != "length" {
				items = append(items, f.Value)
			}
		}
	default:
		return fmt.Errorf("want an array, got %s", kind(v))
	}
	for i, item := range items {
		item, _ := decoded(item)
		s, ok := item.(amf.String)
		if !ok {
			return fmt.Errorf("item %d: want a string, got %s", i, kind(item))
		}
		*p = append(*p, string(s))
	}
	return nil
}

// clean brings s within its bounds. Both ends do it: a lobby lists only what is safe to
// show, and a page is safe with any lobby.
func (s *Status) clean() {
	s.Epoch, s.Seq, s.LastActive = whole(s.Epoch, MaxWhole), whole(s.Seq, MaxWhole), whole(s.LastActive, MaxWhole)
	s.MessagesPerMinute = whole(s.MessagesPerMinute, MaxCount)
	if s.Activity = math.Min(s.Activity, 1); !(s.Activity > 0) { // also not-a-number
		s.Activity = 0
	}
	s.Title, s.Topic, s.Node = text(s.Title, MaxTitle), text(s.Topic, MaxTopic), text(s.Node, MaxNode)
	s.Tags, s.Streams = list(s.Tags, MaxTags, MaxTag), list(s.Streams, MaxStreams, MaxName)
	s.RTMP, s.HTTP = address(s.RTMP, "rtmp"), address(s.HTTP, "http")
	s.Description, s.Opens, s.Closes = text(s.Description, MaxAbout), whole(s.Opens, MaxWhole), whole(s.Closes, MaxWhole)
	if len(s.Language) > MaxLang || !languageTag.MatchString(s.Language) {
		s.Language = ""
	}
	if !slices.Contains(accesses, s.Access) {
		s.Access = ""
	}
}

// languageTag is the form of a tag: BCP 47 §2.1.
var languageTag = regexp.MustCompile("^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")

// whole returns x as a whole number between 0 and max.
func whole(x, max float64) float64 {
	if !(x > 0) { // also not-a-number
		return 0
	}
	return math.Min(math.Floor(x), max)
}

// text returns s as one line of at most max code points.
func text(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	n := 0
	for i := range s {
		if n++; n > max {
			s = s[:i]
			break
		}
	}
	return strings.TrimSpace(s)
}

// list returns the first max texts that are not empty; never nil.
func list(in []string, max, size int) []string {
	out := make([]string, 0, min(len(in), max))
	for _, s := range in {
		if s = text(s, size); s != "" && len(out) < max {
			out = append(out, s)
		}
	}
	return out
}

// address returns s if it is an absolute address of that scheme, plain or over TLS, and
// names no user. Pages make links of it, so anything else becomes "".
func address(s, scheme string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > MaxAddress || u.Hostname() == "" || u.User != nil || u.Scheme != scheme && u.Scheme != scheme+"s" {
		return ""
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return ""
	}
	return s
}

// decoded returns v, or the value in it if it is Raw.
func decoded(v amf.Value) (amf.Value, bool) {
	raw, ok := v.(amf.Raw)
	if !ok {
		return v, true
	}
	v, err := amf.Parse(raw)
	return v, err == nil
}

// none reports whether v is missing, null or undefined.
func none(v amf.Value) bool {
	switch v.(type) {
	case nil, amf.Null, amf.Undefined:
		return true
	}
	return false
}

// kind names the type of v for people.
func kind(v amf.Value) string {
	switch v.(type) {
	case nil, amf.Null, amf.Undefined:
		return "nothing"
	case amf.Number:
		return "a number"
	case amf.Bool:
		return "a boolean"
	case amf.String:
		return "a string"
	case amf.Object, *amf.TypedObject:
		return "an object"
	case amf.ECMAArray, amf.StrictArray:
		return "an array"
	}
	return fmt.Sprintf("%T", v)
}
