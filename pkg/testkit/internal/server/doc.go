// Package server starts real servers for tests: Redis, PostgreSQL and MariaDB, each in a directory
// of its own on a free loopback port, with nothing kept and nothing flushed to disk. A server dies
// with the process that started it (on Linux even when that is killed), and directories left behind
// are swept by the next start.
//
// Everything is safe for concurrent use.
package server
