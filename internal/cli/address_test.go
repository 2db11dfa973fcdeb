package cli

import (
	"errors"
	"strings"
	"testing"
)

// An address is taken as people type it, or refused with what to type.
func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		read       func(string) (string, error)
		text, want string
		err        string // part of it
	}{
		{roomAddress, "blue", "rtmp://localhost/room/blue", ""},
		{roomAddress, "rtmp://h/room/blue", "rtmp://h/room/blue", ""},
		{roomAddress, " 'rtmp://h/room/blue' ", "rtmp://h/room/blue", ""},
		{roomAddress, "h:1936/room/blue", "rtmp://h:1936/room/blue", ""},
		{roomAddress, "h/room/blue", "rtmp://h/room/blue", ""},
		{roomAddress, "rtmp://h:1936/", "", "names no room: say rtmp://h:1936/room/NAME"},
		{roomAddress, "two words", "", "nor its name: 1 to 64 of"},
		{roomAddress, "", "", "neither the address of a room"},
		{roomAddress, "rtmp:/h/room/blue", "", "too few slashes"},
		{roomAddress, "rtmp:///room/blue", "", "is not an address such as rtmp://HOST/room/NAME"},
		{roomAddress, "rtmpt://h/room/blue", "", "is not an address such as rtmp://HOST/room/NAME"},
		{roomAddress, "rtmp://h:99999/room/blue", "", "there is no port 99999"},
		{roomAddress, "rtmp://h:x/room/blue", "", "is not an address"},
		{roomAddress, "http://h:8080/room/blue", "", "is an address of the web: by RTMP it is rtmp://h/room/blue, unless"},
		{roomAddress, "https://h/chat/room/blue?pass=x", "", "rtmp://h/room/blue,"},
		{roomAddress, "ws://[::1]:8080/ws/room/blue", "", "rtmp://[::1]/room/blue,"},
		{roomAddress, "http://h:8080", "", "rtmp://h/room/NAME,"},

		{lobbyAddress, "rtmp://h", "rtmp://h/lobby", ""},
		{lobbyAddress, "rtmp://h:1936/", "rtmp://h:1936/lobby", ""},
		{lobbyAddress, "rtmps://h/chapter4/lobby", "rtmps://h/chapter4/lobby", ""},
		{lobbyAddress, "h", "rtmp://h/lobby", ""},
		{lobbyAddress, "h:1936", "rtmp://h:1936/lobby", ""},
		{lobbyAddress, "[::1]:1936", "rtmp://[::1]:1936/lobby", ""},
		{lobbyAddress, "http://h:8080/", "", "rtmp://h/lobby, unless"},
		{lobbyAddress, "", "", "is not an address such as rtmp://HOST/lobby"},

		{webAddress, "http://h:8080", "http://h:8080", ""},
		{webAddress, "h:8080 ", "http://h:8080", ""},
		{webAddress, "h", "http://h", ""},
		{webAddress, ":8080", "http://:8080", ""},
		{webAddress, "https://h/readyz", "https://h/readyz", ""},
		{webAddress, "8080", "", "is a port: say http://127.0.0.1:8080"},
		{webAddress, "rtmp://h:1935", "", "that of the web is http://h:8080, unless"},
		{webAddress, "h:99999", "", "is not a web address such as http://host:8080"},
		{webAddress, "http://", "", "is not a web address"},
		{webAddress, "ftp://h", "", "is not a web address"},
		{webAddress, "http://h:1 /x", "", "is not a web address"},
	} {
		got, err := c.read(c.text)
		_, usage := errors.AsType[*usageError](err)
		if got != c.want || usage != (c.err != "") || usage && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %q, %v; want %q, %q", c.text, got, err, c.want, c.err)
		}
	}
}

// The name of a room is taken with blanks around it, and its address is told from
// it.
func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"blue": "", " blue ": "", "rtmp://h/room/blue": "its name is needed: say blue", "a b": "is not the name of a room: 1 to 64", "": "is not the name", "rtmp://h/room/a/b": "is not the name",
	} {
		given := name
		err := checkName(&given)
		if want == "" && (err != nil || given != strings.TrimSpace(name)) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %q, %v", name, given, err)
		}
	}
}
