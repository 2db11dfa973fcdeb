package node

import (
	"strings"
	"testing"
)

func TestMappedNetworks(t *testing.T) {
	var n Networks
	if err := n.UnmarshalText([]byte("10.1.2.3/8, 192.0.2.1,::ffff:192.0.2.2,::ffff:10.0.0.0/104,fd00::1,")); err != nil {
		t.Fatal(err)
	}
	if got, want := n.String(), "10.0.0.0/8,192.0.2.1/32,192.0.2.2/32,10.0.0.0/8,fd00::1/128"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct{ text, want, wrong string }{
		{"192.0.2.1", "192.0.2.1/32", ""},
		{"10.1.2.3/8, 2001:db8::1/32,::1", "10.0.0.0/8,2001:db8::/32,::1/128", ""},
		{"::ffff:192.0.2.1", "192.0.2.1/32", ""},
		{"", "", ""}, {" , ", "", ""},
		{"10.0.0.0/33", "", "10.0.0.0/33"}, {"localhost", "", "localhost"}, {"fe80::1%eth0", "", "fe80::1%eth0"},
	} {
		var n Networks
		err := n.UnmarshalText([]byte(c.text))
		if (err != nil) != (c.wrong != "") || err != nil && !strings.Contains(err.Error(), c.wrong) || err == nil && n.String() != c.want {
			t.Errorf("%q is %q, %v", c.text, n, err)
		}
	}
}
