package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"foyer/internal/folder"

	"github.com/alecthomas/kong"
)

// Exit statuses.
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
)

// A program is what a command may use of the world outside.
type program struct {
	env    environment
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	// set by Main
	args  []string
	from  map[string]string // where the values of flags come from that are not on the command line, by name
	given map[string]any    // values of the flags, by name; then owned by the node, which calls reread

	// of the log of a server
	log   *slog.Logger
	level slog.LevelVar
	unset slog.Level // the level where the settings name none

	hangups <-chan os.Signal // for a server; with any other command SIGHUP has its usual effect
}

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" default:"withargs" help:"Serve the lobby and rooms: RTMP, web pages and API in one process. This is what foyer does without a command."`
	Demo    demoCommand    `cmd:"" help:"Serve, and fill six rooms with bots that come, chat and go, some with moving pictures."`
	Join    joinCommand    `cmd:"" help:"Be in a room from this terminal, or pipe lines into it."`
	Rooms   roomsCommand   `cmd:"" help:"List the rooms of a lobby."`
	Publish publishCommand `cmd:"" help:"Broadcast an FLV file, or a test card with a clock, into a room."`
	Key     keyCommand     `cmd:"" help:"Print what to type into OBS to broadcast into a room."`
	Backup  backupCommand  `cmd:"" help:"Copy what a running server keeps into a file."`
	Restore restoreCommand `cmd:"" help:"Make a data folder again out of such a file."`
	Forget  forgetCommand  `cmd:"" help:"Drop the state of a room that cannot be read, so that the room starts as new."`
	Check   checkCommand   `cmd:"" help:"Exit with 0 when the server is ready; for health checks."`
	Version versionCommand `cmd:"" help:"Print version, commit and Go version; also --version."`

	Help helpFlag `short:"h" help:"Show this help; after a command, the help of that command. The same is help, or help COMMAND."`
}

// Main is the whole program. It returns the exit status when everything that it
// started has ended. Ending ctx stops it gracefully. environ is as [os.Environ]
// has it.
func Main(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	args = customary(args)
	p := &program{env: newEnvironment(environ), stdin: stdin, stdout: stdout, stderr: stderr, args: args}
	// Before anything that takes time, because a hangup must not end a server that
	// is starting.
	release := p.catchHangups()
	defer release()
	cmd, err := parse(p, args)
	switch {
	case errors.Is(err, errHelp):
		return exitFine
	case err != nil:
		p.say(err)
		fmt.Fprintln(stderr, "foyer: see 'foyer --help', or 'foyer COMMAND --help'")
		return exitUsage
	}
	if settingsOf(cmd) == nil && release() {
		return exitFailed
	}
	p.given = given(cmd)
	cmd.BindTo(ctx, (*context.Context)(nil))
	if err := cmd.Run(p); err != nil {
		p.say(err)
		if _, ok := errors.AsType[*usageError](err); ok {
			return exitUsage
		}
		return exitFailed
	}
	return exitFine
}

// say prints, on one line, why the program ends.
func (p *program) say(err error) {
	data, _ := p.given["data"].(string)
	text := folder.InWords(err, data).Error()
	fmt.Fprintf(p.stderr, "foyer: %s\n", strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

// customary translates 'foyer help COMMAND' and 'foyer --version', which people
// know from other programs.
func customary(args []string) []string {
	help := false
	for len(args) > 0 && args[0] == "help" {
		help, args = true, args[1:]
	}
	switch {
	case help:
		return slices.Concat(args, []string{"--help"})
	case len(args) == 1 && slices.Contains([]string{"-help", "-?", "/?"}, args[0]):
		return []string{"--help"}
	case len(args) > 0 && slices.Contains([]string{"--version", "-version", "-v", "-V"}, args[0]):
		return slices.Concat([]string{"version"}, args[1:])
	}
	return args
}

// parse reads the command line, the environment and the configuration file.
func parse(p *program, args []string) (*kong.Context, error) {
	var c commands
	settings := &resolver{env: p.env, from: make(map[string]string)}
	k, err := kong.New(&c,
		kong.Name("foyer"),
		kong.Description("Live rooms, and the lobby in front of them."),
		kong.Writers(p.stdout, p.stderr),
		kong.NoDefaultHelp(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, ValueFormatter: helpText}),
		kong.ExplicitGroups(helpGroups),
		kong.Resolvers(settings),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), readTimes),
		kong.KindMapper(reflect.Int, readNumbers), kong.KindMapper(reflect.Uint64, readNumbers),
		kong.Vars{"node": hostName()},
		kong.Exit(func(int) {}),
	)
	if err != nil {
		panic(err) // the struct tags are wrong
	}
	cmd, err := k.Parse(args)
	p.from = settings.from
	if wrong, ok := errors.AsType[*configError](err); ok {
		return nil, wrong
	}
	if err != nil {
		return nil, p.whence((&commandLine{k.Model, args}).inOurWords(err))
	}
	if err := checkNames(cmd); err != nil {
		return nil, p.whence(err)
	}
	if cmd.Selected().Name != "version" { // the only one that takes nothing from the environment
		err = p.env.check(k.Model)
	}
	return cmd, err
}

// checkNames refuses a data folder without a name, and the name of a file that
// begins as a home folder does: only a shell knows where that is, and it leaves
// --data=~/foyer alone.
func checkNames(cmd *kong.Context) error {
	for _, flag := range cmd.Flags() {
		name, _ := flag.Target.Interface().(string)
		if flag.Name == "data" && name == "" {
			return errors.New("--data: the name of the folder is empty")
		}
		if strings.HasPrefix(name, "~/") && (flag.PlaceHolder == "FILE" || flag.PlaceHolder == "DIR") {
			return fmt.Errorf("--%s: %q has a ~ that no shell has replaced: write the whole path", flag.Name, name)
		}
	}
	return nil
}

// whence adds to an error about a flag where its value comes from, when that is
// not the command line.
func (p *program) whence(err error) error {
	rest, flag := strings.CutPrefix(err.Error(), "--")
	end := strings.IndexFunc(rest, func(r rune) bool { return r != '-' && !unicode.IsLetter(r) })
	if !flag || end < 0 || p.from[rest[:end]] == "" {
		return err
	}
	return fmt.Errorf("%w (from %s)", err, p.from[rest[:end]])
}

// A usageError is a setting or an argument that cannot work.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "foyer"
	}
	return name
}
