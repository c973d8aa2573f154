// Package bayeux is a Bayeux 1.0 server for the stock Faye client (npm faye 1.x) and for CometD-style clients.
//
// It pushes server events to browsers and programs over websocket, long-polling, cross-origin-long-polling and
// callback-polling (JSONP), and serves the client library itself. It knows nothing of what the events are about: an
// [Authorizer] says who a session belongs to and which stream feeds a channel, a [Bus] brings the events.
//
//	srv, err := bayeux.New(authorizer, bus, bayeux.Options{Mount: "/faye", Client: clientFiles})
//	mux.Handle("/faye", srv)
//	mux.Handle("/faye/", srv)
//	mux.Handle("/faye.js", srv)
//	go srv.Run(ctx) // owns the bus, all timers and every goroutine; returns when all of them have ended
//
// # Streams and channels
//
// An [Event] names the streams it belongs to. A subscription's [Grant] names the stream that feeds it, so several channel
// names may be fed by one stream; a delivered message carries the name that was subscribed. What a late subscriber must
// see comes from [Grant.Latest], and stands before anything live on that subscription.
//
// # Delivery
//
// Every session has one queue, bounded in messages and bytes, and one writer, so a client sees events in the order in which
// the bus delivered them. A message stays in the session until its receipt is known: over HTTP until the next connect with a new id
// (a repeated id gets its batch again), over a websocket until a pong that answers a ping sent after it. What is not
// known to have arrived when a connection ends is delivered again on the next one, so a client may see a message twice
// but not miss one; put a sequence number into the data where that matters. A client that does not keep up sees only the newest
// of the events that replace one another ([Event.Key]), every final one, and, when even those do not fit, loses its session:
// it shakes hands anew and is told the latest state.
//
// # Concurrency
//
// All methods of [Server] and [LocalBus] may be called concurrently. Delivery never waits for a client: a slow socket blocks only
// its own writer, which exists only while there is something to write.
package bayeux
