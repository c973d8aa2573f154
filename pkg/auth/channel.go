package auth

import (
	"context"

	"exporthub/pkg/event"
)

// ChannelRule says who may subscribe to the channels under a prefix, and which stream of events
// feeds them. Systems and the engine declare rules; the realtime server asks them. No rule, no
// subscription.
type ChannelRule struct {
	// Prefix is the first segment with its slashes: "/export/".
	Prefix string
	// Resolve turns a subscribed name into the stream that feeds it, or says why not (Forbidden for
	// "unknown" and "not yours" alike, so that names can't be enumerated). p is nil for an
	// anonymous session. Wildcards never get here.
	Resolve func(ctx context.Context, p *Principal, channel string) (Subscription, error)
}

// Subscription is an allowed subscription.
type Subscription struct {
	// Stream is the name events are published under.
	Stream string
	// StillAllowed says how long the subscription holds: it is asked again and again while it
	// lives, with the rights that the subscriber has by then (nil for an anonymous session). It
	// answers from memory. Nothing is granted without it: what a right has opened ends with it.
	StillAllowed func(ctx context.Context, p *Principal) bool
	// Latest returns what a late subscriber is sent at once; nil means nothing.
	Latest func(ctx context.Context) ([]event.Event, error)
}
