package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReservedNicksSetting(t *testing.T) {
	n := new(node)
	for _, c := range []struct {
		arg  string
		want []string
		err  string
	}{
		{"--reserved-nicks=", nil, ""},
		{"--reserved-nicks=boss, Ren\u0065\u0301 ,", []string{"boss", "Ren\u00e9"}, ""},
		{"--reserved-nicks=a\u200bb", nil, "Nickname has control or invisible characters."},
	} {
		s, err := serveSettings(t, []string{"serve", c.arg}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.check(); c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+q: %v, want %q", c.arg, err, c.err)
		} else if c.err == "" && !cmp.Equal(s.People.ReservedNicks, c.want) {
			t.Errorf("%+q: got %q", c.arg, s.People.ReservedNicks)
		} else if s.People.apply(n); n.reserved.Has("B0SS") != (len(c.want) > 0) {
			t.Errorf("%+q: B0SS is reserved: %v", c.arg, n.reserved.Has("B0SS"))
		}
	}
}
