// Package httpapi is the JSON edge: one declaration of a route feeds the router, the decoder, the
// validation, the envelope and the OpenAPI description, so that none of them can tell a different
// story.
//
// # Use
//
// A system declares its routes as data with Handle or HandleHTTP and the program mounts all of them
// at once:
//
//	httpapi.Mount(router, routes, httpapi.Options{Authorize: auth.Authorize, Location: zone})
//
// Handlers take a struct and return a value or an error. They never see the request: what they need
// of it is a field of their input (path, query, body and header alike), and what they want to say
// beyond data goes through Reply, SetHeader, AddCookie and SetETag. Errors are *errs.Error; which
// answer a kind of error becomes in which envelope is the one table in envelope.go.
//
// # Input
//
// A field is filled by its json name; path wins over body, body over query. JSON and form bodies
// are both taken. The rules every field follows, whatever it came in:
//
//   - Text and numbers are interchangeable, exactly: a string field given the number 13800000001
//     holds "13800000001".
//   - Booleans take true, false, 1, 0, 是 and 否.
//   - An array is a JSON array (also as text), a comma-separated list, a repeated key, k[] or k[0];
//     a single value is an array of one. Objects are JSON objects (also as text) or a[b], a[0][b].
//   - An empty query or form parameter is an absent one. An empty JSON text stays one for text
//     fields and is absent for everything else. A repeated key where one value is due: the last
//     counts. A repeated key in a JSON object: likewise.
//   - Unknown names are ignored. Nesting, indexes and the number of parameters are bounded (the
//     limits are in tree.go).
//   - Text that is not UTF-8 or holds a NUL is refused with the field's name.
//
// Plain fields can't tell absent from zero. Opt[T] tells absent, null and value apart and is meant
// for changes that touch only the fields they carry; a pointer is nil for absent and null alike.
// Cents takes money, Bound a day or a moment. A type with UnmarshalText is filled from text; it may
// return a Reason to say what is wrong in words of its own.
//
// Tags: json, header (filled from that request header only), alias (further spellings,
// comma-separated), required, default, doc, example, enum, minimum, maximum, exclusiveMinimum,
// exclusiveMaximum, minLength, maxLength, pattern with patternDescription, minItems, maxItems,
// uniqueItems and format (uuid, date, email, uri). A tag this package can't check is refused when
// routes are mounted, and so are defaults and examples that break their own rules.
//
// # Output
//
// A nil slice anywhere in the output comes out as [], never null. HTML characters are not escaped.
//
// # Concurrency
//
// Routes are read-only once declared. Everything exported is safe for concurrent use, except that
// one request's headers (SetHeader, AddCookie, SetETag) belong to the goroutine that handles it.
package httpapi
