package bayeux

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Names of the protocol's own channels.
const (
	metaHandshake   = "/meta/handshake"
	metaConnect     = "/meta/connect"
	metaSubscribe   = "/meta/subscribe"
	metaUnsubscribe = "/meta/unsubscribe"
	metaDisconnect  = "/meta/disconnect"
)

const (
	typeWebsocket   = "websocket"
	typeEventSource = "eventsource"
)

// connectionTypes are the transports served, in the order in which they are advertised.
var connectionTypes = []string{"long-polling", "cross-origin-long-polling", "callback-polling", typeWebsocket, typeEventSource}

// reply is the answer to one message. Successful is on every reply and on no delivery: clients tell them apart by it.
type reply struct {
	ID           json.RawMessage `json:"id,omitempty"`
	Channel      string          `json:"channel,omitempty"`
	Successful   bool            `json:"successful"`
	Version      string          `json:"version,omitempty"`
	Types        []string        `json:"supportedConnectionTypes,omitempty"`
	ClientID     string          `json:"clientId,omitempty"`
	Subscription json.RawMessage `json:"subscription,omitempty"`
	Error        string          `json:"error,omitempty"`
	Ext          json.RawMessage `json:"ext,omitempty"`
	Advice       *advice         `json:"advice,omitempty"`
}

// advice tells a client how to go on. Clients keep a member until it is overwritten, so a reply that ends an exception
// carries all three.
type advice struct {
	Reconnect string `json:"reconnect"`
	Interval  *int64 `json:"interval,omitempty"` // milliseconds
	Timeout   *int64 `json:"timeout,omitempty"`  // milliseconds
}

func retryAdvice(interval, timeout time.Duration) *advice {
	i, t := interval.Milliseconds(), timeout.Milliseconds()
	return &advice{Reconnect: "retry", Interval: &i, Timeout: &t}
}

// handshakeAdvice sends the client back to the handshake. The interval matters after a refused handshake, where the stock
// client would otherwise loop without a pause.
func handshakeAdvice(interval time.Duration) *advice {
	if interval == 0 {
		return &advice{Reconnect: "handshake"}
	}
	i := interval.Milliseconds()
	return &advice{Reconnect: "handshake", Interval: &i}
}

// handshakeNow is handshakeAdvice for clients of event streams, whose last interval is a whole timeout.
func handshakeNow(interval time.Duration) *advice {
	i := interval.Milliseconds()
	return &advice{Reconnect: "handshake", Interval: &i}
}

// streamAdvice tells the client of an event stream to connect again only after a timeout.
func streamAdvice(timeout time.Duration) *advice { return retryAdvice(timeout, 0) }

func (r *reply) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("bayeux: a reply of checked JSON must encode: " + err.Error())
	}
	return b
}

// fail turns the reply into a refusal.
func (r *reply) fail(e *failure) *reply {
	r.Successful = false
	r.Error = e.String()
	return r
}

// failure is a protocol error, in the form code:args:text.
type failure struct {
	code int
	args string
	text string
}

func (f *failure) String() string {
	return strconv.Itoa(f.code) + ":" + f.args + ":" + f.text
}

func typesMismatch(asked []string) *failure {
	return &failure{301, cleanArgs(asked...), "Connection types not supported"}
}
func unknownClient(id string) *failure { return &failure{401, cleanArgs(id), "Unknown client"} }
func missing(param string) *failure {
	return &failure{402, param, "Missing required parameter"}
}
func forbidden(channel string) *failure {
	return &failure{403, cleanArgs(channel), "Forbidden channel"}
}
func invalid(channel string) *failure { return &failure{405, cleanArgs(channel), "Invalid channel"} }

// maxArg bounds what of a bad value is echoed in an error.
const maxArg = 256

// cleanArgs joins error arguments. The client parses errors by a strict grammar and gives up on the code when another
// character stands in them, so others become underscores.
func cleanArgs(args ...string) string {
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
		b.WriteString(cleanText(arg))
	}
	return b.String()
}

func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (nameByte(byte(r)) || strings.ContainsRune(" /*.", r)) {
			return r
		}
		return '_'
	}, s)
}
