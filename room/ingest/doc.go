// Package ingest watches what encoders send, and says what they should change.
//
// A [Monitor] sees each message of one publisher (monitor.go). It reads the tag, the
// sequence header (config.go), the timestamps, and odd habits (habits.go), and adds them
// up by second. [Monitor.Health] tells how the stream is doing (health.go): codecs, sizes,
// rates, the drift of sound against pictures, and advice, in sentences, about all that
// hurts viewers (advice.go).
package ingest
