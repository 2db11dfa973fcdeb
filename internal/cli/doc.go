// Package cli is the command line of foyer: [Main] is the whole program.
//
// A command is a type with its flags as fields and a method Run, in a file of its
// name; main.go has the list of them. A flag that is not given comes from the
// environment or a file (resolver.go). Those of a server are read again while it
// runs (reload.go).
package cli
