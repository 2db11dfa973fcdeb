// Package certs has the certificate that a server shows, and keeps it
// fresh while connections go on.
//
// [File] is one in two files, as certbot, Kubernetes or a person put them there:
// it is looked at again and again, and what is broken does not replace what
// works. [Auto] has its certificates from an authority, by ACME, and renews them;
// what certmagic says while it does that is in our log (teller.go).
package certs
