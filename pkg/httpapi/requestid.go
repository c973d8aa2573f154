package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

type requestIDKey struct{}

// RequestID returns the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID returns a context of a request with that id, for callers that are not behind Mount.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// withRequestID returns the request's id: the one it carries, when that is safe to log and to
// answer, or a new one.
func withRequestID(r *http.Request) (context.Context, string) {
	if id := RequestID(r.Context()); id != "" {
		return r.Context(), id
	}
	id := r.Header.Get("X-Request-Id")
	if !saneID(id) {
		id = uuid.NewString()
	}
	return context.WithValue(r.Context(), requestIDKey{}, id), id
}

func saneID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
