package node

import (
	"cmp"
	"net"
	"net/url"
	"os"
	"strings"
)

// LobbyOf is the lobby that an address means: the one of the server, when that is
// all that it names.
func LobbyOf(uri string) string {
	if u, err := url.Parse(uri); err != nil || strings.Trim(u.Path, "/") != "" || u.Host == "" {
		return uri
	}
	return strings.TrimRight(uri, "/") + "/lobby"
}

// RTMP is the RTMP address of this node, for this machine.
func (n *Node) RTMP() string {
	return "rtmp://" + Loopback(n.rtmp.Addr().String(), portNumber(n.rtmp))
}

// publicRTMP is where others reach this node by RTMP: as set, or as guessed.
func (n *Node) publicRTMP() string {
	return cmp.Or(n.settings.PublicRTMP, n.guess("rtmp", n.settings.RTMP, n.rtmp))
}

// publicHTTP is where others reach its pages: as set, or as guessed.
func (n *Node) publicHTTP() string {
	scheme := "http"
	if n.settings.secure() {
		scheme = "https"
	}
	return cmp.Or(n.settings.PublicHTTP, n.guess(scheme, n.settings.HTTP, n.http))
}

// guess guesses the public address of a listener: the first host that there are
// certificates for, or as [GuessPublic].
func (n *Node) guess(scheme, listen string, ln net.Listener) string {
	if len(n.settings.TLSAuto) > 0 {
		listen = net.JoinHostPort(n.settings.TLSAuto[0], "0")
	}
	return GuessPublic(scheme, listen, portNumber(ln))
}

// GuessPublic guesses the address that others should use for a listener at that
// address: its name if it has one, else localhost.
func GuessPublic(scheme, listen, port string) string {
	host, _, _ := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.Equal(net.IPv4(127, 0, 0, 1)) || ip.Equal(net.IPv6loopback)) {
		host = "localhost"
	}
	if (map[string]string{"rtmp": "1935", "http": "80", "https": "443"})[scheme] != port {
		return scheme + "://" + net.JoinHostPort(host, port)
	}
	if net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil {
		host = "[" + host + "]"
	}
	return scheme + "://" + host
}

// portNumber is the port that ln really listens at.
func portNumber(ln net.Listener) string {
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// nodeRTMP is where other nodes reach this one: as set, or as guessed.
func (n *Node) nodeRTMP() string {
	if n.settings.NodeRTMP != "" {
		return n.settings.NodeRTMP
	}
	host, port, _ := net.SplitHostPort(n.rtmp.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return "rtmp://" + net.JoinHostPort(host, port)
}

// Loopback is how this machine reaches a listener of its own at that address: the
// address for everybody is also the loopback's.
func Loopback(listen, port string) string {
	host, _, _ := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
