package cli

import (
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// An environment is the variables of a process, by name.
type environment map[string]string

// newEnvironment reads "NAME=value", as [os.Environ] has it. The first of a name
// counts.
func newEnvironment(environ []string) environment {
	e := make(environment, len(environ))
	for _, variable := range slices.Backward(environ) {
		name, value, _ := strings.Cut(variable, "=")
		if runtime.GOOS == "windows" { // where the case does not matter
			name = strings.ToUpper(name)
		}
		e[name] = value
	}
	return e
}

// get is the value of a variable; "" when it is not set.
func (e environment) get(name string) string { return e[name] }

// foreign are variables that begin as ours and are not meant for us: Kubernetes and
// Docker set some for each service, in all containers, and a service may be called
// foyer. The rest are for the tests of this repository.
var foreign = regexp.MustCompile(`^FOYER_(TEST_.*|SLOW|SOAK|(.*_)?SERVICE_(HOST|PORT(_.*)?)|(.*_)?PORT_\d+_(TCP|UDP|SCTP)(_.*)?)$`)

// linked is the value of FOYER_PORT or FOYER_..._PORT when it is such a one, too.
var linked = regexp.MustCompile(`^(tcp|udp|sctp)://`)

// check refuses a variable that would be a setting if its name were right.
func (e environment) check(app *kong.Application) error {
	known := variables(app)
	for _, name := range slices.Sorted(maps.Keys(e)) {
		rest, ours := strings.CutPrefix(name, "FOYER_")
		if !ours || slices.Contains(known, name) || foreign.MatchString(name) || strings.HasSuffix(name, "PORT") && linked.MatchString(e[name]) {
			continue
		}
		if flag, file := strings.CutSuffix(name, "_FILE"); file && slices.Contains(known, flag) {
			return fmt.Errorf("the environment has %s, and only a secret can come from a file: set %s", name, flag)
		}
		meant := nearest(rest, withoutPrefix(known))
		if meant != "" {
			return fmt.Errorf("the environment has %s, which is no setting: did you mean FOYER_%s?", name, meant)
		}
		return fmt.Errorf("the environment has %s, which is no setting: unset it, or see 'foyer serve --help' for their names", name)
	}
	return nil
}

// variables are the names of those that can be set for one command or another.
func variables(app *kong.Application) []string {
	var names []string
	for _, cmd := range app.Children {
		for _, flag := range cmd.Flags {
			if flag.Tag.Has("typed") {
				continue
			}
			names = append(names, envName(flag.Name))
			if isSecret(flag.Value) {
				names = append(names, envName(flag.Name)+"_FILE")
			}
		}
	}
	return names
}

// withoutPrefix are names without FOYER_, so that mistakes count in what is left.
func withoutPrefix(names []string) []string {
	rest := make([]string, len(names))
	for i, name := range names {
		rest[i] = strings.TrimPrefix(name, "FOYER_")
	}
	return rest
}
