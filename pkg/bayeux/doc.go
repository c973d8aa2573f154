// Package bayeux is a Bayeux 1.0 server for the stock Faye client (npm faye 1.x) and for
// CometD-style clients.
//
// It pushes server events to browsers and programs over websocket, event streams (eventsource),
// long-polling, cross-origin-long-polling and callback-polling (JSONP), and serves the client
// library itself. It knows nothing of what the events are about: an [Authorizer] says who a session
// belongs to and which stream feeds a channel, a [Bus] brings the events. It needs no other package
// of its project.
//
//	srv, err := bayeux.New(authorizer, bus, bayeux.Options{Mount: "/faye", Client: clientFiles})
//	mux.Handle("/faye", srv)
//	mux.Handle("/faye/", srv)
//	mux.Handle("/faye.js", srv)
//	go srv.Run(ctx) // owns the bus, all timers and every goroutine; returns when all have ended
//
// The http.Server around it should have a ReadHeaderTimeout and no WriteTimeout: each response gets
// a deadline of its own when its hold is over. Nothing on the way may add
// Cross-Origin-Resource-Policy: same-origin, at which stock clients of other sites can't shake
// hands.
//
// # Streams and channels
//
// An [Event] names the streams it belongs to. A subscription's [Grant] names the stream that feeds
// it, so several channel names may be fed by one stream; a delivered message carries the name that
// was subscribed. What a late subscriber must see comes from [Grant.Latest]. A subscribe is
// answered when it has been read, so a client that was answered receives every event of what it
// starts then; what was read is delivered after the answer and before anything live.
//
// # Delivery
//
// Every session has one queue, bounded in messages and bytes, and one writer, so a client sees
// events in the order in which the bus delivered them. A message stays in the session until its
// receipt is known: over HTTP until the next connect with a new id (a repeated id gets its batch
// again), over a websocket until a pong that answers a ping sent after it, on an event stream until
// the browser comes back with a later Last-Event-ID, for which a stream is ended when half a
// queue's worth has gone out on it. What is not known to have arrived when a connection ends is
// delivered again on the next one, so a client may see a message twice but not miss one; put a
// sequence number into the data where that matters. Of an event stream whose client never sends a
// Last-Event-ID only the newest half of a queue is kept.
//
// A slow client gets only the newest of the events that replace one another ([Event.Key] and
// [Event.Phase]) and every final one. When even those do not fit it loses its session: after 5 to
// 10 s (Options.RetryAfter) it shakes hands anew and gets the latest state. What is published in
// one request or frame shares a response where the bus delivers at once.
//
// # Acknowledgements
//
// A handshake with ext {"ack":true} negotiates CometD's extension: every connect reply that brings
// messages carries ext {"ack":N}, the next connect's ext {"ack":N} says what was received, and
// later batches are sent again, in order. Messages then travel only in connect replies, also on a
// websocket. A connect without an ack says that everything has come, one whose ack is no integer
// that nothing has. An event stream goes on as without it.
//
// # Replay
//
// The newest events of each stream are kept for a while (Options.ReplayEvents, ReplayFor,
// ReplayBytes). A subscribe whose ext has a member replay gets those it missed before anything
// live, and its deliveries carry ext {"replay":P}, where P grows from one to the next:
//
//	"ext":{"replay":true}         nothing yet, but report the positions
//	"ext":{"replay":P}            what came after that position
//	"ext":{"replay":5}            what has a sequence number of its publisher's ([Event.Seq])
//	                              above 5, or none
//	"ext":{"replay":0}            all that is kept
//	"ext":{"replay":{"/a":P}}     each channel its own
//
// A replay takes at most half of the session's queue. Older messages are left out, and the reply to
// the subscribe counts them:
//
//	"ext":{"replay":{"skipped":{"/a":120}}}
//
// What waits for the client already is not replayed again, and of a pattern nothing in /service and
// /meta. [Grant.Latest] is cut likewise.
//
// Positions are times, so that they are good at another replica too, which may repeat the last five
// seconds.
//
// # Publishing
//
// Clients may publish only where the Authorizer is a [Publisher] and allows it. A message is made
// anew of its channel and data, so nothing else that its sender put into it reaches the clients of
// others; one that is sent again by its session with its id within a minute is delivered once, so
// ids must not be used twice, not even for other channels or data; what goes to /service goes to
// the Publisher alone, with the same rules.
//
// # Bounds
//
// Everything that a stranger controls has a bound in [Options], and each bound its answer: an HTTP
// status, a Bayeux error, advice to come back later, or the end of the connection. A refused
// handshake is advised to stop for good, since the stock client would repeat it without a pause;
// only a *[Refusal] with RetryAfter makes a client try again.
//
// # Concurrency
//
// All methods of [Server] and [LocalBus] may be called concurrently. Delivery never waits for a
// client: a slow socket blocks only its own writer, which exists only while there is something to
// write. Locks are taken in this order: hub, session, then socket, server, history and
// clock.
//
// # Layout
//
// This package holds sessions, transports and the server. The grammar and the messages are in
// internal/protocol, queues and what is known of deliveries in internal/queue, the kept events in
// internal/history, deadlines in internal/timer. Command bayeuxd, below this package, is the server
// as a program of its own.
package bayeux
