package httpapi

import (
	"context"
	"net/http"
)

// Reply is an output that says more than its data: the envelope's text, further top-level fields, or another HTTP status.
type Reply[T any] struct {
	Data T
	// Msg replaces the envelope's success text: remark in A, msg in B, D and E. Empty keeps the usual one; B shows none.
	Msg string
	// NoData leaves the data key out (B's saves, which answer a text only).
	NoData bool
	// Top holds further top-level fields in order, such as B's page_info.
	Top []TopField
	// Status is the HTTP status; 0 is 200.
	Status int
}

// TopField is one field beside the envelope's own.
type TopField struct {
	Name  string
	Value any
}

type headerKey struct{}

// SetHeader adds a header to the answer of the request that ctx belongs to. It works from anywhere below a handler, for
// answers and errors alike, and does nothing outside a request.
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
