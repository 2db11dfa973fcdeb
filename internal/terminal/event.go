package terminal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// An event is something that happened in a room, as join shows it. Which
// fields count depends on Type:
//
//	message  ID, At, User, Text
//	removed  ID: a moderator removed that message
//	notice   Text: the operator speaks
//	join     User
//	leave    User
//	rename   User, Old: the nick before
//	people   Users: everybody in the room, told once for each connection
//	title    Text
//	topic    Text
//	gap      some messages before the next one are missing: the room has them no longer
//	status   Code, Level, Text: the connection; RetryAfter: when it is tried again;
//	         URL: where it leads, when there is a new one
//	refused  Text: the line that was not said, Reason, RetryAfter
//
// Times are milliseconds: At since 1970, RetryAfter from now.
type event struct {
	Type       string   `json:"type"`
	ID         float64  `json:"id,omitzero"`
	At         float64  `json:"at,omitzero"`
	User       *person  `json:"user,omitzero"`
	Users      []person `json:"users,omitzero"`
	Old        string   `json:"old,omitzero"`
	Code       string   `json:"code,omitzero"`
	Level      string   `json:"level,omitzero"`
	Text       string   `json:"text,omitzero"`
	Reason     string   `json:"reason,omitzero"`
	URL        string   `json:"url,omitzero"`
	RetryAfter float64  `json:"retryAfter,omitzero"`
}

// A person is a user of a room.
type person struct {
	ID    string  `json:"id"`
	Nick  string  `json:"nick"`
	Role  string  `json:"role,omitzero"`
	Since float64 `json:"since,omitzero"`
	Via   string  `json:"via,omitzero"`
}

func parsePerson(v amf.Value) person {
	return person{
		ID: text(v, "id"), Nick: text(v, "nick"), Role: text(v, "role"),
		Since: number(v, "since"), Via: text(v, "via"),
	}
}

func parseMessage(v amf.Value) event {
	user := parsePerson(amf.Lookup(v, "user"))
	return event{Type: "message", ID: number(v, "id"), At: number(v, "at"), User: &user, Text: text(v, "text")}
}

// statusEvent is a status of the connection as an event.
func statusEvent(s *rtmp.StatusError) event {
	return event{Type: "status", Code: s.Code, Level: cmp.Or(s.Level, "error"), Text: s.Description}
}

func text(v amf.Value, name string) string {
	s, _ := amf.AsString(amf.Lookup(v, name))
	return s
}

func number(v amf.Value, name string) float64 {
	f, _ := amf.AsNumber(amf.Lookup(v, name))
	return f
}

// String is the event as a line for people.
func (e event) String() string {
	switch e.Type {
	case "message":
		return fmt.Sprintf("%s <%s> %s", e.clock(), Plain(e.User.Nick), Plain(e.Text))
	case "removed":
		return fmt.Sprintf("* message %.0f was removed", e.ID)
	case "notice":
		return "! " + Plain(e.Text)
	case "join":
		return fmt.Sprintf("* %s came", Plain(e.User.Nick))
	case "leave":
		return fmt.Sprintf("* %s left", Plain(e.User.Nick))
	case "rename":
		return fmt.Sprintf("* %s is now %s", Plain(e.Old), Plain(e.User.Nick))
	case "people":
		nicks := make([]string, len(e.Users))
		for i, u := range e.Users {
			nicks[i] = Plain(u.Nick)
		}
		return "* here: " + strings.Join(nicks, ", ")
	case "title", "topic":
		return fmt.Sprintf("* %s: %s", e.Type, Plain(e.Text))
	case "gap":
		return "* some messages in between are no longer kept"
	case "refused":
		return fmt.Sprintf("* not said: %s%s: %s", Plain(e.Reason), e.again(), Plain(e.Text))
	}
	return fmt.Sprintf("* %s%s", Plain(cmp.Or(e.Text, e.Code)), e.again())
}

// clock is the time of day of the event.
func (e event) clock() string { return time.UnixMilli(int64(e.At)).Format("15:04:05") }

// again says when it is tried again, if it is.
func (e event) again() string {
	if e.RetryAfter <= 0 {
		return ""
	}
	d := time.Duration(e.RetryAfter * float64(time.Millisecond))
	return fmt.Sprintf(" (again in %v)", max(d.Round(100*time.Millisecond), 100*time.Millisecond))
}

// Plain is s without characters that could steer a terminal or turn the direction
// of a line.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case unicode.IsControl(r), '\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069':
			return '\ufffd'
		}
		return r
	}, s)
}

// byNick sorts people as a list of names.
func byNick(people map[string]person) []person {
	list := make([]person, 0, len(people))
	for _, p := range people {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b person) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Nick), strings.ToLower(b.Nick)), cmp.Compare(a.ID, b.ID))
	})
	return list
}
