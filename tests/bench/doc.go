//go:build linux

// Command bench measures foyer beside nginx-rtmp, and beside floors: programs
// that only move the same bytes. Each measurement runs the servers in turn, on
// one core, with the load on another. Compare ratios, not figures of two runs.
//
//	go run ./tests/bench connects   handshake and connect, beside nginx-rtmp
//	go run ./tests/bench calls      calls of many clients, beside nginx-rtmp
//	go run ./tests/bench idle       memory and CPU of clients that do nothing
//	go run ./tests/bench chat       one say a second among 1,000, beside a floor
//	go run ./tests/bench lobby      1,000 rooms and 100 browsers at one lobby
//	go run ./tests/bench live       viewers over WebSockets, beside RTMP players
//	go run ./tests/bench start      from exec to ready
//	go run ./tests/bench relay [players|xpublishers …]
//	                                streams to many players, beside nginx-rtmp and a floor
//
// Every measurement needs taskset. Those beside nginx-rtmp need nginx with its
// RTMP module (Debian: nginx, libnginx-mod-rtmp).
package main
