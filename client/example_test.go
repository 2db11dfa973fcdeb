package client_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"foyer/client"
	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// A program joins a room, calls a method, is called, and follows the list of
// people.
func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	room := newServer()
	room.wg.Go(func() {
		if c, err := ln.Accept(); err == nil {
			room.serve(c)
		}
	})

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	nc, err := client.Dial(ctx, "rtmp://"+ln.Addr().String()+"/room/blue", client.Options{
		Methods: map[string]func(amf.Args) (amf.Value, error){
			"message": func(args amf.Args) (amf.Value, error) {
				var text string
				err := args.Scan(&text)
				fmt.Println("message:", text)
				return amf.String("seen"), err
			},
		},
	}, amf.String("ann"))
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := nc.Call(ctx, "callBack", amf.String("message"), amf.String("hello"))
	fmt.Println(v, err)

	synced := make(chan []sharedobject.Sync, 1) // one list is awaited
	users, err := nc.SharedObject("users", false, func(list []sharedobject.Sync) { synced <- list })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println((<-synced)[0].Code)
	if err := users.Set("1", amf.String("ann")); err != nil {
		fmt.Println(err)
	}
	fmt.Println((<-synced)[0].Code)
	fmt.Println(users.Slots())

	fmt.Println(nc.Close())
	room.wg.Wait()
	fmt.Println(room.ends)

	// Output:
	// message: hello
	// seen <nil>
	// clear
	// success
	// map[1:ann]
	// <nil>
	// [rtmp: peer said goodbye]
}
