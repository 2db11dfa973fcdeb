// Package cluster keeps what must not be lost, and joins several nodes. Its
// engine is NATS with JetStream: in the process, or an external cluster.
package cluster
