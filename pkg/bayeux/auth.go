package bayeux

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Principal is who a session belongs to. An empty ID is an anonymous one.
type Principal struct {
	// ID names the person or program; sessions with one ID share a limit
	// (Options.MaxSessionsPerPrincipal).
	ID string
	// Expires ends the session at that time; zero never does.
	Expires time.Time
	// Data is the Authorizer's own; the server passes it on untouched.
	Data any
}

// Request is what an Authorizer may look at.
type Request struct {
	// HTTP is the request that carried the message: for a message on a websocket the upgrade
	// request, without its body.
	HTTP *http.Request
	// Ext is the message's ext member as it was sent, nil when there was none.
	Ext json.RawMessage
	// CookieCounts says whether a cookie of HTTP may identify its sender: the page that sent it is
	// of our own origin or of an allow-listed one. A cookie that does not count must be ignored,
	// since any page can make a browser send it.
	CookieCounts bool
}

// Authorizer decides who may do what. Its methods are called concurrently, outside all locks, with
// a context that ends after Options.AuthTimeout.
type Authorizer interface {
	// Handshake says who the sender is. An error refuses the session, and the client is instructed
	// to stop for good, unless it is a *Refusal with RetryAfter.
	Handshake(ctx context.Context, r Request) (Principal, error)
	// Subscribe decides on one channel name or pattern, valid in form and outside /meta and
	// /service. An error is answered with 403 (a *Refusal may choose another code); a *Refusal with
	// RetryAfter makes the client ask again.
	Subscribe(ctx context.Context, p Principal, channel string) (Grant, error)
	// Alive says whether the principal's sessions may go on. It is asked on every connect and every
	// Options.CheckEvery for every session, so it has to answer from memory; false destroys the
	// session. When it cannot know, true is the right answer.
	Alive(ctx context.Context, p Principal) bool
}

// Matcher may be implemented by an Authorizer to hold a session to its principal: Matches reports
// whether what comes with a later message of a session lets it speak for the principal. Whether a
// message without credentials does is the Authorizer's decision. A message that does not match is
// answered as if its clientId were unknown.
type Matcher interface {
	Matches(ctx context.Context, r Request, p Principal) bool
}

// Grant resolves a subscribed name.
type Grant struct {
	// Stream feeds the subscription; empty means the stream named like the channel. For a pattern
	// it is empty or a pattern over stream names; events then arrive under the name of the stream
	// that matched.
	Stream string
	// Audience names the person for whom the subscription receives, if ends (Event.Final) that have
	// arrived on it are to be remembered as received by that person, for all servers whose Bus is a
	// Memory. Empty remembers nothing.
	Audience string
	// EndsOnce leaves out of Latest what the Audience has received the end of; see Memory. It is
	// for pages that act on every end they see, and subscribe anew with every page load. It needs
	// an Audience.
	EndsOnce bool
	// Valid is asked every Options.CheckEvery; false drops the subscription. Nil means valid for as
	// long as the session.
	Valid func() bool
	// Latest returns the present state, oldest first: it is called when the subscription is made,
	// again on each repeated subscribe, and again after the bus lost events, with a context that
	// ends after Options.LatestTimeout. Its events are delivered before anything live. On failure
	// the subscription goes on with live events only. May be nil.
	Latest func(ctx context.Context) ([]Event, error)
}

// Refusal is an error with which an Authorizer chooses the answer to a refused client.
type Refusal struct {
	// Code is a Bayeux error code; 0 means 403.
	Code int
	// Text is the reason in plain ASCII (letters, digits, spaces and -_!~()$@/*.); empty means the
	// code's usual text.
	Text string
	// RetryAfter marks a condition that passes, such as a database that is away: the client tries
	// again after about that time instead of giving up.
	RetryAfter time.Duration
}

// Error returns the reason.
func (r *Refusal) Error() string {
	if r.Text == "" {
		return "refused"
	}
	return r.Text
}
