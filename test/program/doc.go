// Package program runs Exporthub's built programs for tests and speaks to them as outsiders do.
//
// Build compiles cmd/api and cmd/worker once for all test packages, Spawn starts one of them as a
// process, StartEmbedded starts the whole system in one process as "make run" does, and StartParts
// starts it in parts on real Redis and PostgreSQL. App is the HTTP client of a running system.
//
// Tests under test/ start programs and never import cmd: what they prove holds for the binaries
// that are shipped. Everything a test starts ends with the test; a program that does not end within
// its grace after SIGTERM fails it.
package program
