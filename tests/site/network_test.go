package site

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A network is some machines that see nothing but each other: each is a network
// namespace, and so is the switch between them. Nothing of it
// is in the network of this process.
type network struct {
	t     *testing.T
	name  string // what the names of its namespaces begin with
	hosts int
}

// newNetwork makes one; it is gone when the test has ended. Without the right to
// do so the test is skipped, except in CI, where it fails.
func newNetwork(t *testing.T, hosts int) *network {
	t.Helper()
	n := &network{t: t, name: fmt.Sprintf("foyer-test-%d-", os.Getpid()), hosts: hosts}
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", n.name+"switch").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI, but there can be no network namespace: %v: %s", err, out)
		}
		t.Skipf("there can be no network namespace (it takes root, and ip of iproute2): %v: %s", err, out)
	}
	t.Cleanup(func() { n.remove(n.name + "switch") })
	n.ip("-n", n.name+"switch", "link", "add", "switch", "type", "bridge")
	n.ip("-n", n.name+"switch", "link", "set", "switch", "up")
	for i := range hosts {
		n.ip("netns", "add", n.host(i))
		t.Cleanup(func() { n.remove(n.host(i)) })
		n.ip("-n", n.name+"switch", "link", "add", n.port(i), "type", "veth", "peer", "name", "eth0", "netns", n.host(i))
		n.ip("-n", n.name+"switch", "link", "set", n.port(i), "up")
		n.ip("-n", n.host(i), "addr", "add", n.addr(i)+"/24", "dev", "eth0")
		n.ip("-n", n.host(i), "link", "set", "lo", "up")
		n.ip("-n", n.host(i), "link", "set", "eth0", "up")
		n.plug(i)
	}
	return n
}

func (n *network) host(i int) string { return fmt.Sprintf("%s%d", n.name, i+1) }
func (n *network) addr(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }
func (n *network) port(i int) string { return fmt.Sprintf("port%d", i+1) }

// plug puts a host's wire into the switch. Unplug pulls it out there: the host
// does not notice, its packets just go nowhere.
func (n *network) plug(i int) {
	n.ip("-n", n.name+"switch", "link", "set", n.port(i), "master", "switch")
}
func (n *network) unplug(i int) { n.ip("-n", n.name+"switch", "link", "set", n.port(i), "nomaster") }

func (n *network) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (n *network) remove(namespace string) {
	if out, err := exec.Command("ip", "netns", "del", namespace).CombinedOutput(); err != nil {
		n.t.Errorf("ip netns del %s: %v: %s", namespace, err, out)
	}
}

// command is a command that runs on a host.
func (n *network) command(i int, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.host(i)}, args...)...)
}

// start starts a command that the end of the test kills.
func (n *network) start(cmd *exec.Cmd) {
	n.t.Helper()
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// wayIn opens a way from here to a port of a host, and returns where it begins.
// It comes out on that host: a connection through it gets there, whatever is
// unplugged.
func (n *network) wayIn(i, port int) string {
	n.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	cmd := n.command(i, "foyer-way-in", fmt.Sprintf("%s:%d", n.addr(i), port))
	cmd.ExtraFiles = []*os.File{f}
	if _, err := cmd.StdinPipe(); err != nil { // ends with this process
		n.t.Fatal(err)
	}
	n.start(cmd)
	return ln.Addr().String()
}

// wayIn is the command foyer-way-in: it runs on a host and takes connections
// from a listener that it was given, of another network.
func wayIn() {
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	there := &front{nodes: os.Args[1:]}
	go func() { // until the process ends
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go there.pass(context.Background(), conn) // until one of its sides ends
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}

// startNATS starts a NATS server on each host, as deploy has them, with the
// secrets that deploy makes. It returns the settings by which each node reaches
// them.
func (n *network) startNATS() (flags [][]string) {
	n.t.Helper()
	server, secrets := filepath.Join(n.t.TempDir(), "nats-server"), filepath.Join(n.t.TempDir(), "secrets")
	if out, err := exec.CommandContext(n.t.Context(), "go", "build", "-o", server, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		n.t.Fatalf("building NATS: %v\n%s", err, out)
	}
	args := []string{"run", "foyer/deploy/secrets", secrets}
	for i := range n.hosts {
		args = append(args, n.addr(i))
	}
	if out, err := exec.CommandContext(n.t.Context(), "go", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("making the secrets: %v\n%s", err, out)
	}
	shipped, err := os.ReadFile(root + "deploy/nats.conf")
	if err != nil || strings.Count(string(shipped), "/data") != 1 {
		n.t.Fatalf("deploy/nats.conf has no folder /data: %v", err)
	}
	for i := range n.hosts {
		dir := n.t.TempDir()
		config := filepath.Join(dir, "nats.conf")
		if err := os.Symlink(filepath.Join(secrets, "nats"), filepath.Join(dir, "secrets")); err != nil {
			n.t.Fatal(err)
		}
		text := strings.NewReplacer("/data", dir, "/etc/nats/secrets", filepath.Join(dir, "secrets"), `"127.0.0.1:8222"`, "8222").Replace(string(shipped))
		for j := range n.hosts {
			text = strings.Replace(text, fmt.Sprintf("nats-route://nats%d:", j+1), "nats-route://"+n.addr(j)+":", 1)
		}
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			n.t.Fatal(err)
		}
		cmd := n.command(i, server, "--config", config)
		cmd.Env = append(os.Environ(), fmt.Sprintf("NATS_NAME=nats%d", i+1))
		cmd.Stderr = n.t.Output()
		n.start(cmd)
		own := filepath.Join(secrets, fmt.Sprintf("node%d", i+1))
		url, err := os.ReadFile(filepath.Join(own, "nats-url"))
		if err != nil {
			n.t.Fatal(err)
		}
		flags = append(flags, []string{"--nats=" + strings.TrimSpace(string(url)), "--nats-ca=" + filepath.Join(own, "ca.pem")})
	}
	return flags
}
