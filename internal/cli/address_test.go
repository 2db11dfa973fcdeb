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
	} {
		got, err := c.read(c.text)
		_, usage := errors.AsType[*usageError](err)
		if got != c.want || usage != (c.err != "") || usage && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %q, %v; want %q, %q", c.text, got, err, c.want, c.err)
		}
	}
}
