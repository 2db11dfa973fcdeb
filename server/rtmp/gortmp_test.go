//go:build !(386 || arm || mips || mipsle)

package rtmp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	gortmp "github.com/yutopp/go-rtmp"
	"github.com/yutopp/go-rtmp/message"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// go-rtmp is a client and a server that share no code with ours.

func quiet() *logrus.Logger {
	logrus.SetOutput(io.Discard) // it logs there too
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}

func TestGoRTMPPublishes(t *testing.T) {
	const frames = 20
	st := newStation(t)
	st.video = make(chan struct{}, frames)
	addr, ended := st.listen(nil)
	c, err := gortmp.Dial("rtmp", addr, &gortmp.ConnConfig{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(&message.NetConnectionConnect{Command: message.NetConnectionConnectCommand{App: "live"}}); err != nil {
		t.Fatal(err)
	}
	s, err := c.CreateStream(nil, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(&message.NetStreamPublish{PublishingName: "key", PublishingType: "live"}); err != nil {
		t.Fatal(err)
	}
	for i := range frames { // at once: it does not wait for the answer
		frame := bytes.Repeat([]byte{0x17}, 10000)
		if err := s.Write(6, uint32(i*40), &message.VideoMessage{Payload: bytes.NewReader(frame)}); err != nil {
			t.Fatal(err)
		}
	}
	for range frames {
		<-st.video
	}
	c.Close()
	if err := <-ended; err != rtmp.ErrClosed {
		t.Errorf("session ended with %v", err)
	}
}

// publishWithGoRTMP publishes a few bytes and leaves.
func publishWithGoRTMP(t *testing.T, addr string) {
	t.Helper()
	c, err := gortmp.Dial("rtmp", addr, &gortmp.ConnConfig{Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Connect(&message.NetConnectionConnect{Command: message.NetConnectionConnectCommand{App: "room/blue"}}); err != nil {
		t.Fatal(err)
	}
	s, err := c.CreateStream(nil, 200)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(&message.NetStreamPublish{PublishingName: "key", PublishingType: "live"}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		frame := bytes.NewReader(bytes.Repeat([]byte{0x17}, 500))
		if err := s.Write(6, uint32(i*40), &message.VideoMessage{Payload: frame}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.DeleteStream(&message.NetStreamDeleteStream{StreamID: s.StreamID()}); err != nil {
		t.Fatal(err)
	}
}

// stranger is a go-rtmp server that notes what it gets.
type stranger struct {
	gortmp.DefaultHandler
	video chan int
	meta  chan []byte
}

func (h *stranger) OnPublish(*gortmp.StreamContext, uint32, *message.NetStreamPublish) error {
	return nil
}

func (h *stranger) OnConnect(_ uint32, cmd *message.NetConnectionConnect) error {
	if cmd.Command.App == "closed" {
		return errors.New("no")
	}
	return nil
}

func (h *stranger) OnSetDataFrame(_ uint32, data *message.NetStreamSetDataFrame) error {
	h.meta <- data.Payload
	return nil
}

func (h *stranger) OnVideo(_ uint32, payload io.Reader) error {
	b, err := io.ReadAll(payload)
	h.video <- len(b)
	return err
}

func strangersServer(t *testing.T) (addr string, h *stranger) {
	t.Helper()
	h = &stranger{video: make(chan int, 100), meta: make(chan []byte, 100)} // more than the tests send
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := gortmp.NewServer(&gortmp.ServerConfig{OnConnect: func(nc net.Conn) (io.ReadWriteCloser, *gortmp.ConnConfig) {
		return nc, &gortmp.ConnConfig{Handler: h, Logger: quiet()}
	}})
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().String(), h
}

func TestDialGoRTMP(t *testing.T) {
	addr, h := strangersServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, info, err := rtmp.Dial(ctx, "rtmp://"+addr+"/live", nil, rtmp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := amf.AsString(amf.Lookup(info, "code")); code != rtmp.CodeConnectSuccess {
		t.Errorf("info: %v", info)
	}
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	st, err := s.CreateStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Publish(ctx, "key", "live"); err != nil {
		t.Fatal(err)
	}
	const size = 200000 // several chunks
	st.WriteMessage(rtmp.Message{Type: rtmp.TypeVideo, Payload: append([]byte{0x17, 1}, make([]byte, size-2)...)})
	if n := <-h.video; n != size {
		t.Errorf("frame of %d bytes, want %d", n, size)
	}
	s.Close(nil)
	if err := <-ran; err != rtmp.ErrClosed {
		t.Errorf("Run: %v", err)
	}
}

func TestDialGoRTMPRejects(t *testing.T) {
	addr, _ := strangersServer(t)
	_, _, err := rtmp.Dial(t.Context(), "rtmp://"+addr+"/closed", nil, rtmp.DialOptions{})
	info, ok := errors.AsType[*rtmp.StatusError](err)
	if !ok || info.Code != rtmp.CodeConnectFailed || info.Description == "" {
		t.Errorf("Dial: %v", err)
	}
}
