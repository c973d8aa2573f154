// Package fake is Qiniu Kodo as far as this program talks to it: an HTTP server on the loopback
// that speaks the wire format of uploads (forms, and parts with the v2 interface), of object
// management and of private downloads, for tests and for development without an account.
//
// It is as strict as the real one: it checks every signature, deadline, scope, size limit and rule
// against overwriting, the CRC-32 of forms and the MD5 of parts. And it fails as the real one can:
// see Fault. Everything it was asked and everything it holds can be looked at, from Go and over
// HTTP under /_fake/.
//
// All services are on one address; the domain of a bucket is its URL followed by /_download/ and
// the bucket's name. It shares no code with the SDK or with the adapter, so that each checks the
// other. Objects are files in a directory; which there are is remembered by the process only. A
// Server is safe for concurrent use.
package fake
