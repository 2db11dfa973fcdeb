package cli

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"foyer/demo"
	"foyer/internal/node"
	"foyer/server/rtmp"
)

// hints are what to do about a refusal, by a part of its description.
var hints = []struct{ part, hint string }{
	{"Nickname is ", "choose another one with --nick"},
	{"Credential is not valid.", "--token-file takes the file admin-token of the server's data folder"},
	{"Invalid room connection attempt.", "this is a lobby: the address of a room is rtmp://HOST/room/NAME"},
	{"Room name is not valid.", "the address of a room is rtmp://HOST/room/NAME, the name " + node.RoomNames},
	{" is not defined.", "the address of a room is rtmp://HOST/room/NAME, that of a lobby rtmp://HOST/lobby"},
	{"Method not found (rooms).", "the address of a lobby is rtmp://HOST/lobby"},
}

// advice adds what to do to the reason why there was no way in.
func advice(err error) error {
	if _, ok := errors.AsType[*rtmp.AddressError](err); ok {
		return &usageError{err}
	}
	if hint := hintFor(err); hint != "" {
		return fmt.Errorf("%w (%s)", err, hint)
	}
	return err
}

func hintFor(err error) string {
	if status, ok := errors.AsType[*rtmp.StatusError](err); ok {
		for _, h := range hints {
			if strings.Contains(status.Description, h.part) {
				return h.hint
			}
		}
		return ""
	}
	if errors.Is(err, rtmp.ErrHTTP) || errors.Is(err, demo.ErrHTTP) {
		return "this is a web port: use the server's RTMP port, which is 1935 unless --rtmp says otherwise"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "is the name of the host right?"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "there is no TLS at this port: use rtmp:// for it, or the port of --rtmps"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return "is the server running there?"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "use the name that the certificate is for; SSL_CERT_FILE names one that is not publicly known"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, rtmp.ErrClosed) || errors.Is(err, rtmp.ErrTimeout) {
		return "is this the server's RTMP port, rtmps:// with TLS and rtmp:// without?"
	}
	return ""
}

// webAdvice adds what to do to the reason why a server's web side did not answer.
// The URL that was asked is left out: it is longer than what was given.
func webAdvice(err error) error {
	asked, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	hint := "is the server running?"
	switch op, dial := errors.AsType[*net.OpError](err); {
	case errors.Is(err, http.ErrSchemeMismatch):
		hint = "there is no TLS at this port: use http://"
	case errors.Is(err, io.EOF):
		hint = "is this the server's web port?"
	case !dial || op.Op != "dial", errors.As(err, new(*net.DNSError)):
		hint = cmp.Or(hintFor(err), hint)
	}
	return fmt.Errorf("%w (%s)", asked.Err, hint)
}
