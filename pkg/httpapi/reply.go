package httpapi

import (
	"context"
	"net/http"
	"strings"
)

// Reply is an output that says more than its data: the envelope's text, further top-level fields,
// or another HTTP status.
type Reply[T any] struct {
	Data T
	// Msg replaces the envelope's success text: remark in A, msg in B, D and E. Empty keeps the
	// usual one; B shows none.
	Msg string
	// Key names the data key where a system's documents call it otherwise, as C's "date". Empty is
	// the route's own, see WithDataKey.
	Key string
	// NoData leaves the data key out (B's saves, which answer a text only). Native then answers no
	// body.
	NoData bool
	// Top holds further top-level fields in order, such as B's page_info. Native has no top level
	// beside its data and leaves them out.
	Top []TopField
	// Status is the HTTP status; 0 is the route's own, see WithStatus.
	Status int
}

// reply is a Reply of any type.
type reply struct {
	data   any
	msg    string
	key    string
	noData bool
	top    []TopField
	status int
}

func (r Reply[T]) reply() reply {
	return reply{data: r.Data, msg: r.Msg, key: r.Key, noData: r.NoData, top: r.Top, status: r.Status}
}

// replier is a Reply[T] of any T.
type replier interface{ reply() reply }

// Choice is data that is one of several shapes, such as a list's page or an export's ticket. It is
// written as Chosen, with everything this package does for output.
type Choice interface{ Chosen() any }

// replyOf returns what a handler answered as a reply.
func replyOf(out any) reply {
	r := reply{data: out}
	if whole, ok := out.(replier); ok {
		r = whole.reply()
	}
	if c, ok := r.data.(Choice); ok {
		r.data = c.Chosen()
	}
	return r
}

// TopField is one field beside the envelope's own.
type TopField struct {
	Name  string
	Value any
}

type headerKey struct{}

// SetHeader adds a header to the answer of the request that ctx belongs to. It works from anywhere
// below a handler, for answers and errors alike, and does nothing outside a request.
func SetHeader(ctx context.Context, name, value string) {
	if h, ok := ctx.Value(headerKey{}).(http.Header); ok {
		h.Set(name, value)
	}
}

// AddCookie sets a cookie on the answer of the request that ctx belongs to.
func AddCookie(ctx context.Context, c *http.Cookie) {
	if h, ok := ctx.Value(headerKey{}).(http.Header); ok {
		h.Add("Set-Cookie", c.String())
	}
}

// WithHeader returns a context whose SetHeader calls land in h.
func WithHeader(ctx context.Context, h http.Header) context.Context {
	return context.WithValue(ctx, headerKey{}, h)
}

// SetETag names the version of what is answered; quotes are put around it where they are missing. A
// Native GET that carries the same one in If-None-Match is answered 304 without a body; caches keep
// such answers but ask every time.
func SetETag(ctx context.Context, tag string) {
	if !strings.HasSuffix(tag, `"`) {
		tag = `"` + tag + `"`
	}
	SetHeader(ctx, "ETag", tag)
	SetHeader(ctx, "Cache-Control", "private, no-cache")
}
