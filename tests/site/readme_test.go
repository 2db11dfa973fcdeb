package site

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadme runs every command of README.md, word for word, in a clone and in
// a network of its own, so that the ports are free. Only what shows the demo
// on other servers is done by TestCompose. It takes a while: ./test runs it.
func TestReadme(t *testing.T) {
	ci := os.Getenv("CI") == "true"
	if testing.Short() || !ci && os.Getenv("FOYER_TEST_README") != "1" {
		t.Skip("set FOYER_TEST_README=1 to run the commands of the README")
	}
	for _, tool := range []string{"git", "unshare", "ip", "ffmpeg", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if ci {
				t.Fatalf("CI=true, but: %v", err)
			}
			t.Skip(err)
		}
	}
	text, err := os.ReadFile(root + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "foyer")
	clone(t, dir)
	script := readmeScript(t, string(text))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", script)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%v: the last command above is the one that went wrong", err)
	}
	for _, want := range []string{"* connected to rtmp://localhost/room/blue", "rtmp://localhost/room/blue", "Studio", "key live?key=", "--stale-after"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("nothing printed %q", want)
		}
	}
}

// TestReadmeShowsNoSecret: every user of a machine sees its command lines. The
// one password that stands there is good for the room of the example only.
func TestReadmeShowsNoSecret(t *testing.T) {
	text, err := os.ReadFile(root + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := readmeScript(t, string(text))
	if !strings.Contains(script, "$(go run . key Studio --lobby)") {
		t.Error("the room of the example does not use its own password")
	}
	for _, way := range []string{"$(cat", "`cat", "--token ", "--token=", "--admin-token", "-secret ", "-secret=", "Bearer"} {
		for line := range strings.Lines(script) {
			if strings.Contains(line, way) {
				t.Errorf("a secret stands on a command line: %s", line)
			}
		}
	}
}

// clone copies what git has, as it is in the working tree.
func clone(t *testing.T, dir string) {
	files := exec.Command("git", "ls-files", "-z")
	files.Dir = root
	list, err := files.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		b, err := os.ReadFile(root + name)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	readmeBlock  = regexp.MustCompile("(?s)```sh\n(.*?)```")
	readmeInline = regexp.MustCompile("`((?:go run|curl) [^`]*)`")
)

// readmeScript is a shell script of the README's commands, in order. Servers
// run beside the commands that follow them.
func readmeScript(t *testing.T, text string) string {
	var commands []string
	for _, m := range readmeBlock.FindAllStringSubmatch(text, -1) {
		block := strings.ReplaceAll(m[1], "\\\n", " ")
		commands = append(commands, strings.Split(strings.TrimSpace(block), "\n")...)
		text = strings.Replace(text, m[0], "", 1)
	}
	for _, m := range readmeInline.FindAllStringSubmatch(text, -1) {
		commands = append(commands, m[1])
	}
	if len(commands) < 8 {
		t.Fatalf("found only %d commands: %q", len(commands), commands)
	}
	s := "set -eu; ip link set lo up\nserver=\n" +
		"halt() { [ -z \"$server\" ] || { kill -INT -- -$server; wait $server || true; server=; }; }\n" +
		"ready() { for i in $(seq 200); do go run . check 2>/dev/null && return; sleep 0.1; done; return 1; }\n" +
		"listens() { for i in $(seq 600); do (exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null && return; sleep 0.1; done; return 1; }\n" +
		"until_rooms() { for i in $(seq 200); do go run . rooms | tee rooms.txt | grep -q \"$1\" && { cat rooms.txt; return; }; sleep 0.3; done; return 1; }\n"
	server := "" // starts the one that the commands ask
	for _, c := range commands {
		s += "echo '$' " + shellQuote(c) + "\n"
		switch {
		case strings.HasPrefix(c, "docker compose"): // TestCompose
		case strings.HasPrefix(c, "go run . demo"), strings.HasPrefix(c, "go run . serve --rooms"):
			server = "set -m; " + c + " & server=$!; set +m; ready\n"
			s += "halt; " + server
		case strings.HasPrefix(c, "go run . serve") && !strings.HasSuffix(c, "--help"): // a way to start one, in between
			up := "ready"
			if strings.Contains(c, "--http :443") {
				up = "listens 443" // that is all, for there is no authority for a certificate
			}
			s += "halt; set -m; " + c + " & server=$!; set +m; " + up + "; halt; " + server
		case strings.HasPrefix(c, "ffmpeg"):
			s += "timeout 300 " + c + " -loglevel error </dev/null & broadcast=$!; until_rooms Studio; kill $broadcast || true; wait $broadcast || true\n"
		default:
			s += c + " </dev/null\n"
		}
	}
	return s + "halt\n"
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
