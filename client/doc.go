// Package client is the RTMP client for programs: what Flash
// programmers know as NetConnection and SharedObject, in Go. The terminal
// client, the bots of the demo and tests use it.
//
// [Dial] connects to an instance and returns when the server has agreed. From
// then on the server may call the Methods of the [Options], and the program may
// [NetConnection.Call] the server's. A [SharedObject] is the program's copy of
// one of the instance's.
//
// Everything the connection calls (methods, OnStatus, onSync, OnSend) runs on
// one goroutine, one at a time, in the order in which the server spoke. That
// goroutine is the one that reads: while such a function runs nothing else
// arrives, so it must not wait for the connection, neither with Call nor with
// Close. Notify and everything of SharedObject but Close never wait.
package client
