package guard

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Bounds of a PROXY header ("The PROXY protocol", versions 1 and 2).
const (
	maxProxyLine   = 107     // bytes of version 1, §2.1
	proxyFixed     = 16      // bytes of version 2 that its length does not count, §2.2
	MaxProxyHeader = 4 << 10 // bytes that its length may count: addresses and other information
)

var (
	proxyLine      = []byte("PROXY ")                 // how version 1 begins
	proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n") // how version 2 begins
	errProxyHeader = errors.New("broken PROXY header")
	errProxyLength = errors.New("too long") // of either version
)

// begins reports whether b is the beginning of a PROXY header: yes, or maybe
// when b ends before that is decided.
func begins(b []byte) (yes, maybe bool) {
	for _, start := range [][]byte{proxyLine, proxySignature} {
		if bytes.HasPrefix(b, start) {
			return true, false
		}
		maybe = maybe || bytes.HasPrefix(start, b)
	}
	return false, maybe
}

// readProxyHeader reads a PROXY header and not one byte more. from is the
// client in it, or invalid when it has none. Where there is no header, other is
// the bytes that were read to find that out. A header that begins well and ends
// badly is an errProxyHeader.
func readProxyHeader(r io.Reader) (from netip.AddrPort, other []byte, err error) {
	header := make([]byte, 0, maxProxyLine)
	for {
		n, err := r.Read(header[len(header):len(proxySignature)])
		header = header[:len(header)+n]
		yes, maybe := begins(header)
		switch {
		case yes && len(header) == len(proxySignature):
			from, err = readProxyRest(r, header)
			return from, nil, err
		case !yes && !maybe:
			return from, header, nil
		case err != nil && len(header) == 0:
			return from, nil, err
		case err != nil:
			return from, header, nil
		}
	}
}

// readProxyRest reads the rest behind the first bytes, and parses the whole.
func readProxyRest(r io.Reader, header []byte) (from netip.AddrPort, err error) {
	if bytes.HasPrefix(header, proxyLine) {
		header, err = readProxyLine(r, header)
	} else {
		header, err = readProxyBlock(r, header)
	}
	var h *proxyproto.Header
	if err == nil {
		h, err = proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(header), 256))
	}
	if err != nil {
		return from, fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	if h.Command.IsLocal() || h.SourceAddr == nil {
		return from, nil
	}
	return AddrPort(h.SourceAddr), nil
}

// readProxyLine reads version 1, byte by byte: only its end tells its length,
// and the bytes behind it are not ours.
func readProxyLine(r io.Reader, line []byte) ([]byte, error) {
	for !bytes.HasSuffix(line, []byte("\n")) {
		if len(line) == maxProxyLine {
			return nil, errProxyLength
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return nil, err
		}
	}
	return line, nil
}

// readProxyBlock reads version 2.
func readProxyBlock(r io.Reader, start []byte) ([]byte, error) {
	var fixed [proxyFixed]byte
	n := copy(fixed[:], start)
	if _, err := io.ReadFull(r, fixed[n:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(fixed[proxyFixed-2:]))
	if length > MaxProxyHeader {
		return nil, errProxyLength
	}
	block := make([]byte, proxyFixed+length)
	copy(block, fixed[:])
	_, err := io.ReadFull(r, block[proxyFixed:])
	return block, err
}
