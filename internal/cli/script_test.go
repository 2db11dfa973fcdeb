package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"foyer/client"
	"foyer/internal/folder"
	"foyer/server/amf"
)

// patience is how long a script waits for something to happen.
const patience = time.Minute

// root is the folder of the repository.
const root = "../../"

// TestMain lets scripts run this program as the command foyer. They wait more
// than they work, so more of them run at once than there are processors.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	testscript.Main(m, map[string]func(){"foyer": foyer})
}

// foyer is the program, as main has it.
func foyer() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// TestScript runs the scripts of testdata/script, each against servers of its
// own on free ports. Beyond testscript's own commands they have
//
//	serve NAME FLAG...   start a server; $NAME_rtmp and $NAME_http are its addresses, $NAME_data its folder
//	demo NAME FLAG...    the same with the demo
//	start NAME ARG...    start foyer with those arguments, with its input held open
//	say NAME TEXT        write a line to its input
//	sees NAME REGEXP     wait until its output continues with that, after what was seen before
//	end NAME [STATUS]    close its input and wait for its end
//	halt NAME [STATUS]   SIGTERM, and wait for its end
//	crash NAME           SIGKILL
//	hangup NAME          SIGHUP
//	until URL REGEXP     wait until the answer matches; ! until: until it does not
//	status N PROGRAM...  run it to its end, which must be with that exit status
//	key VAR NAME ROOM    set $VAR to the key of a server's room
//	film FILE            write an FLV file of a fifth of a second
//	quiet NAME FILE...   fail if its output has what is in one of the files
//	stranger ...         run ffmpeg or rtmpdump as a room; see scriptStranger
//
// and the condition have:PROGRAM, which fails the script when CI=true.
func TestScript(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			procs := &processes{byName: make(map[string]*process)}
			env.Values["processes"] = procs
			env.Defer(procs.killAll)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each command otherwise
			return nil
		},
		Condition: have,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": scriptServe("serve"), "demo": scriptServe("demo"), "start": scriptStart, "say": scriptSay, "sees": scriptSees,
			"status": scriptStatus, "quiet": scriptQuiet, "stranger": scriptStranger, "key": scriptKey, "moderate": scriptModerate, "saw": scriptSaw, "film": scriptFilm,
			"end": scriptEnd, "halt": scriptHalt, "crash": scriptCrash, "hangup": scriptHangup, "until": scriptUntil,
		},
	})
}

// have is the condition have:PROGRAM.
func have(cond string) (bool, error) {
	name, ok := strings.CutPrefix(cond, "have:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			return false, fmt.Errorf("this test needs %s, and CI=true: %w", name, err)
		}
		return false, nil
	}
	return true, nil
}

// A process is one run of foyer.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	exited chan struct{} // closed when it has ended and its output is complete

	// guarded by mu
	mu     sync.Mutex
	output strings.Builder
	seen   int // up to where sees has looked
	grown  chan struct{}
}

// Write takes output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.output.Write(b)
	close(p.grown)
	p.grown = make(chan struct{})
	return len(b), nil
}

// sees waits until the output continues with re, and returns the match.
func (p *process) sees(re *regexp.Regexp) ([]string, error) {
	timeout := time.After(patience)
	for last := false; ; {
		p.mu.Lock()
		rest := p.output.String()[p.seen:]
		m := re.FindStringSubmatchIndex(rest)
		if m != nil {
			p.seen += m[1]
		}
		grown := p.grown
		p.mu.Unlock()
		if m != nil {
			return re.FindStringSubmatch(rest), nil
		}
		if last {
			return nil, fmt.Errorf("no match for %q in what it printed since:\n%s", re, rest)
		}
		select {
		case <-grown:
		case <-p.exited:
			last = true
		case <-timeout:
			last = true
		}
	}
}

// processes are the ones of a script.
type processes struct{ byName map[string]*process }

func (ps *processes) killAll() {
	for _, p := range ps.byName {
		p.cmd.Process.Kill()
		<-p.exited
	}
}

// launch starts foyer under a name.
func launch(ts *testscript.TestScript, name string, args ...string) *process {
	return launchProgram(ts, name, "foyer", args...)
}

// launchProgram starts a program under a name.
func launchProgram(ts *testscript.TestScript, name, program string, args ...string) *process {
	path, err := exec.LookPath(program)
	ts.Check(err)
	p := &process{cmd: exec.Command(path, args...), exited: make(chan struct{}), grown: make(chan struct{})}
	p.cmd.Dir = ts.Getenv("WORK")
	p.cmd.Env = append(os.Environ(), "USER=somebody", "GORACE=atexit_sleep_ms=0")
	for _, name := range []string{"FOYER_LOBBY_SECRET", "FOYER_LOBBY_SECRET_FILE", "FOYER_ADMIN_TOKEN_FILE", "FOYER_STREAM_SECRET_FILE", "FOYER_NODE_SECRET_FILE"} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.stdin, err = p.cmd.StdinPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	go func() { // ends with the process, and killAll waits for it
		defer close(p.exited)
		p.cmd.Wait()
	}()
	ts.Value("processes").(*processes).byName[name] = p
	return p
}

func named(ts *testscript.TestScript, name string) *process {
	p := ts.Value("processes").(*processes).byName[name]
	if p == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return p
}

// ended waits for the end of a process and checks its status.
func ended(ts *testscript.TestScript, p *process, args []string) {
	want := 0
	if len(args) > 0 {
		fmt.Sscan(args[0], &want)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		ts.Fatalf("still running; it printed:\n%s", p.output.String())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit status %d, want %d; it printed:\n%s", got, want, p.output.String())
	}
}

func scriptServe(command string) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		name := args[0]
		data := filepath.Join(ts.Getenv("WORK"), name+"-data")
		host := ownHost()
		flags := []string{command, "--rtmp=" + host + ":0", "--http=" + host + ":0", "--data=" + data, "--node=" + name, "--log-format=json"}
		p := launch(ts, name, append(flags, args[1:]...)...)
		ts.Setenv(name+"_data", data)
		for _, proto := range []string{"rtmp", "http"} {
			m, err := p.sees(regexp.MustCompile(`"msg":"listening","proto":"` + proto + `","addr":"([^"]*)"`))
			ts.Check(err)
			ts.Setenv(name+"_"+proto, m[1])
		}
		_, err := p.sees(regexp.MustCompile(`"msg":"node started"`))
		ts.Check(err)
	}
}

var hosts atomic.Uint32

// ownHost is an address of this machine that no other server has, where there are
// such. A server that starts again at its port finds it free then, even when
// others have taken free ports meanwhile.
func ownHost() string {
	if runtime.GOOS != "linux" { // where all of 127.0.0.0/8 is the loopback
		return "127.0.0.1"
	}
	n, pid := hosts.Add(1), os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid>>8&0x7f, pid&0xff, 1+n%250)
}

func scriptStart(ts *testscript.TestScript, _ bool, args []string) { launch(ts, args[0], args[1:]...) }

func scriptSay(ts *testscript.TestScript, _ bool, args []string) {
	_, err := fmt.Fprintln(named(ts, args[0]).stdin, strings.Join(args[1:], " "))
	ts.Check(err)
}

func scriptSees(ts *testscript.TestScript, _ bool, args []string) {
	if _, err := named(ts, args[0]).sees(regexp.MustCompile(args[1])); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
}

func scriptEnd(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	p.stdin.Close()
	ended(ts, p, args[1:])
}

func scriptHalt(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	ended(ts, p, args[1:])
}

func scriptCrash(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	ts.Check(p.cmd.Process.Kill())
	<-p.exited
}

func scriptHangup(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(named(ts, args[0]).cmd.Process.Signal(syscall.SIGHUP))
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile(args[1])
	var body string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(args[0])
		if err != nil {
			body = err.Error()
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		body = resp.Status + "\n" + string(b)
		if re.MatchString(body) != neg {
			return
		}
	}
	ts.Fatalf("%s never matched (or never ceased to match) %q; it answers:\n%s", args[0], re, body)
}

func scriptStatus(ts *testscript.TestScript, _ bool, args []string) {
	var want, got int
	fmt.Sscan(args[0], &want)
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func scriptQuiet(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range args[1:] {
		if strings.Contains(p.output.String(), strings.TrimSpace(ts.ReadFile(name))) {
			ts.Fatalf("%s shows what is in %s", args[0], name)
		}
	}
}

func scriptKey(ts *testscript.TestScript, _ bool, args []string) {
	stream, err := folder.ReadSecret(filepath.Join(ts.Getenv(args[1]+"_data"), folder.StreamSecret))
	ts.Check(err)
	ts.Setenv(args[0], folder.StreamKey(stream, args[2], 0))
}

// scriptModerate calls a method of a room as a moderator, once each:
// moderate NODE ROOM METHOD ARGUMENT...
func scriptModerate(ts *testscript.TestScript, _ bool, args []string) {
	token, err := os.ReadFile(filepath.Join(ts.Getenv(args[0]+"_data"), "admin-token"))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := client.Dial(ctx, "rtmp://"+ts.Getenv(args[0]+"_rtmp")+"/room/"+args[1], client.Options{},
		amf.String("to-"+args[2]), amf.String(strings.TrimSpace(string(token))))
	ts.Check(err)
	defer nc.Close()
	var values []amf.Value
	for _, arg := range args[3:] {
		n, err := strconv.ParseFloat(arg, 64)
		switch {
		case err == nil:
			values = append(values, amf.Number(n))
		case arg == "true" || arg == "false":
			values = append(values, amf.Bool(arg == "true"))
		default:
			values = append(values, amf.String(arg))
		}
	}
	_, err = nc.Call(ctx, args[2], values...)
	ts.Check(err)
}

// scriptSaw counts what a process has said so far: saw NAME PATTERN COUNT.
func scriptSaw(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(regexp.MustCompile(args[1]).FindAllString(p.output.String(), -1)); strconv.Itoa(n) != args[2] {
		ts.Fatalf("%s said %q %d times, want %s:\n%s", args[0], args[1], n, args[2], p.output.String())
	}
}

func scriptFilm(ts *testscript.TestScript, _ bool, args []string) {
	film := "FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"
	for i := range 6 {
		film += "\x09\x00\x00\x03\x00\x00" + string(rune(i*20)) + "\x00\x00\x00\x00\x12ok\x00\x00\x00\x0E" // Sorenson H.263
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(film), 0o644))
}

// scriptStranger runs "stranger NAME PROGRAM ADDR SECRETFILE ROOM": a program
// that connects to the lobby with nothing but its own options.
func scriptStranger(ts *testscript.TestScript, _ bool, args []string) {
	name, program, url, room := args[0], args[1], "rtmp://"+args[2]+"/chapter4/lobby", args[4]
	password := strings.TrimSpace(ts.ReadFile(args[3]))
	switch program {
	case "ffmpeg":
		launchProgram(ts, name, "ffmpeg", "-v", "warning", "-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=5", "-c:v", "flv1",
			"-f", "flv", "-rtmp_conn", "S:"+room+" S:"+password, url+"/x")
	case "rtmpdump":
		launchProgram(ts, name, "rtmpdump", "-r", url+"/x", "-V", "-C", "S:"+room, "-C", "S:"+password, "-o", os.DevNull)
	default:
		ts.Fatalf("unknown stranger %s", program)
	}
}
