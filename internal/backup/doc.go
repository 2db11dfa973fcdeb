// Package backup is the archive of what a server keeps: [Source] writes it while
// the server runs, [Save] checks it on its way into a file, and [Restore] makes a
// data folder of it, or nothing.
//
// An archive may come from anywhere. Reading one (read.go) accepts only files that
// a writer (write.go) could have written, and nothing gets outside of the folder.
package backup
