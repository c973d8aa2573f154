package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"exporthub/pkg/errs"
)

// Options is what Mount needs of the rest of the program. Every field has a default but Authorize,
// without which only Public routes can be mounted.
type Options struct {
	// Authorize identifies the caller and decides whether they may call a route of this permission
	// (Public and SignedIn among them: it is called for every request). changing says that the
	// request changes or starts something, a GET with export_format among them, and must not be a
	// cross-site one. The context it returns is the handler's. It fails with errs.Unauthenticated
	// or errs.Forbidden.
	Authorize func(r *http.Request, permission string, changing bool) (context.Context, error)
	// Person names the caller that ctx belongs to, for the log line; "" is nobody. Default: nobody.
	Person func(ctx context.Context) string
	// Logger gets one line for each finished request. Default: slog.Default().
	Logger *slog.Logger
	// Location is the zone in which times are shown. Default: UTC.
	Location *time.Location
	// Observe is called for each finished request, for metrics. route is the pattern, or "" for
	// paths nobody declared.
	Observe func(route, method string, status int, d time.Duration)
	// Refused is called for a request that would have started something and is refused before its
	// handler, with the caller's context: it may set headers that each such answer carries.
	// Default: nothing.
	Refused func(ctx context.Context)
	// Denied is called for a request that is answered as Forbidden, with the caller's context, the
	// route and what was refused, for the audit. Default: nothing.
	Denied func(ctx context.Context, route Route, err error)
	// MaxBody is the largest request body in bytes. Default: DefaultMaxBody.
	MaxBody int64
	// BodyMemory bounds the bodies that are held in memory. Defaults: see its fields.
	BodyMemory BodyMemory
	// Info heads the OpenAPI description, which is served with its viewer when Info.Title is set.
	Info Info
	// Now is the clock durations are measured with. Default: time.Now.
	Now func() time.Time

	held *heldBodies // of all routes; set by Mount
}

func (opts Options) withDefaults() Options {
	opts.Logger = cmp.Or(opts.Logger, slog.Default())
	opts.Location = cmp.Or(opts.Location, time.UTC)
	opts.MaxBody = cmp.Or(opts.MaxBody, DefaultMaxBody)
	// Functions can't be compared, so cmp.Or does not take them.
	if opts.Person == nil {
		opts.Person = func(context.Context) string { return "" }
	}
	if opts.Observe == nil {
		opts.Observe = func(string, string, int, time.Duration) {}
	}
	if opts.Refused == nil {
		opts.Refused = func(context.Context) {}
	}
	if opts.Denied == nil {
		opts.Denied = func(context.Context, Route, error) {}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.held = newHeldBodies(opts.BodyMemory)
	opts.BodyMemory = opts.held.limits
	if opts.Authorize == nil {
		opts.Authorize = func(r *http.Request, permission string, _ bool) (context.Context, error) {
			if permission != Public {
				return nil, errs.New(errs.Unauthenticated, "")
			}
			return r.Context(), nil
		}
	}
	return opts
}

// Mount serves routes on r, and answers every other path below their first segments (/api, ...),
// and methods that a path does not take, with problem details. GET routes answer HEAD too, but a
// HEAD never starts anything. With Options.Info it serves the description at /api/openapi.json and
// its viewer at /api/docs.
//
// A route that can't be right (a path parameter without a field, a tag nobody checks, two routes of
// one name) makes it panic, as a wrong pattern makes chi: declarations are code.
func Mount(r chi.Router, routes []Route, opts Options) {
	if err := Check(routes); err != nil {
		panic("httpapi: " + err.Error())
	}
	opts = opts.withDefaults()
	// known has the routes alone. r matches everything below the roots, so it can't say which
	// methods a path takes.
	known := chi.NewRouter()
	all := slices.Clone(routes)
	if opts.Info.Title != "" {
		all = append(all, docRoutes(routes, opts.Info)...)
	}
	unknown := opts.unknown(known, routes)
	for _, root := range roots(all) {
		r.Handle(root+"/*", unknown)
	}
	// A base address with a slash at its end, joined with a path: https://host//api/things.
	r.Handle("//*", unknown)
	for _, route := range all {
		// Every method first, so that other methods get their own answer, and preflights reach the
		// middleware of r.
		r.Handle(route.Path, unknown)
	}
	for _, route := range all {
		h := opts.handler(route)
		methods := []string{route.Method}
		if route.Method == http.MethodGet && !slices.ContainsFunc(all, func(other Route) bool {
			return other.Method == http.MethodHead && other.Path == route.Path
		}) {
			methods = append(methods, http.MethodHead)
		}
		for _, method := range methods {
			r.Method(method, route.Path, whole(h, unknown))
			known.Method(method, route.Path, h)
		}
	}
	for _, route := range all {
		if route.Method != http.MethodGet || len(route.Starts) == 0 || route.call == nil {
			continue
		}
		otherwise := unknown
		for _, other := range all {
			if other.Method == http.MethodPost && other.Path == route.Path {
				otherwise = opts.handler(other)
			}
		}
		r.Method(http.MethodPost, route.Path, whole(route.posts(opts.handler(route), otherwise), unknown))
	}
}

// roots returns the first segments of the routes' paths, and /api, as what lies below them is no
// page's.
func roots(routes []Route) []string {
	all := []string{"/api"}
	for _, route := range routes {
		first, _, below := strings.Cut(strings.TrimPrefix(route.Path, "/"), "/")
		if below && !strings.ContainsAny(first, "{*") {
			all = append(all, "/"+first)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// whole keeps addresses from h that leave a segment empty, as /a//b does for /a/{id}/b: no route
// has them.
func whole(h, unknown http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leavesOut(r) {
			unknown.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// leavesOut reports whether a parameter of the path is empty.
func leavesOut(r *http.Request) bool {
	rctx := chi.RouteContext(r.Context())
	if rctx == nil {
		return false
	}
	// chi matches an empty segment for {id}; to a handler that would be the id "".
	for i, name := range rctx.URLParams.Keys {
		if name != "*" && rctx.URLParams.Values[i] == "" {
			return true
		}
	}
	return false
}

var pathParam = regexp.MustCompile(`\{([^}:]+)(?::[^}]*)?\}`)

// PathParams returns the names of the parameters in a route's path, in order.
func (r Route) PathParams() []string {
	var names []string
	for _, m := range pathParam.FindAllStringSubmatch(r.Path, -1) {
		names = append(names, m[1])
	}
	return names
}

// Check reports the first route that can't be right, or nil.
func Check(routes []Route) error {
	seen := map[string]bool{}
	for _, r := range routes {
		key := r.Method + " " + r.Path
		switch {
		case seen[key]:
			return fmt.Errorf("%s: declared twice", key)
		case r.call == nil && r.http == nil:
			return fmt.Errorf("%s: has no handler", key)
		case !strings.HasPrefix(r.Path, "/"):
			return fmt.Errorf("%s: the path must start with /", key)
		case r.Permission == "":
			return fmt.Errorf("%s: says nothing about who may call it", key)
		case !slices.Contains(Envelopes(), r.Envelope):
			return fmt.Errorf("%s: has no such envelope", key)
		}
		seen[key] = true
		if err := checkRouteInput(r); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// checkRouteInput holds the input struct to the path: a parameter that no field takes would be lost
// without anybody noticing.
func checkRouteInput(r Route) error {
	if r.In == nil {
		if len(r.Starts) > 0 {
			return fmt.Errorf("starts with %s but takes no input", r.Starts[0])
		}
		return nil
	}
	if r.In.Kind() != reflect.Struct {
		return fmt.Errorf("input %s: must be a struct", r.In)
	}
	if err := checkInput(r.In); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, f := range inputFields(r.In) {
		names[f.name] = true
	}
	for _, name := range slices.Concat(r.PathParams(), r.Starts) {
		if !names[name] {
			return fmt.Errorf("input %s: has no field called %q", r.In, name)
		}
	}
	return nil
}

// unknown answers paths that no route has, and methods that the path's routes don't take, in the
// envelope of the routes nearest by. Paths with superfluous slashes go to the route that is meant.
func (opts Options) unknown(known *chi.Mux, routes []Route) http.Handler {
	// One handler for each envelope, made once: a handler is what writes the envelope.
	refusals := map[Envelope]http.Handler{}
	for _, e := range Envelopes() {
		refusals[e] = opts.refusal(known, e)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := routedPath(r)
		// A slash too many in the middle may stand where an id is missing (/things//approve). Such
		// a path is not cleaned, or it would name another route than the one that was meant.
		missing := leavesOut(r) && cleanSlashes(path) != strings.TrimRight(path, "/")
		if next := withCleanPath(r); next != nil && !missing {
			r, path = next, routedPath(next)
			if known.Match(chi.NewRouteContext(), r.Method, path) {
				known.ServeHTTP(w, r)
				return
			}
		}
		refusals[envelopeAt(routes, path)].ServeHTTP(w, r)
	})
}

// refusal answers in one envelope what no route answers.
func (opts Options) refusal(known chi.Routes, envelope Envelope) http.Handler {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	route := HandleHTTP("", "", envelope, Public, Doc{}, func(w http.ResponseWriter, r *http.Request) error {
		path := routedPath(r)
		var allowed []string
		for _, m := range methods {
			if known.Match(chi.NewRouteContext(), m, path) {
				allowed = append(allowed, m)
			}
		}
		if len(allowed) == 0 || leavesOut(r) {
			return errs.New(errs.NotFound, msgNoRoute)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		writeNotAllowed(w, r, envelope)
		return nil
	})
	// The answer holds nothing that the public description does not, so it needs no caller. Asking
	// for one would also answer 401 for a mistyped path, which logs people out of old pages.
	opts.Authorize = func(r *http.Request, _ string, _ bool) (context.Context, error) { return r.Context(), nil }
	return opts.handler(route)
}

// writeNotAllowed is the one answer that no kind of error stands for: the route was never reached.
// The status stays 405 in every envelope, since no page has code for it and tools do.
func writeNotAllowed(w http.ResponseWriter, r *http.Request, envelope Envelope) {
	f := failure{
		kind:      errs.NotFound,
		code:      "method_not_allowed",
		text:      fmt.Sprintf(msgNoMethod, r.Method),
		requestID: RequestID(r.Context()),
	}
	body, contentType := &object{}, "application/json; charset=utf-8"
	switch envelope {
	case Native:
		contentType = "application/problem+json"
		f.problemAs(body, http.StatusMethodNotAllowed)
	case CodeMsg: // whose code is the HTTP status
		body.add("code", http.StatusMethodNotAllowed)
		body.add("msg", f.text)
		body.add("data", nil)
	default:
		body, _ = f.body(envelope) // texts and numbers always encode
	}
	writeObject(w, http.StatusMethodNotAllowed, contentType, body)
}
