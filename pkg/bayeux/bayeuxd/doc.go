// Command bayeuxd is a Bayeux server and nothing else: the protocol of package bayeux, mounted at
// /faye, for clients, conformance suites and load tools.
//
//	bayeuxd -addr 127.0.0.1:8000
//
// Without -publish it refuses what clients publish; events then come only from -ingest. Every
// channel and pattern outside /meta and /service may be subscribed. There are no cookies, so by
// default pages of any origin are admitted.
//
//	-addr ADDRESS       where to listen, host:port; port 0 takes a free one (default
//	                    127.0.0.1:8000)
//	-redis ADDRESS      host:port or redis://… of a Redis through which several bayeuxd share
//	                    what is published (default none)
//	-token TOKEN        what every handshake must carry in ext.access_token (default none: all
//	                    are welcome; an empty one is refused)
//	-publish open|token|none
//	                    who may publish: every session; only messages that carry the token
//	                    themselves, in their ext.access_token; none (default none)
//	-origins LIST       the origins, separated by commas, whose pages may use it, beside its own
//	                    (default *, any); a page that loads it as a script (JSONP) is recognised
//	                    by its Referer
//	-timeout DURATION   how long a connect is held, as 45s or a number of seconds (default 45s)
//	-ingest NAME        a Redis pub/sub channel; every JSON message {"channel":…,"data":…}
//	                    published on it is delivered as a server event (needs -redis); what names
//	                    no channel, a pattern, /meta or /service is dropped
//
// An event's sequence number, for subscribers that ask for a replay, is the integer member seq of
// its data where there is one. The line "listening on http://HOST:PORT/faye" on standard error
// says that it is ready. SIGINT or SIGTERM ends it gracefully: clients are advised to come back,
// and it exits with 0. Bad flags exit with 2, anything else that goes wrong with 1.
//
// The stock client is served at /faye/client.js when the binary was built after the page, whose
// package it is taken from.
package main
