package cli

import (
	"strings"
	"testing"
)

// A variable that would be a setting if its name were right is an error that names
// the right one. Variables that others set are none of ours.
func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		variable, err string
	}{
		{"FOYER_IDLE=30s", ""}, {"FOYER_LOBBY_SECRET_FILE=", ""}, {"FOYER_NATS_FILE=", ""}, {"FOYER_TOKEN=x", ""}, {"FOYER_TEST_README=1", ""}, {"FOYER_SLOW=1", ""}, {"IDEL=30s", ""},
		{"FOYER_SERVICE_HOST=10.0.0.1", ""}, {"FOYER_SERVICE_PORT=1935", ""}, {"FOYER_SERVICE_PORT_RTMP=1935", ""}, {"FOYER_PORT=tcp://10.0.0.1:1935", ""},
		{"FOYER_PORT_1935_TCP=tcp://10.0.0.1:1935", ""}, {"FOYER_PORT_1935_TCP_ADDR=10.0.0.1", ""}, {"FOYER_PORT_8189_UDP_PROTO=udp", ""},
		{"FOYER_NATS_SERVICE_HOST=10.0.0.1", ""}, {"FOYER_NATS_PORT=tcp://10.0.0.2:4222", ""}, {"FOYER_NATS_PORT_4222_TCP=tcp://10.0.0.2:4222", ""},

		{"FOYER_IDEL=30s", "FOYER_IDEL, which is no setting: did you mean FOYER_IDLE?"}, {"FOYER_HTPP=:80", "did you mean FOYER_HTTP?"},
		{"FOYER_STALEAFTER=1s", "did you mean FOYER_STALE_AFTER?"}, {"FOYER_LOBBY_SECRETE=x", "did you mean FOYER_LOBBY_SECRET?"},
		{"FOYER_LOBBY_SECRETFILE=x", "did you mean FOYER_LOBBY_SECRET_FILE?"}, {"FOYER_PUBLIC_URL=x", "FOYER_PUBLIC_URL, which is no setting"},
		{"FOYER_DATA_DIR=x", "did you mean FOYER_DATA?"}, {"FOYER_HTTP_PORT=8080", "did you mean FOYER_HTTP?"}, {"FOYER_HTTP_PORT=tcp://10.0.0.1:80", ""}, {"FOYER_TRUSTED_PROXY=x", "did you mean FOYER_TRUSTED_PROXIES?"},
		{"FOYER_idle=30s", "did you mean FOYER_IDLE?"}, {"FOYER_PORT=8080", "FOYER_PORT, which is no setting"}, {"FOYER_IDLE_FILE=x", "only a secret can come from a file: set FOYER_IDLE"},
		{"FOYER_TOKEN_FIEL=x", "did you mean FOYER_TOKEN_FILE?"},
		{"FOYER_IDLE=30", `--idle: "30" has no unit: say 30s (from FOYER_IDLE)`}, {"FOYER_IDLE=\"30s\"", "--idle: its value has quotation marks around it: leave them out"},
		{"FOYER_MAX_USERS='5'", "quotation marks"}, {"FOYER_IDLE=30s\r", ""}, {"FOYER_MAX_USERS= 5 ", ""}, {"FOYER_LOBBY_SECRET=\"quoted\"", ""},
	} {
		p := &program{env: newEnvironment([]string{c.variable}), stdout: t.Output(), stderr: t.Output()}
		_, err := parse(p, []string{"serve"})
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: %v, want %q", c.variable, err, c.err)
		}
	}
}
