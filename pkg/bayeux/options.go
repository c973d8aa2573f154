package bayeux

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Options are a server's settings. The zero value of each field means its default.
type Options struct {
	// Mount is the path of the endpoint, without a slash at its end. Default "/faye".
	Mount string
	// Client holds the files of the npm package's client folder: faye-browser-min.js,
	// faye-browser.js and their .map files. They are read once, by New; a missing one is answered
	// with 404. Default none.
	Client fs.FS

	// AllowedOrigins are the origins ("https://example.com") beside the server's own whose pages
	// may use it with cookies.
	AllowedOrigins []string
	// AnonymousFromAnyOrigin admits pages of all other origins too; their cookies do not count.
	AnonymousFromAnyOrigin bool
	// AllowPatterns lets the Authorizer decide on subscriptions with * and **; otherwise they are
	// refused.
	AllowPatterns bool

	// Timeout is how long a connect is held. Default 45 s.
	Timeout time.Duration
	// Expiry ends a session that long after its last connect. Default 2 x Timeout + 5 s, the stock
	// client's pause between tries.
	Expiry time.Duration
	// PingEvery is the pause between pings on a quiet websocket; a socket from which nothing, not
	// even a pong, came for two of them is closed. Default 25 s.
	PingEvery time.Duration
	// StreamPing is the pause between comments on an event stream, which keep proxies from cutting
	// it. Default 10 s.
	StreamPing time.Duration
	// ProofAfter is the pause after which a socket that got messages is asked by a ping whether
	// they arrived. Default 1 s.
	ProofAfter time.Duration
	// IdleSocket closes a websocket that belongs to no session for that long. Default Timeout.
	IdleSocket time.Duration
	// WriteTimeout bounds the writing of one frame or response. Default 10 s.
	WriteTimeout time.Duration
	// CheckEvery is the pause between two rounds that ask Authorizer.Alive and Grant.Valid. Default
	// 2 s.
	CheckEvery time.Duration
	// AuthTimeout bounds one call of the Authorizer. Default 5 s.
	AuthTimeout time.Duration
	// LatestTimeout bounds one call of Grant.Latest. Default 5 s.
	LatestTimeout time.Duration
	// LatestDelay is how long a state that Grant.Latest has read ahead of the live events of a
	// subscription is kept back, so that those come first and none of them is skipped. If they
	// don't come in that time, they are lost, and the state is delivered. Default 1 s.
	LatestDelay time.Duration
	// Repeat marks the data of a message that is sent again although it may have arrived, so that
	// its reader can see it. It must return JSON. Default: the data stays as it is.
	Repeat func(data json.RawMessage) json.RawMessage
	// RetryAfter is what a client whose handshake failed for a passing reason, or whose session
	// overflowed, has to wait, at the least: up to twice that, to each another time. Default 5 s.
	RetryAfter time.Duration
	// DrainSpread is the time over which clients of a server that ends are spread. Default 5 s.
	DrainSpread time.Duration
	// DrainTimeout bounds the goodbye to sockets and polls at the end of Run; what is left then is
	// cut. Default 5 s.
	DrainTimeout time.Duration

	// MaxBody is the largest request body and websocket frame in bytes (413, or a close with 1009).
	// Default 1 MiB.
	MaxBody int64
	// MaxBatch is the number of messages in one body or frame. Of more each is refused (400), of
	// more than ten times as many the whole body or frame, with HTTP status 400 or by ignoring it.
	// Default 1000.
	MaxBatch int
	// MaxNesting is how deep objects and arrays may stand in one another in a body or frame; a
	// message that is deeper is refused (400). Default 64.
	MaxNesting int
	// BodyTimeout bounds the reading of a request's body, and of a websocket's message from its
	// first byte to its last. Default 30 s.
	BodyTimeout time.Duration
	// MaxUnread is how many bytes bodies and messages that have not come whole may hold in memory,
	// MaxUnreadPerAddress how many of them those of one address, per /48 twice as many. Beyond it a
	// body is answered with 503 and a socket is closed. Defaults 64 MiB and 8 MiB.
	MaxUnread, MaxUnreadPerAddress int64
	// MaxChannel is the length of a channel name in bytes (405). Default 256.
	MaxChannel int
	// MaxSubscriptions is the number per session (403). Default 100.
	MaxSubscriptions int
	// MaxSessions is the number on this server; more handshakes are put off. Default
	// 100,000.
	MaxSessions int
	// ReservedSessions is how many of MaxSessions only principals with an ID may have. Where
	// anonymous ones use up the rest, or what an address may have, those that subscribe to nothing
	// are given up, the oldest first; those with a subscription never are. Negative is none.
	// Default half of MaxSessions.
	ReservedSessions int
	// MaxSessionsPerPrincipal is the number per Principal.ID; likewise. Anonymous ones don't count.
	// Default 200.
	MaxSessionsPerPrincipal int
	// Address names the network address a request comes from; behind a proxy it has to be read from
	// the header that the proxy sets. Default RemoteAddress.
	Address func(*http.Request) string
	// MaxSessionsPerAddress is the number of anonymous sessions per address, of IPv6 per /64, and
	// twice as many per /48; more are put off. One address may be a whole company, or a proxy, so
	// people who are known are counted by their ID alone. Default 20,000.
	MaxSessionsPerAddress int
	// MaxSockets and MaxSocketsPerAddress are the numbers of websockets, bound to a session or not,
	// per /48 twice as many as per address. For more, the oldest that carries no session is closed,
	// and where there is none they get 503. Defaults 120,000 and 20,000.
	MaxSockets, MaxSocketsPerAddress int
	// HandshakeRate is the number of handshakes a second of one address, per /48 twice as many,
	// HandshakeBurst how many may come at once; more are put off. Those of principals with an ID
	// count for the principal instead. Defaults 1000 and 10,000.
	HandshakeRate, HandshakeBurst int
	// QueueMessages and QueueBytes bound what waits for one session, after replaced events were
	// dropped; a session that needs more is destroyed. Defaults 1000 and 1 MiB.
	QueueMessages int
	QueueBytes    int
	// CoalesceAfter is the number of waiting messages from which on replaced events are dropped.
	// Default 64.
	CoalesceAfter int
	// MaxKeys is the number of (channel, Key) pairs whose newest Seq a session remembers; the
	// oldest is dropped first. Default 1024.
	MaxKeys int
	// LatestWorkers is the number of Grant.Latest calls under way at once. Default 16.
	LatestWorkers int

	// ReplayEvents is the number of each stream's newest events that are kept for clients that ask
	// for what they missed (ext.replay); negative keeps none. ReplayFor is how long they are kept,
	// ReplayBytes about what all of them may take. Defaults 100, 5 minutes and 16 MiB.
	ReplayEvents int
	ReplayFor    time.Duration
	ReplayBytes  int
	// PublishRate is how many messages a second one session may publish where an Authorizer that is
	// a Publisher allows it, and PublishBurst how many at once (407). Defaults 100 and 1000.
	PublishRate, PublishBurst int

	// Logger gets what an operator should know; never a clientId, ext, or more of a channel than
	// its first segment. What others can cause at will is logged at most once a second, with how
	// often it happened. Default none.
	Logger *slog.Logger
}

// clientIDLength is how many characters the ids of sessions have.
const clientIDLength = 31

// maxClientID is the length of the longest clientId that is looked up.
const maxClientID = 64

func (o Options) withDefaults() (Options, error) {
	orDuration(&o.Timeout, 45*time.Second)
	orDuration(&o.Expiry, 2*o.Timeout+5*time.Second)
	orDuration(&o.PingEvery, 25*time.Second)
	orDuration(&o.StreamPing, 10*time.Second)
	orDuration(&o.ProofAfter, time.Second)
	orDuration(&o.IdleSocket, o.Timeout)
	orDuration(&o.WriteTimeout, 10*time.Second)
	orDuration(&o.CheckEvery, 2*time.Second)
	orDuration(&o.AuthTimeout, 5*time.Second)
	orDuration(&o.LatestTimeout, 5*time.Second)
	orDuration(&o.LatestDelay, time.Second)
	orDuration(&o.RetryAfter, 5*time.Second)
	orDuration(&o.DrainSpread, 5*time.Second)
	orDuration(&o.DrainTimeout, 5*time.Second)
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.MaxUnread = cmp.Or(o.MaxUnread, 64<<20)
	o.MaxUnreadPerAddress = cmp.Or(o.MaxUnreadPerAddress, 8<<20)
	orInt(&o.MaxBatch, 1000)
	orInt(&o.MaxChannel, 256)
	orInt(&o.MaxSubscriptions, 100)
	orInt(&o.MaxSessions, 100_000)
	orInt(&o.ReservedSessions, o.MaxSessions/2)
	orInt(&o.MaxSessionsPerPrincipal, 200)
	orInt(&o.MaxSessionsPerAddress, 20_000)
	orInt(&o.MaxSockets, 120_000)
	orInt(&o.MaxSocketsPerAddress, 20_000)
	orInt(&o.HandshakeRate, 1000)
	orInt(&o.HandshakeBurst, 10_000)
	orInt(&o.MaxNesting, 64)
	orDuration(&o.BodyTimeout, 30*time.Second)
	orInt(&o.QueueMessages, 1000)
	orInt(&o.QueueBytes, 1<<20)
	orInt(&o.CoalesceAfter, 64)
	orInt(&o.MaxKeys, 1024)
	orInt(&o.LatestWorkers, 16)
	orInt(&o.ReplayEvents, 100)
	orDuration(&o.ReplayFor, 5*time.Minute)
	orInt(&o.ReplayBytes, 16<<20)
	orInt(&o.PublishRate, 100)
	orInt(&o.PublishBurst, 1000)
	if o.Mount == "" {
		o.Mount = "/faye"
	}
	if o.Address == nil {
		o.Address = RemoteAddress
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, o.check()
}

func (o Options) check() error {
	var problems []error
	if !strings.HasPrefix(o.Mount, "/") || strings.HasSuffix(o.Mount, "/") {
		problems = append(problems, fmt.Errorf("mount %q must start with a slash and not end with one", o.Mount))
	}
	if o.Expiry <= o.Timeout {
		problems = append(problems, fmt.Errorf("expiry %v must exceed the timeout %v: a held connect is not renewed", o.Expiry, o.Timeout))
	}
	for _, origin := range o.AllowedOrigins {
		if !strings.Contains(origin, "://") || strings.HasSuffix(origin, "/") {
			problems = append(problems, fmt.Errorf("allowed origin %q must look like https://example.com", origin))
		}
	}
	for name, n := range map[string]int64{
		"Timeout": int64(o.Timeout), "PingEvery": int64(o.PingEvery), "StreamPing": int64(o.StreamPing), "CheckEvery": int64(o.CheckEvery), "MaxBody": o.MaxBody,
		"MaxBatch": int64(o.MaxBatch), "MaxChannel": int64(o.MaxChannel), "MaxSubscriptions": int64(o.MaxSubscriptions),
		"MaxSessions": int64(o.MaxSessions), "QueueMessages": int64(o.QueueMessages), "QueueBytes": int64(o.QueueBytes),
		"MaxSessionsPerAddress": int64(o.MaxSessionsPerAddress), "MaxSockets": int64(o.MaxSockets),
		"MaxSocketsPerAddress": int64(o.MaxSocketsPerAddress), "HandshakeRate": int64(o.HandshakeRate), "HandshakeBurst": int64(o.HandshakeBurst),
		"MaxNesting": int64(o.MaxNesting), "PublishRate": int64(o.PublishRate), "PublishBurst": int64(o.PublishBurst),
		"ReplayBytes": int64(o.ReplayBytes), "ReplayFor": int64(o.ReplayFor), "BodyTimeout": int64(o.BodyTimeout),
		"LatestWorkers": int64(o.LatestWorkers), "MaxKeys": int64(o.MaxKeys), "CoalesceAfter": int64(o.CoalesceAfter),
		"MaxUnread": o.MaxUnread, "MaxUnreadPerAddress": o.MaxUnreadPerAddress,
	} {
		if n < 0 {
			problems = append(problems, fmt.Errorf("%s must not be negative", name))
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("bayeux options: %w", errors.Join(problems...))
	}
	return nil
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

func orInt(n *int, def int) {
	if *n == 0 {
		*n = def
	}
}
