package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestNetworks(t *testing.T) {
	for _, c := range []struct{ text, want, wrong string }{
		{"192.0.2.1", "192.0.2.1/32", ""},
		{"10.1.2.3/8, 2001:db8::1/32,::1", "10.0.0.0/8,2001:db8::/32,::1/128", ""},
		{"::ffff:192.0.2.1", "192.0.2.1/32", ""},
		{"", "", ""}, {" , ", "", ""},
		{"10.0.0.0/33", "", "10.0.0.0/33"}, {"localhost", "", "localhost"}, {"fe80::1%eth0", "", "fe80::1%eth0"},
	} {
		var n networks
		err := n.UnmarshalText([]byte(c.text))
		if (err != nil) != (c.wrong != "") || err != nil && !strings.Contains(err.Error(), c.wrong) || err == nil && n.String() != c.want {
			t.Errorf("%q is %q, %v", c.text, n, err)
		}
	}
}

// An empty list is nobody, on the command line and in the file; what is not
// said at all is the default.
func TestEmptyLists(t *testing.T) {
	file := filepath.Join(t.TempDir(), "foyer.yaml")
	for _, c := range []struct {
		name, yaml string
		args       []string
		networks   int
	}{
		{"default", "", nil, 8}, {"flag", "", []string{"--metrics-from="}, 0}, {"null", "metrics-from:", nil, 8}, {"text", "metrics-from: ''", nil, 0},
		{"list", "metrics-from: []", nil, 0}, {"two", "metrics-from: [192.0.2.1, 10.0.0.0/8]", nil, 2}, {"flag over file", "metrics-from: ''", []string{"--metrics-from=::1"}, 1},
	} {
		writeFile(t, file, c.yaml)
		s, err := serveSettings(t, append([]string{"serve", "--config=" + file}, c.args...), nil)
		if err != nil || len(s.MetricsFrom) != c.networks {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	writeFile(t, file, "http: ''")
	if s, err := serveSettings(t, []string{"serve", "--config=" + file}, nil); err != nil || s.HTTP != ":8080" {
		t.Errorf("an address that is empty: %q, %v", s.HTTP, err)
	}
	if _, err := serveSettings(t, []string{"serve", "--metrics-from=here"}, nil); err == nil || !strings.Contains(err.Error(), `"here" is not an address`) {
		t.Errorf("no address: %v", err)
	}
}
