// Package subscriber has clients that follow jobs on the realtime endpoint, for tests.
//
// Stock is the Faye client that pages use, one channel in a node process of its own. Fleet is many
// of them in one process, for as long as a test runs. Raw speaks the bare protocol: for transports
// that no program in node offers, and where a hundred processes would be too many. All of them keep
// every event they were sent, so that a test can check the whole story and not only its end.
package subscriber
