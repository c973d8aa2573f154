package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"exporthub/pkg/errs"
)

// statusClientGone is what the log says of a request whose client did not wait. Nobody receives it.
const statusClientGone = 499

// MaxRequestLine is the longest target of a request in bytes: what nginx, the proxies of
// development and this server are all set to. A longer one is refused here, in the system's own
// envelope, because the proxies' and net/http's own refusals are HTML and plain text that no page
// can show.
const MaxRequestLine = 16 << 10

// codeLineTooLong gets the HTTP status 414, which no kind stands for.
const codeLineTooLong = "request_line_too_long"

// retryUnavailable is the Retry-After of a part that is away for an unknown time.
const retryUnavailable = 5 * time.Second

// exchange is one request on its way through a route. It belongs to the goroutine that serves the
// request; opts is nil once the log line is written, which is what makes finish idempotent.
type exchange struct {
	opts  *Options
	route *Route
	w     middleware.WrapResponseWriter
	r     *http.Request
	began time.Time
	body  *heldBody // nil when nothing of a body is held
	err   error     // what the answer was made of, for the log line
	stack []byte
}

// handler serves one route: the only place that writes envelopes, the log line and the metric.
func (opts Options) handler(route Route) http.Handler {
	route.takes = len(route.Inputs()) > 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, id := withRequestID(r)
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		ctx = WithHeader(WithLocation(ctx, opts.Location), w.Header())
		x := &exchange{
			opts:  &opts,
			route: &route,
			w:     middleware.NewWrapResponseWriter(w, r.ProtoMajor),
			r:     r.WithContext(ctx),
			began: opts.Now(),
		}
		x.serve()
	})
}

func (x *exchange) serve() {
	defer x.finish()
	defer func() {
		// What was decoded from it is held until here.
		if x.body != nil {
			x.body.end()
		}
	}()
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		x.err, x.stack = fmt.Errorf("panic: %v", v), debug.Stack()
		// A panic becomes a 500 of the system's own shape: the server would only close the
		// connection, and the page would show a network error.
		if v == http.ErrAbortHandler {
			x.finish()
			panic(v) // the server's own way to cut a connection
		}
		x.fail(x.err)
	}()
	if err := x.run(); err != nil {
		x.err = err
		if errs.Is(err, errs.Forbidden) {
			x.opts.Denied(x.r.Context(), *x.route, err)
		}
		x.fail(err)
	}
}

// succeed answers what a handler returned. The status is the reply's, else the route's, else 200.
func (x *exchange) succeed(r reply) error {
	status := r.status
	if status == 0 {
		status = x.route.Status
	}
	if status == 0 {
		status = http.StatusOK
	}
	if estimated(r) {
		x.w.Header().Set("X-Total-Estimated", "1")
	}
	if x.notModified(status) {
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if r.key == "" {
		r.key = x.route.dataKey()
	}
	body, err := success(x.route.Envelope, r, status)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	// A Native reply without data has no body, for which 204 is the status (RFC 9110, section
	// 15.3.5).
	if body == nil {
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
		x.w.WriteHeader(status)
		return nil
	}
	writeObject(x.w, status, "application/json; charset=utf-8", body)
	return nil
}

// notModified reports whether the caller has this answer already (RFC 9110, section 13.1.2).
func (x *exchange) notModified(status int) bool {
	tag := x.w.Header().Get("ETag")
	if x.route.Envelope != Native || x.r.Method != http.MethodGet || status != http.StatusOK || tag == "" {
		return false
	}
	for _, have := range strings.Split(x.r.Header.Get("If-None-Match"), ",") {
		// Weak comparison (RFC 9110, section 8.8.3.2): proxies that compress turn tags into weak
		// ones.
		have = strings.TrimSpace(have)
		if have == "*" || strings.TrimPrefix(have, "W/") == tag {
			return true
		}
	}
	return false
}

// fail answers an error, unless an answer has begun.
func (x *exchange) fail(err error) {
	if x.w.Status() != 0 {
		return // a file or stream has begun; the client sees it end early, the log line says why
	}
	f := failureOf(err, RequestID(x.r.Context()))
	if e := errs.As(err); e != nil {
		if e.Location != "" {
			x.w.Header().Set("Location", e.Location)
		}
		if e.RetryAfter > 0 {
			setRetryAfter(x.w.Header(), e.RetryAfter)
		}
	}
	if f.kind == errs.Unavailable && x.w.Header().Get("Retry-After") == "" {
		setRetryAfter(x.w.Header(), retryUnavailable)
	}
	// What a handler had set for the answer it did not give.
	for _, name := range []string{"ETag", "Cache-Control", "Content-Disposition", "Content-Length", "Content-Encoding"} {
		x.w.Header().Del(name)
	}
	body, bodyErr := f.body(x.route.Envelope)
	if bodyErr != nil { // strings and numbers always encode
		x.w.WriteHeader(http.StatusInternalServerError)
		return
	}
	contentType := "application/json; charset=utf-8"
	if x.route.Envelope == Native {
		contentType = "application/problem+json"
	}
	writeObject(x.w, f.status(x.route.Envelope), contentType, body)
}

// setRetryAfter rounds up to whole seconds, at least one.
func setRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
}

func writeObject(w http.ResponseWriter, status int, contentType string, o *object) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	body := o.bytes()
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only when the client has gone
}

// finish writes the log line and the metric, once.
func (x *exchange) finish() {
	// Called again when a panic with ErrAbortHandler passes through both deferred functions.
	if x.opts == nil {
		return
	}
	opts := x.opts
	x.opts = nil
	took := opts.Now().Sub(x.began)
	status := x.w.Status()
	if status == 0 {
		status = http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	ctx := x.r.Context()
	if x.clientGone() {
		status = statusClientGone
	}
	opts.Observe(x.route.Path, x.r.Method, status, took)
	attrs := []slog.Attr{
		slog.String("method", x.r.Method), slog.String("route", x.route.Path), slog.Int("status", status),
		slog.Duration("duration", took), slog.String("request_id", RequestID(ctx)),
	}
	if person := opts.Person(ctx); person != "" {
		attrs = append(attrs, slog.String("person", person))
	}
	level := slog.LevelInfo
	if x.err != nil {
		attrs = append(attrs, slog.String("code", errs.CodeOf(x.err)))
		if status != statusClientGone {
			level = severity(x.err)
		}
		if level > slog.LevelInfo {
			attrs = append(attrs, slog.String("error", x.err.Error()))
		}
		if x.stack != nil {
			attrs = append(attrs, slog.String("stack", string(x.stack)))
		}
	}
	// The request's own context may be done, and the line is written all the same.
	opts.Logger.LogAttrs(context.WithoutCancel(ctx), level, "request", attrs...)
}

// severity returns how loud an error is: what is ours is an error, a part that is away a warning,
// the rest an answer like any other.
func severity(err error) slog.Level {
	switch e := errs.As(err); errs.KindOf(err) {
	case errs.Internal:
		return slog.LevelError
	case errs.Unavailable:
		if e == nil || e.Cause != nil {
			return slog.LevelWarn
		}
	}
	return slog.LevelInfo
}

// clientGone reports whether the answer failed because nobody waits for it any more.
func (x *exchange) clientGone() bool {
	return x.err != nil && x.stack == nil && x.r.Context().Err() != nil && errors.Is(x.r.Context().Err(), context.Canceled)
}
