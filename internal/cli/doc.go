// Package cli is the command line of foyer: [Main] is the whole program.
//
// A command is a type with its flags as fields and a method Run, in a file of
// its name. They stand on main.go, which has the list of them, and on the
// settings of a server, which come from flags, the environment and a file.
package cli
