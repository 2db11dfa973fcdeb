// Package backup is the archive of what a server keeps: [Source] writes it while
// the server runs, [Save] checks it on its way into a file, and [Restore] makes a
// data folder of it, or nothing.
//
// An archive comes from anywhere. Reading one (read.go) takes nothing that a
// writer (write.go) has not written, and writes nothing outside of its folder.
package backup
