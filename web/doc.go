// Package web carries the built page inside the binary and serves it.
//
// The page is a Vue application built by "make web" (or "npm ci && npm run build" in this folder)
// into dist, which is embedded when the Go side is compiled. dist holds only a placeholder until
// then, so that a checkout without Node.js still compiles; [Built] tells the two apart and
// [Handler] answers 503 with the command to run.
//
// [Handler] is the whole page: mount it last, below the routes of the API, the socket and the
// files. [FayeClient] is the unmodified client library of the npm package faye, for the server that
// speaks its protocol.
//
// Everything here is read-only after start and safe for concurrent use.
package web
