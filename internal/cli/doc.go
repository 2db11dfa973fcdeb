// Package cli is the command line of foyer: [Main] is the whole program.
//
// A command is a type with its flags as fields and a method Run, in a file of its
// name; main.go has the list of them. A flag that is not given comes from the
// environment or a file (resolver.go). Those of a server are read again while it
// runs (reload.go).
//
// A mistake is answered with the word that was probably meant: words and flags in
// usage.go, variables in environ.go, keys in yaml.go, times and numbers in
// values.go, addresses in address.go. Failures elsewhere get their advice in
// advice.go.
package cli
