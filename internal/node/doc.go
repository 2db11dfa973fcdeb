// Package node is one server: [New] opens its listeners and builds it out of its
// [Settings], [Node.Run] runs it and stops it.
//
// A node is listeners (listen.go), the host with its applications and the web
// side (build.go), and a store (store.go). With --nats it is one of several
// (nodes.go). What follows from a change of the settings while it runs is in
// live.go.
package node
