package rtmp_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"foyer/server/amf"
	"foyer/server/rtmp"
	"foyer/server/rtmp/rtmptest"
)

// answerTo connects over a pipe, lets settle answer, and returns all messages
// that came, decoded.
func answerTo(t *testing.T, flashVer string, settle func(*rtmp.ConnectRequest) error) []rtmp.Message {
	t.Helper()
	return answerToObject(t, amf.Object{{Name: "flashVer", Value: amf.String(flashVer)}}, settle)
}

// answerToObject is answerTo for any other members of the command object.
func answerToObject(t *testing.T, object amf.Object, settle func(*rtmp.ConnectRequest) error) (wire []rtmp.Message) {
	t.Helper()
	cnc, snc := rtmptest.Pipe()
	settled := make(chan error)
	go func() {
		c, err := rtmp.NewServerConn(t.Context(), snc, nil)
		if err != nil {
			settled <- err
			return
		}
		r, err := rtmp.ReadConnect(t.Context(), c)
		if err != nil {
			settled <- err
			return
		}
		settled <- settle(r)
	}()
	if err := rtmp.ClientHandshake(cnc); err != nil {
		t.Fatal(err)
	}
	m := rtmp.CommandMessage(0, false, "connect", 7, append(amf.Object{{Name: "app", Value: amf.String("a/b")}}, object...))
	cnc.Write(rtmp.AppendChunks(nil, &m, 128))
	r := rtmp.NewChunkReader(128, rtmp.Publisher)
	b := make([]byte, 4096)
	synctest.Wait()
	n, err := cnc.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	wire, err = r.Feed(b[:n])
	if err != nil {
		t.Fatal(err)
	}
	cnc.Close()
	if err := <-settled; err != nil {
		t.Error(err)
	}
	return wire
}

// preamble checks the control messages before an answer and returns the rest.
func withoutPreamble(t *testing.T, ms []rtmp.Message) []rtmp.Message {
	t.Helper()
	want := []rtmp.Message{
		{Type: rtmp.TypeWindowAckSize, Payload: []byte{0, 0x26, 0x25, 0xA0}},
		{Type: rtmp.TypeSetPeerBandwidth, Payload: []byte{0, 0x26, 0x25, 0xA0, 2}},
		{Type: rtmp.TypeUserControl, Payload: []byte{0, 0, 0, 0, 0, 0}},
		{Type: rtmp.TypeSetChunkSize, Payload: []byte{0, 1, 0, 0}},
	}
	if len(ms) < len(want) {
		t.Fatalf("only %d messages", len(ms))
	}
	if d := cmp.Diff(want, ms[:len(want)]); d != "" {
		t.Errorf("preamble: (-want +got)\n%s", d)
	}
	return ms[len(want):]
}

type plainCommand struct {
	Name string
	Tx   float64
	Args []any
}

func commands(t *testing.T, ms []rtmp.Message) (all []plainCommand) {
	t.Helper()
	for _, m := range ms {
		name, tx, args, err := rtmp.ParseCommandMessage(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, plainCommand{name, tx, args})
	}
	return all
}

func TestAcceptOnTheWire(t *testing.T) {
	result := plainCommand{"_result", 7, []any{
		amf.Object{{Name: "fmsVer", Value: amf.String("FMS/3,5,7,7009")}, {Name: "capabilities", Value: amf.Number(31)}, {Name: "mode", Value: amf.Number(1)}},
		amf.Object{{Name: "level", Value: amf.String("status")}, {Name: "code", Value: amf.String("NetConnection.Connect.Success")},
			{Name: "description", Value: amf.String("Connection succeeded.")}, {Name: "objectEncoding", Value: amf.Number(0)},
			{Name: "clientid", Value: amf.String("x")}},
	}}
	bandwidth := plainCommand{"onBWDone", 0, []any{amf.Null{}}}
	for agent, want := range map[string][]plainCommand{
		"WIN 32,0,0,465":  {result, bandwidth},
		"FlashCom/1.5.2 ": {result},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := answerTo(t, agent, func(r *rtmp.ConnectRequest) error {
				return r.Accept(amf.Field{Name: "clientid", Value: amf.String("x")})
			})
			if d := cmp.Diff(want, commands(t, withoutPreamble(t, got))); d != "" {
				t.Errorf("%s: (-want +got)\n%s", agent, d)
			}
		})
	}
}

func TestRejectOnTheWire(t *testing.T) {
	for _, test := range []struct {
		err  error
		info amf.Object
	}{
		{&rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: "No.", Application: amf.Object{{Name: "reason", Value: amf.String("full")}}},
			amf.Object{{Name: "level", Value: amf.String("error")}, {Name: "code", Value: amf.String("NetConnection.Connect.Rejected")},
				{Name: "description", Value: amf.String("No.")}, {Name: "application", Value: amf.Object{{Name: "reason", Value: amf.String("full")}}}}},
		{errors.New("a secret"),
			amf.Object{{Name: "level", Value: amf.String("error")}, {Name: "code", Value: amf.String("NetConnection.Connect.Rejected")},
				{Name: "description", Value: amf.String("Connection rejected.")}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := answerTo(t, "", func(r *rtmp.ConnectRequest) error { return r.Reject(test.err) })
			want := []plainCommand{{"_error", 7, []any{amf.Null{}, test.info}}, {"close", 0, []any{amf.Null{}}}}
			if d := cmp.Diff(want, commands(t, withoutPreamble(t, got))); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// Bytes that a client sends after connect must not lose the reason: the client
// can read it although the server has closed with bytes unread.
func TestRejectedOverTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		c, err := rtmp.NewServerConn(t.Context(), nc, nil)
		if err != nil {
			done <- err
			return
		}
		r, err := rtmp.ReadConnect(t.Context(), c)
		if err != nil {
			done <- err
			return
		}
		done <- r.Reject(&rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: "Full.", Application: amf.Number(5)})
	}()
	_, _, err = rtmp.Dial(t.Context(), "rtmp://"+ln.Addr().String()+"/room", nil, rtmp.DialOptions{})
	info, ok := errors.AsType[*rtmp.StatusError](err)
	if !ok || info.Description != "Full." || info.Application != amf.Number(5) {
		t.Errorf("Dial: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReadConnect(t *testing.T) {
	object := amf.Object{
		{Name: "app", Value: amf.String("room/blue?x=1")}, {Name: "tcUrl", Value: amf.String("rtmp://h/room/blue")},
		{Name: "flashVer", Value: amf.String("F")}, {Name: "swfUrl", Value: amf.String("S")}, {Name: "pageUrl", Value: amf.String("P")},
		{Name: "objectEncoding", Value: amf.Number(3)}, {Name: "odd", Value: amf.Bool(true)},
	}
	args := []amf.Value{object, amf.String("Room"), amf.String("secretPassword6"), amf.Number(3.5)}
	for _, amf3 := range []bool{false, true} {
		r, err := connectWith(t, rtmp.CommandMessage(0, amf3, "connect", 1, args...))
		if err != nil {
			t.Fatal(err)
		}
		got := []any{r.App, r.TCURL, r.FlashVer, r.SWFURL, r.PageURL, r.ObjectEncoding, r.Object, r.Args}
		want := []any{"room/blue?x=1", "rtmp://h/room/blue", "F", "S", "P", 3, object,
			amf.Args{amf.String("Room"), amf.String("secretPassword6"), amf.Number(3.5)}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
}

func connectWith(t *testing.T, ms ...rtmp.Message) (*rtmp.ConnectRequest, error) {
	t.Helper()
	cnc, snc := rtmptest.Pipe()
	defer cnc.Close()
	got := make(chan error)
	var r *rtmp.ConnectRequest
	go func() {
		c, err := rtmp.NewServerConn(t.Context(), snc, nil)
		if err == nil {
			r, err = rtmp.ReadConnect(t.Context(), c)
		}
		got <- err
	}()
	if err := rtmp.ClientHandshake(cnc); err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		cnc.Write(rtmp.AppendChunks(nil, &m, 128))
	}
	err := <-got
	return r, err
}

// What programs and Flash Players say of themselves.
func TestFromFlash(t *testing.T) {
	encoding := func(n float64) amf.Object { return amf.Object{{Name: "objectEncoding", Value: amf.Number(n)}} }
	for _, tt := range []struct {
		version string
		object  amf.Object
		want    bool
	}{
		{"WIN 32,0,0,465", encoding(3), true},
		{"WIN 11,2,202,235", nil, true},
		{"MAC 9,0,115,0", encoding(0), true},
		{"LNX 11,2,202,644", encoding(3), true},
		{"AND 33,1,1,929", encoding(3), true},
		{"LNX 10,0,32,18", encoding(3), true},
		{"LNX 9,0,124,2", nil, false},  // ffmpeg
		{"LNX 10,0,32,18", nil, false}, // rtmpdump, GStreamer
		{"WIN 10,0,32,18", nil, false}, // rtmpdump on Windows
		{"FMLE/3.0 (compatible; FMSc/1.0)", nil, false},
		{"FlashCom/1.5.2", encoding(3), false},
		{"WIN 11", encoding(3), false},
		{"VLC 3,0,0,0,1", encoding(3), false},
		{"", nil, false},
	} {
		r := &rtmp.ConnectRequest{FlashVer: tt.version, Object: tt.object}
		if got := r.FromFlash(); got != tt.want {
			t.Errorf("%q %v: %t", tt.version, tt.object, got)
		}
	}
}

func TestBeforeConnect(t *testing.T) {
	for _, test := range []struct {
		name string
		m    rtmp.Message
		want string
	}{
		{"another command", rtmp.CommandMessage(0, false, "createStream", 1, amf.Null{}), `command "createStream" before connect`},
		{"video", rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("x")}, "video message before connect"},
		{"no command", rtmp.Message{Type: rtmp.TypeCommandAMF0, Payload: []byte{5}}, "instead of a string"},
		{"no AMF", rtmp.Message{Type: rtmp.TypeCommandAMF0, Payload: []byte{0xEE}}, "reading connect: amf: "},
		{"format 3", rtmp.Message{Type: rtmp.TypeCommandAMF3, Payload: []byte{3}}, "format 3"},
		{"too long", rtmp.Message{Type: rtmp.TypeCommandAMF0, Payload: make([]byte, rtmp.MaxMessageBeforeConnect+1)}, "exceeds 65536"},
		{"short control", rtmp.Message{Type: rtmp.TypeSetChunkSize, Payload: []byte{0}}, "set chunk size message of 1 bytes"},
	} {
		_, err := connectWith(t, test.m)
		wantProtocolError(t, err, test.want)
	}
}

func TestBombGarbageAfterHandshake(t *testing.T) {
	cnc, snc := rtmptest.Pipe()
	got := make(chan error)
	go func() {
		c, err := rtmp.NewServerConn(t.Context(), snc, nil)
		if err == nil {
			_, err = rtmp.ReadConnect(t.Context(), c)
		}
		got <- err
	}()
	if err := rtmp.ClientHandshake(cnc); err != nil {
		t.Fatal(err)
	}
	cnc.Write([]byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n"))
	if err := <-got; err == nil {
		t.Error("garbage was taken for connect")
	} else {
		wantProtocolError(t, err, "byte 0")
	}
}

func TestContextEndsConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, snc := rtmptest.Pipe()
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		if _, err := rtmp.NewServerConn(ctx, snc, nil); err != why {
			t.Error(err)
		}
	})
}

func TestStatus(t *testing.T) {
	for _, e := range []*rtmp.StatusError{
		{Level: "status", Code: "A.B", Description: "d"},
		{Level: "error", Code: "A.B", Application: amf.Number(1), Extra: []amf.Field{{Name: "details", Value: amf.String("x")}}},
	} {
		if d := cmp.Diff(e, rtmp.ParseStatus(e.Object())); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
	if got := rtmp.ParseStatus(amf.Null{}); got.Code != rtmp.CodeCallFailed {
		t.Errorf("null: %v", got)
	}
}
