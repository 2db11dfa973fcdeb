package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLimitsDocument keeps docs/limits.md and SECURITY.md true: the labels of
// limits are those of the code, and what is named there exists.
func TestLimitsDocument(t *testing.T) {
	src := readSources(t)
	limits, security := readFile(t, root+"docs/limits.md"), readFile(t, root+"SECURITY.md")
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(limits, -1) {
		listed[m[1]] = true
	}
	got, want := slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(src.labels))
	if !slices.Equal(got, want) {
		t.Errorf("docs/limits.md has the labels\n%v, the code\n%v", got, want)
	}
	cmd, err := parse(&program{stdout: t.Output(), stderr: t.Output()}, []string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	settings := given(cmd)
	for _, m := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(limits+security, -1) {
		if _, ok := settings[m[1]]; !ok {
			t.Errorf("--%s is no setting", m[1])
		}
	}
	live := make(map[string]bool) // settings that a running server takes over
	for _, r := range reloadables {
		for _, name := range r.flags {
			live[name] = true
		}
	}
	for _, m := range regexp.MustCompile("`--([a-z-]+)`( \\*)?").FindAllStringSubmatch(tables(limits), -1) {
		if live[m[1]] != (m[2] != "") {
			t.Errorf("--%s is marked %q", m[1], m[2])
		}
	}
	for _, m := range regexp.MustCompile("`([a-z]+\\.[A-Z]\\w+)`").FindAllStringSubmatch(limits+security, -1) {
		if !src.names[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z]\w+)`).FindAllStringSubmatch(limits+security, -1) {
		if !src.tests[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
}

// tables are the lines of a page that belong to tables.
func tables(page string) string {
	return strings.Join(regexp.MustCompile(`(?m)^\|.*$`).FindAllString(page, -1), "\n")
}

// sources is what the Go files of the project declare.
type sources struct {
	labels map[string]bool // of refusals
	names  map[string]bool // "package.Name"
	tests  map[string]bool
}

func readSources(t *testing.T) sources {
	t.Helper()
	src := sources{make(map[string]bool), make(map[string]bool), make(map[string]bool)}
	var files []*ast.File
	values := make(map[string]string) // of constants whose names begin with limit
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		test := strings.HasSuffix(path, "_test.go")
		if !test {
			files = append(files, f)
		}
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if test && decl.Recv == nil {
					src.tests[decl.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					src.declare(f.Name.Name, spec, values)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			for _, e := range labelsOf(n) {
				if name, ok := labelName(e); ok && values[name] != "" {
					src.labels[values[name]] = true
				} else if s := literal(e); s != "" {
					src.labels[s] = true
				}
			}
			return true
		})
	}
	return src
}

// declare notes a type or a value of a package.
func (src sources) declare(pkg string, spec ast.Spec, values map[string]string) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		src.names[pkg+"."+spec.Name.Name] = true
	case *ast.ValueSpec:
		for i, name := range spec.Names {
			src.names[pkg+"."+name.Name] = true
			if strings.HasPrefix(strings.ToLower(name.Name), "limit") && i < len(spec.Values) {
				values[name.Name] = literal(spec.Values[i])
			}
		}
	}
}

// labelsOf are the expressions of n that are labels of limits: in a Refusal, in
// what makes one of its arguments, and in the limits that end a connection.
func labelsOf(n ast.Node) (labels []ast.Expr) {
	switch n := n.(type) {
	case *ast.CompositeLit:
		name, _ := labelName(n.Type)
		for _, e := range n.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			if key, _ := labelName(kv.Key); name == "Refusal" && key == "Limit" {
				labels = append(labels, kv.Value)
			}
		}
	case *ast.CallExpr:
		name, _ := labelName(n.Fun)
		if name == "refused" || name == "slowed" || name == "tooFast" {
			labels = n.Args
		}
		labels = slices.DeleteFunc(slices.Clone(labels), func(e ast.Expr) bool { return strings.Contains(literal(e), " ") })
	case *ast.ValueSpec:
		if n.Names[0].Name == "limitOf" && len(n.Values) == 1 {
			for _, e := range n.Values[0].(*ast.CompositeLit).Elts {
				labels = append(labels, e.(*ast.KeyValueExpr).Value)
			}
		}
	case *ast.ReturnStmt:
		for _, e := range n.Results {
			if name, ok := labelName(e); ok && strings.HasPrefix(name, "limit") {
				labels = append(labels, e)
			}
		}
	}
	return labels
}

// labelName is the last name of an expression such as guard.LimitCredentials.
func labelName(e ast.Expr) (name string, ok bool) {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name, true
	case *ast.SelectorExpr:
		return e.Sel.Name, true
	}
	return "", false
}

// literal is the string that an expression is; "" when it is something else.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, _ := strconv.Unquote(lit.Value)
	return s
}
