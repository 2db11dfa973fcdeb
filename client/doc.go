// Package client is the RTMP client for programs: what Flash programmers know
// as NetConnection and SharedObject, in Go. The terminal client, the bots of
// the demo, and tests use it.
//
// [Dial] connects to an instance and returns when the server has agreed. From
// then on the server may call the Methods of the [Options], and the program may
// [NetConnection.Call] the methods of the server. A [SharedObject] is the
// program's copy of an object of the instance.
//
// The connection calls methods, OnStatus, onSync and OnSend on one goroutine,
// one at a time, in the order in which the server sent them. That goroutine
// also reads: nothing else arrives while such a function runs. So the function
// must not wait for the connection, neither with Call nor with Close. Notify
// never waits, nor does any method of SharedObject but Close.
package client
