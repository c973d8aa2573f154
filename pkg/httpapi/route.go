package httpapi

import (
	"context"
	"net/http"
	"reflect"
)

// Envelope names the shape in which a system answers. All five are kept for front ends that exist
// already; Native is for what is new.
//
// The constants are named after the two keys by which the shape is known. The letters A to E are
// what the documents, the route table and the OpenAPI description (x-envelope) call them; String
// returns those.
type Envelope uint8

// The envelopes. What each answers for which kind of error is one table, in envelope.go.
const (
	// Native answers JSON as it is, with HTTP statuses that mean what they say and
	// application/problem+json errors.
	Native Envelope = iota
	// CodeRemark (A) answers {"code":0,"message":"success","remark":"成功","data":…}; failures are
	// 200 with code -1.
	CodeRemark
	// StatusMsg (B) answers {"status":0,…}; failures are 200 {"status":1,"msg":…}.
	StatusMsg
	// StatusError (C) answers {"status":0,"data":…}; failures carry a status that means what it
	// says and {"status":N,"error":…}.
	StatusError
	// CodeMsg (D) answers {"code":200,"msg":"success","data":…}; the code is the HTTP status.
	CodeMsg
	// ResultMsg (E) answers {"result":1,"msg":"list","data":…}; failures are 200 {"result":0,…}.
	ResultMsg
)

// Access says who may call a route at all. Anything finer is the handler's.
const (
	// Public needs no token.
	Public = "public"
	// SignedIn needs a token, and no permission.
	SignedIn = "signed-in"
)

// String returns the envelope's published name: native, A, B, C, D or E. Descriptions of the API
// that others have generated code from hold these names, so they don't follow the constants'.
func (e Envelope) String() string {
	if int(e) < len(envelopeNames) {
		return envelopeNames[e]
	}
	return "unknown"
}

var envelopeNames = [...]string{"native", "A", "B", "C", "D", "E"}

// Envelopes lists every envelope, so that tables can be tested for completeness.
func Envelopes() []Envelope {
	return []Envelope{Native, CodeRemark, StatusMsg, StatusError, CodeMsg, ResultMsg}
}

// Doc describes a route for the OpenAPI description.
type Doc struct {
	Summary string // one line, in Chinese as the page's language
	Detail  string
	Tag     string // the system it belongs to
}

// Route is one endpoint as data: what the router mounts, the decoder fills, the envelope wraps and
// the OpenAPI description tells. Make one with Handle or HandleHTTP.
type Route struct {
	Method     string
	Path       string // chi pattern: /api/things/{id}
	Envelope   Envelope
	Permission string // Public, SignedIn, or a permission such as invitation.read
	Doc        Doc
	In         reflect.Type // nil when the route takes nothing
	Out        reflect.Type // nil for HandleHTTP
	// Starts names input fields whose presence makes a GET start or change something
	// (export_format): such requests are held to the rules for requests that change things.
	Starts []string
	// AlwaysStarts marks a GET that starts or changes something whatever its input, and a POST
	// whose refusals carry what those of such a GET do (Options.Refused).
	AlwaysStarts bool
	// Status is the HTTP status of success; 0 is 200. A Reply may still say otherwise.
	Status int
	// DataKey is the envelope's key of the data; empty is "data".
	DataKey string
	// MaxBody is the largest request body in bytes; 0 is Options.MaxBody.
	MaxBody int64
	// Accepts lists the content types of the body for HandleHTTP routes that read it themselves,
	// Produces those of the answer. Both are for the description; empty is what Handle takes and
	// gives.
	Accepts, Produces []string
	// Answers lists the statuses beside success, for the description, where they are not those that
	// every route of the envelope may give.
	Answers []int

	takes bool // the input has fields, once mounted
	call  func(ctx context.Context, in any) (any, error)
	http  func(w http.ResponseWriter, r *http.Request) error
}

// Option changes a route as it is declared.
type Option func(*Route)

// StartsWith marks input fields whose presence makes a GET start or change something.
func StartsWith(fields ...string) Option { return func(r *Route) { r.Starts = fields } }

// Starting marks a GET that starts or changes something whatever its input, and a POST whose
// refusals carry what those of such a GET do.
func Starting() Option { return func(r *Route) { r.AlwaysStarts = true } }

// WithStatus sets the HTTP status of success, such as 202.
func WithStatus(status int) Option { return func(r *Route) { r.Status = status } }

// WithDataKey names the envelope's key of the data where the documents call it otherwise, as C's
// "date".
func WithDataKey(key string) Option { return func(r *Route) { r.DataKey = key } }

func (r Route) dataKey() string {
	if r.DataKey != "" {
		return r.DataKey
	}
	return "data"
}

// WithMaxBody sets the largest request body in bytes, for uploads.
func WithMaxBody(limit int64) Option { return func(r *Route) { r.MaxBody = limit } }

// Takes describes the input of a HandleHTTP route, which reads it with Decode or by itself.
func Takes[In any](contentTypes ...string) Option {
	return func(r *Route) { r.In, r.Accepts = reflect.TypeFor[In](), contentTypes }
}

// Answers names the statuses beside success, for a route that gives others than its envelope's
// usual ones; 500 and 503 go without saying.
func Answers(statuses ...int) Option { return func(r *Route) { r.Answers = statuses } }

// Gives describes the content types a HandleHTTP route answers.
func Gives(contentTypes ...string) Option { return func(r *Route) { r.Produces = contentTypes } }

// Handle declares a route whose input is decoded into In and whose output is wrapped in the
// envelope.
//
// In is a struct. Fields are filled by their json name from path, query and body alike (path wins,
// then body); see decode.go for the accepted forms. Tags describe and check a field:
// required:"true", doc, minimum, maximum, minLength, maxLength, enum, example, default; labels and
// clamp (see Labels and Clamps) are our own.
//
// Out is the data of the envelope, or a Reply to say more than that.
func Handle[In, Out any](method, path string, envelope Envelope, permission string, doc Doc,
	fn func(ctx context.Context, in In) (Out, error), opts ...Option) Route {
	r := Route{
		Method:     method,
		Path:       path,
		Envelope:   envelope,
		Permission: permission,
		Doc:        doc,
		In:         reflect.TypeFor[In](),
		Out:        reflect.TypeFor[Out](),
		// The closure is the one place that knows both types: everything else reflects over In and
		// Out, and the compiler still holds the handler to what the route declares.
		call: func(ctx context.Context, in any) (any, error) { return fn(ctx, *in.(*In)) },
	}
	for _, o := range opts {
		o(&r)
	}
	return r
}

// HandleHTTP declares a route that writes its own answer: a file, a redirect, a stream. An error it
// returns before writing is answered in the envelope.
func HandleHTTP(method, path string, envelope Envelope, permission string, doc Doc,
	fn func(w http.ResponseWriter, r *http.Request) error, opts ...Option) Route {
	r := Route{Method: method, Path: path, Envelope: envelope, Permission: permission, Doc: doc, http: fn}
	for _, o := range opts {
		o(&r)
	}
	return r
}
