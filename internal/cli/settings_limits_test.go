package cli

import (
	"strings"
	"testing"
)

func TestLimitSettings(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // part of the error; "" for none
	}{
		{[]string{"--address-connections=0", "--address-rate=0", "--address-rooms=0"}, ""},
		{[]string{"--address-rooms=-1"}, "less than nothing"},
		{[]string{"--max-connections=-1"}, "less than nothing"},
		{[]string{"--max-rooms=0"}, "at least 1"},
		{[]string{"--open-rooms=somebody"}, "everybody"},
		{[]string{"--exempt=somewhere"}, "is not an address"},
		{[]string{"--exempt=10.0.0.0/33"}, "is not an address"},
		{[]string{"--exempt=fe80::1%eth0"}, "is not an address"},
		{[]string{"--exempt=192.0.2.1, 2001:db8::/32"}, ""},
		{[]string{"--rooms=.."}, "a letter or digit first"},
		{[]string{"--rooms=a/b"}, "a letter or digit first"},
	} {
		s, err := serveSettings(t, append([]string{"serve"}, tt.args...), nil)
		if err == nil {
			err = s.check()
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestExempt(t *testing.T) {
	for _, tt := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{nil, nil, "127.0.0.0/8,::1/128"},
		{[]string{"--exempt="}, nil, ""},
		{[]string{"--exempt", ""}, nil, ""},
		{[]string{"--exempt=10.1.2.3/8,::ffff:192.0.2.1, ::ffff:192.0.3.0/120,2001:db8::1/64"}, nil, "10.0.0.0/8,192.0.2.1/32,192.0.3.0/24,2001:db8::/64"},
		{nil, map[string]string{"FOYER_EXEMPT": "192.0.2.1"}, "192.0.2.1/32"},
	} {
		s, err := serveSettings(t, append([]string{"serve"}, tt.args...), tt.env)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		if got := s.Limits.Exempt.String(); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.args, got, tt.want)
		}
	}
}

// TestConnectionsOfDescriptors: some are left to the store.
func TestConnectionsOfDescriptors(t *testing.T) {
	for _, tt := range []struct {
		descriptors uint64
		asked, want int
		enough      bool
	}{
		{0, 0, 0, true}, {0, 500, 500, true}, {1024, 0, 896, true}, {4096, 0, 3584, true}, {1 << 20, 0, 1<<20 - 1024, true},
		{1024, 500, 500, true}, {1024, 5000, 896, false}, {100, 0, 1, true}, {1 << 63, 0, 1 << 30, true},
	} {
		n, enough := (&limitSettings{MaxConnections: tt.asked}).connections(tt.descriptors)
		if n != tt.want || enough != tt.enough {
			t.Errorf("%d descriptors, %d asked for: %d %v, want %d %v", tt.descriptors, tt.asked, n, enough, tt.want, tt.enough)
		}
	}
}
