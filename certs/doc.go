// Package certs holds the certificate that a server shows, and keeps it fresh
// while the server runs.
//
// A [File] is a certificate in two files, put there by certbot, Kubernetes or a
// person. The files are checked regularly, and a broken certificate does not
// replace a working one. An [Auto] gets its certificates from an authority, by
// ACME, and renews them; certmagic's messages go to our log (teller.go).
package certs
