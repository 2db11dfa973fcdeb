package node

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// defaultPorts are those of URLs without one.
var defaultPorts = map[string]string{"rtmp": "1935", "rtmps": "443", "http": "80", "https": "443"}

// CheckListen refuses an address at which nothing can listen, and says how to
// write it. port is the usual one there.
func CheckListen(flag, addr, port string) error {
	if wrong := wrongAddress(addr, port); wrong != "" {
		return fmt.Errorf("%s: %q is not an address to listen at%s", flag, addr, wrong)
	}
	return nil
}

// wrongAddress is what is wrong with an address to listen at, as the end of a
// sentence; "" when it is right.
func wrongAddress(addr, port string) string {
	host, given, err := net.SplitHostPort(addr)
	_, lookup := net.LookupPort("tcp", given)
	last := max(strings.LastIndex(addr, ":"), 0)
	switch {
	case addr == "":
		return ": say :" + port
	case strings.ContainsAny(addr, `"'`):
		return ": leave out the quotation marks around it"
	case strings.Contains(addr, "://"):
		return " but a URL: say " + fromURL(addr, port)
	case isNumber(addr):
		return ": a port has a colon in front: say :" + addr
	case isIPv6(addr):
		return ": it needs brackets and a port: say [" + addr + "]:" + port
	case err != nil && isIPv6(addr[:last]):
		return ": it needs brackets: say [" + addr[:last] + "]" + addr[last:]
	case err != nil && !strings.ContainsAny(addr, ":[]/ "), err == nil && given == "" && host != "":
		return ": the port is missing: say " + cmp.Or(host, addr) + ":" + port
	case err == nil && host == "*":
		return ": for every address of this machine say :" + given
	case err == nil && isNumber(given) && lookup != nil:
		return ": the highest port is 65535"
	case err != nil || lookup != nil || given == "" || strings.ContainsAny(host, "/ "):
		return fmt.Sprintf(" such as :%s or 127.0.0.1:%s", port, port)
	}
	return ""
}

// collide reports whether only one of two addresses can be listened at.
func collide(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	everywhere := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "" || ip != nil && ip.IsUnspecified()
	}
	return portA == portB && portA != "" && portA != "0" && (hostA == hostB || everywhere(hostA) || everywhere(hostB))
}

// fromURL is the address to listen at that somebody means who gives a URL.
func fromURL(text, port string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ":" + port
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), defaultPorts[u.Scheme], port))
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 64)
	return err == nil
}

func isIPv6(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Is6()
}

// What Windows says for EADDRINUSE and EADDRNOTAVAIL.
const (
	wsaAddrInUse    = syscall.Errno(10048)
	wsaAddrNotAvail = syscall.Errno(10049)
)

// lowPorts are those that need a right on most systems.
const lowPorts = 1024

// cannotListen says why nothing can listen at an address, and what to do.
func cannotListen(flag, addr string, err error) error {
	host, port, _ := net.SplitHostPort(addr)
	number, _ := net.LookupPort("tcp", port)
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, wsaAddrInUse):
		return fmt.Errorf("another program listens at %s: address already in use (choose another address with %s)", addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, wsaAddrNotAvail):
		return fmt.Errorf("this machine does not have the address %s: choose one of its own with %s, or all of them with :%s", host, flag, port)
	case unknown:
		return fmt.Errorf("there is no host %s to listen at: choose another address with %s, or all of this machine with :%s", host, flag, port)
	case errors.Is(err, fs.ErrPermission) && number < lowPorts:
		return fmt.Errorf("this user may not listen at port %d: %schoose a port from %d on with %s", number, howToAllow(number), lowPorts, flag)
	}
	return fmt.Errorf("%w (choose another address with %s)", err, flag)
}

// howToAllow says how a port below lowPorts can be listened at, where that can be
// said in a line.
func howToAllow(port int) string {
	if runtime.GOOS != "linux" {
		return ""
	}
	program, err := os.Executable()
	if err != nil {
		program = "foyer"
	}
	return fmt.Sprintf("allow this program to, with 'sudo setcap cap_net_bind_service=+ep %s', or everybody, with 'sudo sysctl net.ipv4.ip_unprivileged_port_start=%d' (a container has --sysctl for that), or ", program, port)
}
