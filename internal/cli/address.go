package cli

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"foyer/internal/node"
	"foyer/room"
	"foyer/server/rtmp"
)

// Examples of addresses.
const (
	roomExample  = "rtmp://HOST/room/NAME"
	lobbyExample = "rtmp://HOST/lobby"
)

// roomAddress is the address of a room that may be given by its name only.
func roomAddress(text string) (string, error) {
	switch {
	case room.ValidName(text):
		return "rtmp://localhost/room/" + text, nil
	case !strings.Contains(text, "/"):
		return "", usagef("%q is neither the address of a room, such as %s, nor its name: %s", text, roomExample, node.RoomNames)
	}
	uri, err := rtmpAddress(text, roomExample)
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(uri); err == nil && strings.Trim(u.Path, "/") == "" {
		return "", usagef("%q names no room: say %s://%s/room/NAME", uri, u.Scheme, u.Host)
	}
	return uri, nil
}

// lobbyAddress is the address of a lobby that may be given by its server only.
func lobbyAddress(text string) (string, error) {
	uri, err := rtmpAddress(text, lobbyExample)
	if err != nil {
		return "", err
	}
	return node.LobbyOf(uri), nil
}

// rtmpAddress is the address that somebody means who types uri: what is around it
// goes, and rtmp:// comes in front where there is no scheme. example is an address
// of the right kind, for the error.
func rtmpAddress(uri, example string) (string, error) {
	uri = strings.Trim(strings.TrimSpace(uri), `"'<>`)
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case !ok && strings.Contains(uri, ":/"):
		return "", usagef("%q has too few slashes: the address is like %s", uri, example)
	case !ok:
		uri = "rtmp://" + uri
	case scheme == "http" || scheme == "https" || scheme == "ws" || scheme == "wss":
		host, path, _ := strings.Cut(rest, "/")
		return "", usagef("%q is an address of the web: by RTMP it is %s, unless the port there is another one than 1935", uri, onRTMP(host, path, example))
	}
	a, err := rtmp.ParseURI(uri)
	if err != nil {
		return "", usagef("%q is not an address such as %s", uri, example)
	}
	if _, port, _ := net.SplitHostPort(a.Host); !node.PortCanBe(port) {
		return "", usagef("%q: there is no port %s: the highest is 65535", uri, port)
	}
	return uri, nil
}

// onRTMP is an address of the web as one of RTMP: the same room, if it is that of
// a room, else the example at its host.
func onRTMP(host, path, example string) string {
	if u, err := url.Parse("//" + host); err == nil && u.Hostname() != "" {
		host = u.Hostname()
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
	}
	path, _, _ = strings.Cut(path, "?")
	if parts := strings.Split(strings.Trim(path, "/"), "/"); len(parts) > 1 && parts[len(parts)-2] == "room" {
		return "rtmp://" + host + "/room/" + parts[len(parts)-1]
	}
	return strings.Replace(example, "HOST", host, 1)
}

// webAddress is the address of a server's web side that somebody means who types
// text.
func webAddress(text string) (string, error) {
	text = strings.Trim(strings.TrimSpace(text), `"'<>`)
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		return "", usagef("%q is a port: say http://127.0.0.1:%s", text, text)
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err == nil && (u.Scheme == "rtmp" || u.Scheme == "rtmps") && u.Hostname() != "":
		return "", usagef("%q is an address of RTMP: that of the web is http://%s, unless the port there is another one", text, net.JoinHostPort(u.Hostname(), "8080"))
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", !node.PortCanBe(u.Port()):
		return "", usagef("%q is not a web address such as http://host:8080", text)
	}
	return text, nil
}

// checkName refuses what is not the name of a room, and takes the blanks around one
// away.
func checkName(name *string) error {
	*name = strings.TrimSpace(*name)
	if room.ValidName(*name) {
		return nil
	}
	if _, last, is := strings.Cut(*name, "/room/"); is && room.ValidName(last) {
		return usagef("%q is the address of a room, and its name is needed: say %s", *name, last)
	}
	return usagef("%q is not the name of a room: %s", *name, node.RoomNames)
}
