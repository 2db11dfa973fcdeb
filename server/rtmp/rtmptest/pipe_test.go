package rtmptest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"foyer/server/rtmp/rtmptest"
)

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := rtmptest.Pipe()
		sent := bytes.Repeat([]byte("0123456789"), 3*rtmptest.PipeBuffer/10)
		go func() {
			client.Write(sent)
			client.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(server)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes, %v", len(got), len(sent), err)
		}
		server.Write([]byte("x")) // the other direction is still open
		server.Close()
		if got, err := io.ReadAll(client); err != nil || string(got) != "x" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := client.Write([]byte("x")); err == nil {
			t.Error("written to nobody")
		}
		client.Close()
		if _, err := client.Read(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after Close: %v", err)
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := rtmptest.Pipe()
		begun := time.Now()
		client.SetReadDeadline(begun.Add(time.Second))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		server.SetWriteDeadline(begun.Add(3 * time.Second))
		n, err := server.Write(make([]byte, rtmptest.PipeBuffer+1))
		if n != rtmptest.PipeBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
		if d := time.Since(begun); d != 3*time.Second {
			t.Errorf("took %v", d)
		}
		client.SetReadDeadline(time.Time{})
		if n, err := client.Read(make([]byte, 10)); n != 10 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
	})
}
