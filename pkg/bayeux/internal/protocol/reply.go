package protocol

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Names of the protocol's own channels.
const (
	MetaHandshake   = "/meta/handshake"
	MetaConnect     = "/meta/connect"
	MetaSubscribe   = "/meta/subscribe"
	MetaUnsubscribe = "/meta/unsubscribe"
	MetaDisconnect  = "/meta/disconnect"
)

// Connection types that are treated apart from the others.
const (
	TypeWebsocket   = "websocket"
	TypeEventSource = "eventsource"
)

// ConnectionTypes are the transports served, in the order in which they are advertised. A client
// moves to the first of its own that is listed here.
var ConnectionTypes = []string{
	"long-polling",
	"cross-origin-long-polling",
	"callback-polling",
	TypeWebsocket,
	TypeEventSource,
}

// Reply is the answer to one message. Successful is on every reply and on no delivery: clients
// distinguish the two by it.
type Reply struct {
	ID           json.RawMessage `json:"id,omitempty"`
	Channel      string          `json:"channel,omitempty"`
	Successful   bool            `json:"successful"`
	Version      string          `json:"version,omitempty"`
	Types        []string        `json:"supportedConnectionTypes,omitempty"`
	ClientID     string          `json:"clientId,omitempty"`
	Subscription json.RawMessage `json:"subscription,omitempty"`
	Error        string          `json:"error,omitempty"`
	Ext          json.RawMessage `json:"ext,omitempty"`
	Advice       *Advice         `json:"advice,omitempty"`
}

// Advice instructs a client how to go on. Clients keep a member until it is overwritten, so a
// reply that ends an exception carries all three.
type Advice struct {
	Reconnect string `json:"reconnect"`
	Interval  *int64 `json:"interval,omitempty"` // milliseconds
	Timeout   *int64 `json:"timeout,omitempty"`  // milliseconds
}

// RetryAdvice makes the client connect again after the interval and expect an answer within the
// timeout.
func RetryAdvice(interval, timeout time.Duration) *Advice {
	i, t := interval.Milliseconds(), timeout.Milliseconds()
	return &Advice{Reconnect: "retry", Interval: &i, Timeout: &t}
}

// HandshakeAdvice sends the client back to the handshake. The interval matters after a refused
// handshake: without one the stock client repeats it in a loop, 76 times a second when tried.
func HandshakeAdvice(interval time.Duration) *Advice {
	if interval == 0 {
		return &Advice{Reconnect: "handshake"}
	}
	return HandshakeNow(interval)
}

// HandshakeNow is HandshakeAdvice with the interval always named, for clients of event streams:
// the last interval they were given is a whole timeout, and they would wait that long.
func HandshakeNow(interval time.Duration) *Advice {
	i := interval.Milliseconds()
	return &Advice{Reconnect: "handshake", Interval: &i}
}

// StopAdvice ends a client for good: it neither shakes hands nor connects again.
func StopAdvice() *Advice { return &Advice{Reconnect: "none"} }

// StreamAdvice makes the client of an event stream connect again only after a timeout: its
// messages come on the stream, and the connect only shows that it is alive.
func StreamAdvice(timeout time.Duration) *Advice { return RetryAdvice(timeout, 0) }

// Encode returns the reply's JSON. A reply is made of checked parts, so there is no error.
func (r *Reply) Encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("bayeux: a reply of checked JSON must encode: " + err.Error())
	}
	return b
}

// Fail turns the reply into a refusal and returns it.
func (r *Reply) Fail(f *Failure) *Reply {
	r.Successful = false
	r.Error = f.String()
	return r
}

// Failure is a protocol error. Its text form is code:args:text (Bayeux 1.0, section 3.2.4).
type Failure struct {
	Code int
	Args string
	Text string
}

// NewFailure makes an error with arguments that are clean already.
func NewFailure(code int, args, text string) *Failure {
	return &Failure{Code: code, Args: args, Text: text}
}

// String returns the error as replies carry it.
func (f *Failure) String() string {
	return strconv.Itoa(f.Code) + ":" + f.Args + ":" + f.Text
}

// TypesMismatch refuses connection types of which the server has none.
func TypesMismatch(asked []string) *Failure {
	return &Failure{301, CleanArgs(asked...), "Connection types not supported"}
}

// UnknownClient says that there is no such session, or that it is another person's.
func UnknownClient(id string) *Failure { return &Failure{401, CleanArgs(id), "Unknown client"} }

// Missing names a parameter that is required.
func Missing(param string) *Failure { return &Failure{402, param, "Missing required parameter"} }

// Forbidden refuses a channel without a reason, so that names can't be tried out.
func Forbidden(channel string) *Failure {
	return &Failure{403, CleanArgs(channel), "Forbidden channel"}
}

// Invalid says that a channel is not in the grammar.
func Invalid(channel string) *Failure { return &Failure{405, CleanArgs(channel), "Invalid channel"} }

// maxArg bounds how many bytes of a bad value are echoed in an error.
const maxArg = 256

// CleanArgs joins error arguments. The stock client parses errors by a strict grammar and reports
// no code at all when another character stands in them, so others become underscores.
func CleanArgs(args ...string) string {
	var b strings.Builder
	for i, arg := range args {
		if b.Len() >= maxArg {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		if len(arg) > maxArg {
			arg = arg[:maxArg]
		}
		b.WriteString(CleanText(arg))
	}
	return b.String()
}

// CleanText replaces what the client's grammar of errors does not hold by underscores.
func CleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (nameByte(byte(r)) || strings.ContainsRune(" /*.", r)) {
			return r
		}
		return '_'
	}, s)
}
