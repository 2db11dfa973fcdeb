package lobby

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"foyer/server"
	"foyer/server/amf"
	"foyer/server/guard"
)

// MaxAnnouncement is how long an announcement may be, in code points.
const MaxAnnouncement = 500

// MaxAnswer is how many rooms the method rooms answers at most.
const MaxAnswer = 500

// query says which rooms are wanted, and in which order.
type query struct {
	text, tag, sort string
	language        string // BCP 47: this one, or one that begins with it
	name            string // only this room
	after           string // only rooms behind this one
	live, unlisted  bool
	open            bool // only rooms that anybody may enter now
	limit           float64
}

// orders are the values of query.sort. In each, pinned rooms come first, and equal ones
// are ordered by name.
var orders = map[string]func(a, b *room) int{
	"activity": func(a, b *room) int {
		return cmp.Or(cmp.Compare(b.status.Activity, a.status.Activity), cmp.Compare(b.status.Users, a.status.Users))
	},
	"users": func(a, b *room) int {
		return cmp.Or(cmp.Compare(b.status.Users, a.status.Users), cmp.Compare(b.status.Activity, a.status.Activity))
	},
	"name":   func(a, b *room) int { return cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) },
	"newest": func(a, b *room) int { return b.since.Compare(a.since) },
}

// rooms answers the entries that match the query. This process may ask for one more
// than others may, to see whether there are more.
func (l *Lobby) rooms(from *server.Client, args amf.Args) (amf.Value, error) {
	q, err := parseQuery(args.At(0))
	if err != nil {
		return nil, server.Fail("The query cannot be read: " + err.Error() + ".")
	}
	most := MaxAnswer
	if from.Local() {
		most++
	}
	if q.limit > 0 {
		most = min(most, int(q.limit))
	}
	found := l.find(q, isOperator(from) || from.Local() && q.unlisted)
	found = found[:min(len(found), most)]
	entries, host := make(amf.StrictArray, len(found)), guard.HostOf(from.URI())
	for i, r := range found {
		entries[i] = r.entryFrom(host)
	}
	return entries, nil
}

// A Place says on which server a listed room is.
type Place struct {
	Entry
	NodeRTMP string // where other servers of this site reach that server; "": they cannot
	Own      bool   // the room knows only its own password
}

// ParsePlace reads the answer of the method where; nil: the room is not listed.
func ParsePlace(v amf.Value) (*Place, error) {
	if none(v) {
		return nil, nil
	}
	e, err := ParseEntry(v)
	p := &Place{Entry: e}
	p.NodeRTMP, _ = amf.AsString(amf.Lookup(v, "nodeRtmp"))
	p.Own, _ = amf.AsBool(amf.Lookup(v, "own"))
	return p, err
}

// where answers this process alone: the [Place] of a room, or null.
func (l *Lobby) where(from *server.Client, args amf.Args) (amf.Value, error) {
	if !from.Local() {
		return nil, server.Fail("Not allowed.")
	}
	name, _ := amf.AsString(args.At(0))
	r := l.shown(server.Fold(name))
	if r == nil {
		return amf.Null{}, nil
	}
	e := r.plain()
	e.Node = cmp.Or(e.Node, r.node)
	return append(e.Value(), amf.Field{Name: "own", Value: amf.Bool(r.own)}, amf.Field{Name: "nodeRtmp", Value: amf.String(r.nodeRTMP)}), nil
}

// find returns the rooms that match the query, in its order.
func (l *Lobby) find(q query, unlisted bool) (found []*room) {
	for _, r := range l.all() {
		if (unlisted || !r.status.Unlisted) && q.matches(r) {
			found = append(found, r)
		}
	}
	order := orders[q.sort]
	compare := func(a, b *room) int {
		return cmp.Or(pinnedFirst(a, b), order(a, b), cmp.Compare(a.name, b.name))
	}
	slices.SortFunc(found, compare)
	if q.after == "" {
		return found
	}
	last := l.shown(server.Fold(q.after)) // it has a place even if it no longer matches
	if last == nil || last.status.Unlisted && !unlisted {
		if q.sort != "name" {
			return found // it is gone, and with it its place
		}
		last = &room{name: q.after}
	}
	i, same := slices.BinarySearchFunc(found, last, compare)
	if same {
		i++
	}
	return found[i:]
}

func pinnedFirst(a, b *room) int {
	switch {
	case a.status.Pinned == b.status.Pinned:
		return 0
	case a.status.Pinned:
		return -1
	}
	return 1
}

func parseQuery(v amf.Value) (query, error) {
	q := query{sort: "activity"}
	if none(v) {
		return q, nil
	}
	err := parse(v, []member{
		{"text", &q.text}, {"tag", &q.tag}, {"live", &q.live}, {"sort", &q.sort}, {"limit", &q.limit}, {"unlisted", &q.unlisted},
		{"name", &q.name}, {"after", &q.after}, {"language", &q.language}, {"open", &q.open},
	})
	if err != nil {
		return query{}, err
	}
	if orders[q.sort] == nil {
		return query{}, fmt.Errorf("sort: want activity, users, name or newest, got %q", text(q.sort, MaxTag))
	}
	if q.limit != whole(q.limit, MaxCount) {
		return query{}, fmt.Errorf("limit: want a whole number, got %v", q.limit)
	}
	q.text = strings.ToLower(strings.TrimSpace(q.text))
	return q, nil
}

func (q query) matches(r *room) bool {
	if q.name != "" && !strings.EqualFold(r.name, q.name) {
		return false
	}
	if q.live && !r.status.Live || q.open && !r.status.isOpen(time.Now()) || !r.status.speaks(q.language) {
		return false
	}
	if q.tag != "" && !slices.ContainsFunc(r.status.Tags, func(tag string) bool { return strings.EqualFold(tag, q.tag) }) {
		return false
	}
	texts := append([]string{r.name, r.status.Title, r.status.Topic}, r.status.Tags...)
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), q.text) })
}

// isOpen reports whether anybody may enter the room.
func (s Status) isOpen(now time.Time) bool {
	at := float64(now.UnixMilli())
	full := s.Capacity > 0 && s.Users >= s.Capacity
	return !s.Locked && !full && s.Access != "pass" && at >= s.Opens && (s.Closes == 0 || at < s.Closes)
}

// speaks reports whether the room's language is the wanted one or begins with it,
// subtag by subtag: RFC 4647 §3.3.1. "" wants any.
func (s Status) speaks(wanted string) bool {
	has, want := strings.ToLower(s.Language), strings.ToLower(wanted)
	return want == "" || has == want || strings.HasPrefix(has, want+"-")
}

// announce tells every room something for its people, and answers how many rooms there
// are. The web API calls it as this process, after it has checked the token.
func (l *Lobby) announce(from *server.Client, args amf.Args) (amf.Value, error) {
	if !isOperator(from) && !from.Local() {
		return nil, server.Fail("Not allowed.")
	}
	said, ok := amf.AsString(args.At(0))
	if !ok {
		return nil, server.Fail("The announcement must be a string.")
	}
	said = strings.TrimSpace(strings.ToValidUTF8(said, ""))
	switch n := utf8.RuneCountInString(said); {
	case n == 0:
		return nil, server.Fail("The announcement is empty.")
	case n > MaxAnnouncement:
		return nil, server.Fail(fmt.Sprintf("The announcement is longer than %d characters: it has %d.", MaxAnnouncement, n))
	case strings.ContainsFunc(said, unicode.IsControl):
		return nil, server.Fail("The announcement has control characters.")
	}
	l.tellRooms(said)
	rooms := len(l.roomList) + l.spread(said)
	l.log.Info("announcement made", "client", from.ID(), "rooms", rooms)
	return amf.Object{{Name: "rooms", Value: amf.Number(rooms)}}, nil
}

// tellRooms makes an announcement to the rooms that are connected here.
func (l *Lobby) tellRooms(said string) {
	push := &server.Push{Method: MethodAnnounce, Args: []amf.Value{amf.String(said)}}
	for _, client := range l.roomList {
		client.Push(push)
	}
}

// Sums add up all rooms on the list.
type Sums struct {
	Live, Stale                            int // rooms
	Users, Spectators, Viewers, Publishers int // in all of them
	Present                                int // users of live rooms: those of stale ones are not known
	MessagesPerMinute                      float64
}

// members lists what travels.
func (s *Sums) members() []member {
	return []member{
		{"live", &s.Live}, {"stale", &s.Stale}, {"users", &s.Users}, {"spectators", &s.Spectators}, {"viewers", &s.Viewers},
		{"publishers", &s.Publishers}, {"present", &s.Present}, {"messagesPerMinute", &s.MessagesPerMinute},
	}
}

// ParseSums reads the answer of the method sums.
func ParseSums(v amf.Value) (Sums, error) {
	var s Sums
	if err := parse(v, s.members()); err != nil {
		return Sums{}, fmt.Errorf("sums: %w", err)
	}
	return s, nil
}

// sums answers this process alone. The argument says whether unlisted rooms count.
func (l *Lobby) sums(from *server.Client, args amf.Args) (amf.Value, error) {
	if !from.Local() {
		return nil, server.Fail("Not allowed.")
	}
	unlisted, _ := args.At(0).(amf.Bool)
	var s Sums
	for _, r := range l.all() {
		if r.status.Unlisted && !bool(unlisted) {
			continue
		}
		if r.state == StateLive {
			s.Live++
			s.Present += r.status.Users
		} else {
			s.Stale++
		}
		s.Users += r.status.Users
		s.Spectators += r.status.Spectators
		s.Viewers += r.status.Viewers
		s.Publishers += r.status.Publishers
		s.MessagesPerMinute += r.status.MessagesPerMinute
	}
	return object(s.members()), nil
}
