package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the direction of imports: what a package of this module may use,
// of the module and of others. A path ending in "/..." is that tree. Tests may
// use more: what they talk to as the other side.
var mayImport = map[string][]string{
	"foyer":                 {"foyer/internal/cli"},
	"foyer/internal/folder": {},
	"foyer/internal/cli": {"foyer/internal/...", "foyer/client", "foyer/demo", "foyer/lobby", "foyer/room", "foyer/room/nick", "foyer/server/amf", "foyer/server/rtmp", "foyer/server/sharedobject", "foyer/store",
		"github.com/alecthomas/kong", "github.com/goccy/go-yaml/...", "golang.org/x/term"},
	"foyer/internal/node": {"foyer/internal/folder", "foyer/internal/backup", "foyer/certs", "foyer/lobby", "foyer/media", "foyer/room", "foyer/room/nick", "foyer/server", "foyer/server/amf", "foyer/server/guard", "foyer/server/rtmp",
		"foyer/store", "foyer/web", "golang.org/x/sync/errgroup", "github.com/KimMachineGun/automemlimit/memlimit"},
	"foyer/internal/backup":      {"foyer/internal/folder", "foyer/store", "golang.org/x/sync/errgroup"},
	"foyer/internal/terminal":    {"foyer/client", "foyer/server/amf", "foyer/server/rtmp", "foyer/server/sharedobject", "golang.org/x/sync/errgroup", "charm.land/...", "github.com/charmbracelet/x/ansi"},
	"foyer/server/amf":           {},
	"foyer/server/backlog":       {},
	"foyer/server/rtmp":          {"foyer/server/amf", "foyer/server/backlog", "foyer/server/flv", "foyer/server/guard"},
	"foyer/server/rtmp/rtmptest": {"foyer/server/amf", "foyer/server/rtmp"},
	"foyer/server/sharedobject":  {"foyer/server/amf", "foyer/server/backlog", "foyer/server/rtmp"},
	"foyer/server/flv":           {},
	"foyer/server/relay":         {"foyer/server/amf", "foyer/server/flv", "foyer/server/rtmp"},
	"foyer/server/guard":         {"github.com/pires/go-proxyproto"},
	"foyer/server":               {"foyer/server/guard", "foyer/server/backlog", "foyer/server/amf", "foyer/server/rtmp", "foyer/server/sharedobject", "foyer/server/relay"},
	"foyer/client":               {"foyer/server/amf", "foyer/server/rtmp", "foyer/server/sharedobject"},
	"foyer/lobby":                {"foyer/server/guard", "foyer/server", "foyer/server/amf", "foyer/server/rtmp", "foyer/server/sharedobject"},
	"foyer/room":                 {"foyer/server/guard", "foyer/server", "foyer/server/amf", "foyer/server/rtmp", "foyer/server/sharedobject", "foyer/server/relay", "foyer/lobby", "foyer/room/nick", "foyer/room/ingest"},
	"foyer/room/ingest":          {"foyer/server/amf", "foyer/server/rtmp", "foyer/server/flv", "github.com/bluenviron/mediacommon/v2/pkg/codecs/..."},
	"foyer/room/nick":            {"github.com/mtibben/confusables", "golang.org/x/text/secure/precis", "golang.org/x/text/unicode/norm"},
	"foyer/media":                {"foyer/server/amf", "foyer/server/flv", "foyer/server/rtmp", "foyer/server/relay", "github.com/Eyevinn/mp4ff/...", "github.com/bluenviron/..."},
	"foyer/web": {"foyer/server/...", "foyer/media", "foyer/lobby", "github.com/gorilla/websocket", "github.com/prometheus/client_golang/...",
		"github.com/klauspost/compress/gzhttp"},
	"foyer/store": {"github.com/nats-io/nats-server/v2/server", "github.com/nats-io/nats.go/...",
		"github.com/minio/highwayhash", "golang.org/x/sys/windows"},
	"foyer/certs":          {"github.com/caddyserver/certmagic", "go.uber.org/zap/..."},
	"foyer/deploy/secrets": {},
	"foyer/demo":           {"foyer/client", "foyer/server/amf", "foyer/server/flv", "foyer/server/sharedobject", "github.com/yutopp/go-rtmp/...", "github.com/yutopp/go-amf0"},
	"foyer/tests/site":     {},
	"foyer/tests/hostile":  {},
	"foyer/tests/bench":    {"foyer/server/amf", "foyer/server/rtmp", "github.com/gorilla/websocket"},
}

// TestImports keeps the arrows pointing down: a package imports what the table
// says, and a package that is not in the table is in the wrong place.
func TestImports(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the go command about every package")
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		allowed, ok := mayImport[p.ImportPath]
		if !ok {
			t.Errorf("package %s is not in the table of who may import whom", p.ImportPath)
			continue
		}
		for _, path := range p.Imports {
			if !standard(path) && !covered(allowed, path) {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
	}
	if seen < 10 {
		t.Errorf("go list told of %d packages only", seen)
	}
}

// standard reports whether path is of the standard library: those have no dot
// in their first element, and ours begin with the module's name.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != "foyer"
}

// covered reports whether a path is in a list of paths and trees.
func covered(list []string, path string) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		tree, isTree := strings.CutSuffix(p, "/...")
		return p == path || isTree && (path == tree || strings.HasPrefix(path, tree+"/"))
	})
}
