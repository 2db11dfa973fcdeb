// Package node is one server: [New] opens its listeners and builds it out of its
// [Settings], [Node.Run] runs it and stops it.
//
// A node is listeners (listen.go), the host with its applications and the web
// side (build.go), and a store (store.go). With --nats it is one of several
// (nodes.go). The settings that can change while it runs are in live.go.
package node
