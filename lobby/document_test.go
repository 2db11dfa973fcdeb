package lobby_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"foyer/server/amf"
)

// TestProtocolExamples keeps the examples of PROTOCOL.md true: JSON that
// parses, and bytes that are AMF0 values. Examples with something left out ("…") are
// not checked.
func TestProtocolExamples(t *testing.T) {
	text, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	wire := regexp.MustCompile(`(?m)(?:^[→←] |` + "`" + `)(0[0-9a-f] [0-9a-f]{4} "[^` + "`" + `\n]*)`)
	frames := regexp.MustCompile(`(?m)(?:^[→←] |` + "`" + `)(\{"type".*\})(?:` + "`" + `|$)`)
	var n int
	for _, m := range wire.FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(m[1], "…") {
			continue
		}
		n++
		if _, err := amf.NewDecoder(unquote(t, m[1])).Rest(); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
	for _, m := range frames.FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(m[1], "…") {
			continue
		}
		n++
		if !json.Valid([]byte(m[1])) {
			t.Errorf("%s: no JSON", m[1])
		}
	}
	if n < 10 {
		t.Errorf("found %d examples", n)
	}
}

// unquote reads bytes in hexadecimal, with texts between quotes.
func unquote(t *testing.T, s string) (b []byte) {
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			b = append(b, part...)
			continue
		}
		bytes, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		b = append(b, bytes...)
	}
	return b
}
