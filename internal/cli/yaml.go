package cli

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A configError is about the configuration file. Kong wraps it as an error of the
// flag that asked first; parse unwraps it.
type configError struct{ err error }

func (e *configError) Error() string {
	return "--config: " + e.err.Error()
}

func (e *configError) Unwrap() error { return e.err }

// settingNames are the flags of serve, which a file may set.
func settingNames(app *kong.Application) map[string]bool {
	names := make(map[string]bool)
	for _, cmd := range app.Children {
		if cmd.Name != "serve" {
			continue
		}
		for _, flag := range cmd.Flags {
			if flag.Name != "config" {
				names[flag.Name] = true
			}
		}
	}
	return names
}

// parseSettings reads a YAML mapping of setting names to values. A list is the
// same as its items with commas between them.
func parseSettings(b []byte, known map[string]bool) (map[string]string, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // as Windows puts in front
	if !utf8.Valid(b) {
		return nil, errors.New("this is no UTF-8: save it as that")
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, yamlError(b, err)
	}
	entries, err := entriesOf(f)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string)
	for _, e := range entries {
		key, line := e.Key.GetToken().Value, e.Key.GetToken().Position.Line
		if !known[key] {
			return nil, fmt.Errorf("line %d: unknown key %q: %s", line, key, didYouMean(settingName(key), slices.Sorted(maps.Keys(known)), "the keys are the names of the flags of 'foyer serve --help'"))
		}
		value, ok := scalar(e.Value)
		if !ok {
			return nil, fmt.Errorf("line %d: %s must be a plain value or a list of them", line, key)
		}
		if _, unset := e.Value.(*ast.NullNode); !unset {
			values[key] = value
		}
	}
	return values, nil
}

// entriesOf are the entries of a file, which is one mapping or empty.
func entriesOf(f *ast.File) (entries []*ast.MappingValueNode, err error) {
	for _, doc := range f.Docs {
		line := 0
		if doc.Body != nil {
			line = doc.Body.GetToken().Position.Line
		}
		switch body := doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
			continue
		case *ast.MappingNode, *ast.MappingValueNode:
			if entries != nil {
				return nil, fmt.Errorf("line %d: a second document begins, and only one is read", line)
			}
			if m, ok := body.(*ast.MappingNode); ok {
				entries = m.Values
			} else {
				entries = []*ast.MappingValueNode{body.(*ast.MappingValueNode)}
			}
		default:
			return nil, fmt.Errorf("line %d: want settings such as 'rtmp: :1935', with a blank behind the first colon", line)
		}
	}
	return entries, nil
}

// settingName is a key as a setting would be called: people write those of the
// command line and of the environment.
func settingName(key string) string {
	key = strings.TrimPrefix(strings.ToLower(strings.TrimLeft(key, "-")), "foyer_")
	return strings.ReplaceAll(key, "_", "-")
}

// position is how the parser says where it is.
var position = regexp.MustCompile(`\[(\d+):\d+\]`)

// yamlError says what is wrong with a file that is no YAML.
func yamlError(b []byte, err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n") // a picture of the file follows
	at := position.FindStringSubmatch(text)
	text = position.ReplaceAllString(text, "line $1")
	if at == nil {
		return errors.New(text)
	}
	line, _ := strconv.Atoi(at[1])
	written := bytes.Split(b, []byte("\n"))[min(line, bytes.Count(b, []byte("\n"))+1)-1]
	if indent := written[:len(written)-len(bytes.TrimLeft(written, " \t"))]; bytes.Contains(indent, []byte("\t")) {
		return fmt.Errorf("line %d begins with a tab: YAML takes blanks only", line)
	}
	text = strings.Replace(text, "line "+at[1]+" ", "line "+at[1]+": ", 1)
	if strings.Contains(text, "value is not allowed in this context") {
		text += "; a value that has [ ] { } : or # in it needs quotation marks"
	}
	return errors.New(text)
}

// scalar is the text of a plain value, or of a list of plain values.
func scalar(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.SequenceNode:
		items := make([]string, len(n.Values))
		for i, item := range n.Values {
			if _, list := item.(*ast.SequenceNode); list {
				return "", false
			}
			if items[i], ok = scalar(item); !ok {
				return "", false
			}
		}
		return strings.Join(items, ","), true
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
		return "", false
	case *ast.NullNode:
		return "", true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	case ast.ScalarNode:
		return n.GetToken().Value, true // as written: 0123 is no octal number here
	}
	return "", false
}
