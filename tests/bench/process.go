//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The servers have one core to themselves, the load another.
const serverCore, loadCore = "0", "1"

// process is a server under measurement.
type process struct {
	name    string
	program string
	rtmp    string // host:port
	http    string
	app     string
	data    string // foyer's data folder
	cmd     *exec.Cmd
}

// start runs a program on the servers' core and waits until it listens.
func start(p *process, program string, args ...string) (*process, error) {
	p.program = program
	p.cmd = exec.Command("taskset", append([]string{"-c", serverCore, program}, args...)...)
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for range 500 {
		if nc, err := net.Dial("tcp", p.rtmp); err == nil {
			nc.Close()
			return p, p.ready()
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("%s does not listen at %s", p.name, p.rtmp)
}

func (p *process) ready() error {
	if p.http == "" {
		return nil
	}
	for range 500 {
		if r, err := http.Get("http://" + p.http + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("foyer does not get ready")
}

func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	done := time.AfterFunc(5*time.Second, func() { p.cmd.Process.Kill() })
	p.cmd.Wait()
	done.Stop()
}

// cpu returns the CPU time of the process, user and system.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory returns the process's resident memory in bytes.
func (p *process) memory() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return pages * os.Getpagesize()
}

// builder has the foyer binary, and starts servers on free ports.
type builder struct {
	dir  string
	args []string // of the command line, after the name of the measurement
}

func newBuilder(ctx context.Context) (*builder, error) {
	dir, err := os.MkdirTemp("", "foyer-bench-")
	if err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "foyer"), "foyer")
	build.Stderr = os.Stderr
	return &builder{dir: dir}, build.Run()
}

func (b *builder) close() { os.RemoveAll(b.dir) }

func freeAddr() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (b *builder) foyer(args ...string) (*process, error) {
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return nil, err
	}
	p := &process{name: "foyer", rtmp: freeAddr(), http: freeAddr(), app: "lobby", data: data}
	args = append([]string{"serve", "--rtmp", p.rtmp, "--http", p.http, "--data", data, "--log-level", "error"}, args...)
	return start(p, filepath.Join(b.dir, "foyer"), args...)
}

const nginxConfig = `
daemon off; master_process off; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;

load_module modules/ngx_rtmp_module.so;
events { worker_connections 32768; }
rtmp { server { listen %[2]s; ping 10s; ping_timeout 30s; access_log off; application live { live on; } %[3]s } }
`

// nginx runs nginx-rtmp with an additional line of settings.
func (b *builder) nginx(extra string) (*process, error) {
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return nil, err
	}
	p := &process{name: "nginx-rtmp", rtmp: freeAddr(), app: "live"}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, p.rtmp, extra), 0o600); err != nil {
		return nil, err
	}
	return start(p, "nginx", "-p", "/usr/share/nginx", "-c", config, "-e", dir+"/error.log")
}

// floor runs this program as a floor (see chat.go).
func (b *builder) floor(kind, value string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: "floor", rtmp: freeAddr()}
	return start(p, self, "floor", p.rtmp, kind, value)
}
