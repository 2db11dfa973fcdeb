package rtmp_test

import (
	"context"
	"fmt"
	"net"

	"foyer/server/amf"
	"foyer/server/rtmp"
)

// doorman answers the calls of one client.
type doorman struct{}

func (doorman) ServeCall(c *rtmp.Call) {
	switch c.Method {
	case "greet":
		name, _ := amf.AsString(c.Args.At(0))
		c.Reply(amf.String("Welcome, " + name + "."))
	default:
		c.Fail(rtmp.MethodNotFound(c.Method))
	}
}

// serveOne is a server for one client.
func serveOne(ctx context.Context, ln net.Listener) error {
	nc, err := ln.Accept()
	if err != nil {
		return err
	}
	c, err := rtmp.NewServerConn(ctx, nc, nil)
	if err != nil {
		return err
	}
	r, err := rtmp.ReadConnect(ctx, c)
	if err != nil {
		return err
	}
	if r.App != "hotel" {
		return r.Reject(&rtmp.StatusError{Code: rtmp.CodeConnectRejected, Description: "No such house."})
	}
	if err := r.Accept(); err != nil {
		return err
	}
	return rtmp.NewSession(c, doorman{}, r.ObjectEncoding).Run(ctx)
}

func ExampleSession() {
	ctx := context.Background()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- serveOne(ctx, ln) }()

	s, info, err := rtmp.Dial(ctx, "rtmp://"+ln.Addr().String()+"/hotel", nil, rtmp.DialOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(amf.Lookup(info, "code"))
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()

	v, err := s.Call(ctx, "greet", amf.String("Ann"))
	fmt.Println(v, err)
	_, err = s.Call(ctx, "checkOut")
	fmt.Println(err)

	s.Close(nil)
	fmt.Println(<-ran)
	fmt.Println(<-served)
	// Output:
	// NetConnection.Connect.Success
	// Welcome, Ann. <nil>
	// NetConnection.Call.Failed: Method not found (checkOut).
	// rtmp: connection closed
	// rtmp: peer said goodbye
}
