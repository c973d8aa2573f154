// Package redisbus is a bayeux.Bus over Redis pub/sub: a worker publishes an event once, every
// replica of the server delivers it to its own sessions.
//
// Events travel as compact JSON on a small, fixed number of pub/sub channels, <prefix>:0,
// <prefix>:1, and so on. All events of one Key use one of them, so their order is kept. All
// publishers and servers must agree on prefix and number. A single server, Sentinel, Cluster and
// in-process fakes all do.
//
// Redis also counts the positions of events, the same for all servers, and remembers for a few
// minutes the newest event of each key and which ends have been received (bayeux.Memory). It may
// lose all of that at any time: a server then knows what it saw itself.
//
// Redis pub/sub keeps nothing: what is published while a server's link is down is lost to that
// server. Run notices a link that is cut or has gone silent, connects again with growing pauses,
// and then calls resync, with which the server fetches the latest state of every subscription.
//
// A Bus may be used concurrently; several may share one client.
package redisbus
