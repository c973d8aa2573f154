package httpapi

import (
	"net/http"
	"reflect"
	"strings"

	"exporthub/pkg/errs"
)

// run authorizes, decodes, calls and answers.
//
// The order matters. A prefetch is refused before the caller is identified, since it must not count
// against any limit; the caller is identified before the body is read, so that strangers can't make
// the server read megabytes; a HandleHTTP route gets the body unread.
func (x *exchange) run() error {
	if err := x.checkLine(); err != nil {
		return err
	}
	query, err := parseForm(x.r.URL.RawQuery)
	if err != nil {
		return err
	}
	safe := isSafe(x.r)
	// A POST that comes to a GET's route starts something, or mount would not have sent it here.
	posted := !safe && x.route.Method == http.MethodGet
	starting := posted || safe && (x.route.AlwaysStarts || starts(query, x.route.Starts))
	if starting && x.r.Method == http.MethodHead {
		x.w.Header().Set("Allow", http.MethodGet)
		writeNotAllowed(x.w, x.r, x.route.Envelope)
		return nil
	}
	if starting && isPrefetch(x.r) {
		return prefetched()
	}
	ctx, err := x.opts.Authorize(x.r, x.route.Permission, starting || !safe)
	if ctx != nil {
		x.r = x.r.WithContext(ctx) // with an error too: the log line names who was refused
	}
	if err != nil {
		x.refusedStart(starting)
		return err
	}
	if err := x.boundBody(); err != nil {
		x.refusedStart(starting)
		return err
	}
	if x.route.http != nil {
		return x.route.http(x.w, x.r)
	}
	in, err := x.decoded(query, starting, safe || posted)
	if err != nil {
		x.refusedStart(starting)
		return err
	}
	out, err := x.route.call(x.r.Context(), in)
	if err != nil {
		return err
	}
	return x.succeed(replyOf(out))
}

// refusedStart has the answer carry what every answer to a start does.
func (x *exchange) refusedStart(starting bool) {
	if starting || x.route.AlwaysStarts {
		x.opts.Refused(x.r.Context())
	}
}

// decoded reads the body and fills the route's input from it, the query and the path. trims is for
// requests that only look something up.
func (x *exchange) decoded(query map[string]any, starting, trims bool) (any, error) {
	body, err := x.readBody()
	if err != nil {
		return nil, err
	}
	in := reflect.New(x.route.In)
	// Later sources win: a path parameter can't be overridden by a body.
	sent := merged(query, body)
	if starting {
		if sent, err = x.route.startingValues(sent); err != nil {
			return nil, err
		}
	}
	err = fill(merged(sent, pathValues(x.r)), x.r.Header.Get, in.Elem(), trims)
	return in.Interface(), err
}

// boundBody holds the request to the largest body of its route. It comes after the caller was
// identified and before anything is read.
func (x *exchange) boundBody() error {
	limit := x.opts.MaxBody
	if x.route.MaxBody > 0 {
		limit = x.route.MaxBody
	}
	// A declared length is refused before reading. One that lies, or none, meets MaxBytesReader.
	if x.r.ContentLength > limit {
		return errs.Newf(errs.TooLarge, msgBodyTooLarge, SizeText(limit))
	}
	if x.r.Body != nil && x.r.Body != http.NoBody {
		x.r.Body = http.MaxBytesReader(x.w, x.r.Body, limit)
		if x.route.http == nil {
			x.body = &heldBody{ReadCloser: x.r.Body, held: x.opts.held, from: x.opts.BodyMemory.Address(x.r)}
			x.r.Body = x.body
		}
	}
	return nil
}

// isSafe reports whether the request's method only reads (RFC 9110, section 9.2.1), as far as
// routes take such methods.
func isSafe(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// isPrefetch reports whether a browser asks ahead of a click. Sec-Purpose is the standard's name;
// Purpose is what Chromium sent before it, X-Moz what Firefox did.
func isPrefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if strings.Contains(strings.ToLower(r.Header.Get(name)), "prefetch") {
			return true
		}
	}
	return false
}
