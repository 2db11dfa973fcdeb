package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"foyer/server/rtmp"
)

// Anyone who does not get in is told what to do about it.
func TestAdvice(t *testing.T) {
	refused := func(text string) error {
		return fmt.Errorf("connecting: %w", &rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: text})
	}
	for _, tt := range []struct {
		err  error
		want string // part of the advice; "" for none
	}{
		{refused("Nickname is already in use."), "--nick"},
		{refused("Nickname is longer than 32 characters."), "--nick"},
		{refused("Credential is not valid."), "--token"},
		{refused("Invalid room connection attempt."), "rtmp://HOST/room/NAME"},
		{refused("Room name is not valid."), "rtmp://HOST/room/NAME"},
		{refused("[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (nope) is not defined."), "rtmp://HOST/lobby"},
		{&rtmp.StatusError{Code: rtmp.CodeCallFailed, Description: "Method not found (rooms)."}, "rtmp://HOST/lobby"},
		{refused("You are banned until tomorrow."), ""},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, "running"},
		{&net.OpError{Op: "read", Err: errors.New("connection reset")}, ""},
		{&tls.CertificateVerificationError{Err: errors.New("for another name")}, "SSL_CERT_FILE"},
		{io.EOF, "rtmps://"},
		{fmt.Errorf("handshake: %w", rtmp.ErrClosed), "rtmps://"},
		{fmt.Errorf("handshake: %w", rtmp.ErrTimeout), "rtmps://"},
	} {
		got := advice(tt.err)
		if !errors.Is(got, tt.err) {
			t.Errorf("%v: lost in %v", tt.err, got)
		}
		if added := strings.TrimPrefix(got.Error(), tt.err.Error()); !strings.Contains(added, tt.want) || tt.want == "" && added != "" {
			t.Errorf("%v: advice is %q, want something of %q", tt.err, added, tt.want)
		}
	}
}
