package httpapi

import (
	"net/http"
	"strings"

	"exporthub/pkg/errs"
)

// answer is how one kind of error is shown in every envelope: the HTTP half of the error map.
type answer struct {
	status int // what it means: the HTTP status in Native, D, and wherever kept says so
	// kept says that every envelope keeps the HTTP status, with a request id in the body: no page
	// may take these for an answer of the endpoint. The others are bodies under 200 in A, B and E,
	// whose pages read failures in the success handler.
	kept bool
	inC  int    // HTTP status in C where it is not kept
	numC int    // C's own status number
	numA int    // A's code
	errA string // A's error
}

// answers has a row for every kind.
var answers = [...]answer{
	errs.Internal:        {500, true, 500, 14, 500, "errors/internal_error"},
	errs.Invalid:         {400, false, 400, 1, -1, "errors/parameter_error"},
	errs.Unauthenticated: {401, true, 401, 9, 401, "errors/unauthenticated_error"},
	errs.Forbidden:       {403, false, 403, 2, 401, "errors/unauthorized_error"},
	errs.NotFound:        {404, false, 404, 5, 404, "errors/not_found_error"},
	errs.Conflict:        {409, false, 400, 6, -1, "standard_error"},
	errs.Quota:           {429, false, 400, 7, -1, "standard_error"},
	errs.TooMany:         {429, true, 429, 12, 429, "errors/too_many_requests_error"},
	errs.TooLarge:        {413, true, 413, 11, 413, "errors/too_large_error"},
	errs.Gone:            {410, false, 400, 8, -1, "standard_error"},
	errs.Unavailable:     {503, true, 503, 13, 503, "errors/unavailable_error"},
	errs.Unsupported:     {415, true, 415, 10, 415, "errors/unsupported_error"},
}

// numbersC are C's status numbers of errors that have one of their own.
var numbersC = map[string]int{
	"export_forbidden":   2,
	"export_active":      3,
	"export_daily_limit": 4,
}

// CodeJobFailed is the code of an Internal error whose text is shown: the reason why a job failed,
// which was written for the person who asked for it and has no internals.
const CodeJobFailed = "job_failed"

// failure is an error ready to be written in an envelope.
type failure struct {
	kind      errs.Kind
	code      string
	text      string
	fields    []errs.Field
	requestID string
}

func failureOf(err error, requestID string) failure {
	f := failure{kind: errs.KindOf(err), code: errs.CodeOf(err), requestID: requestID}
	// A kind that was added without a row would index past the table in the middle of an answer.
	if int(f.kind) >= len(answers) {
		f.kind = errs.Internal
	}
	f.text = kindText[f.kind]
	// The cause of an internal error may hold SQL, paths or addresses.
	if f.kind == errs.Internal && f.code != CodeJobFailed {
		f.code = f.kind.String()
		return f // its own text is never shown
	}
	if e := errs.As(err); e != nil {
		if e.Message != "" {
			f.text = e.Message
		} else if len(e.Fields) > 0 {
			f.text = fieldText(e.Fields)
		}
		f.fields = e.Fields
	}
	return f
}

// fieldText tells all problems in one line: "page 应为整数；name 不能为空".
func fieldText(fields []errs.Field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = strings.TrimSpace(f.Name + " " + f.Reason)
	}
	return strings.Join(parts, "；")
}

// status returns the HTTP status of the failure in the envelope.
func (f failure) status(e Envelope) int {
	a := answers[f.kind]
	switch {
	case f.code == codeLineTooLong:
		return http.StatusRequestURITooLong
	case a.kept || e == CodeMsg:
		return a.status
	case e == Native:
		// 400 is what proxies answer for a request they can't parse; 422 is ours for one we can.
		if f.kind == errs.Invalid {
			return http.StatusUnprocessableEntity
		}
		return a.status
	case e == StatusError:
		return a.inC
	}
	return http.StatusOK
}

// body returns the failure in the envelope's shape.
func (f failure) body(e Envelope) (*object, error) {
	a := answers[f.kind]
	o := &object{}
	switch e {
	case CodeRemark:
		message := "failure"
		// Pages of A tell "log in again" from "not permitted" by error, not by code: both are 401.
		if a.numA == http.StatusUnauthorized {
			message = f.text // the documented answer says it twice
		}
		o.add("code", a.numA)
		o.add("message", message)
		o.add("remark", f.text)
		o.add("error", a.errA)
		o.addFields(f.fields)
	case StatusMsg:
		o.add("status", 1)
		o.add("msg", f.text)
	case StatusError:
		number, ok := numbersC[f.code]
		if !ok {
			number = a.numC
		}
		o.add("status", number)
		o.add("error", f.text)
		o.addFields(f.fields)
	case CodeMsg:
		o.add("code", f.status(e)) // pages compare the two
		o.add("msg", f.text)
		o.add("data", nil)
		o.addFields(f.fields)
	case ResultMsg:
		o.add("result", 0)
		o.add("msg", f.text)
		o.add("data", []any{})
	default:
		f.problemAs(o, f.status(Native))
	}
	// Last, behind the documented keys. Only where something went wrong that support may be asked
	// about; problem details carry it always.
	if a.kept && e != Native {
		o.add("request_id", f.requestID)
	}
	return o, o.err
}

// problemAs adds the fields of problem details (RFC 9457) with our extensions.
func (f failure) problemAs(o *object, status int) {
	o.add("type", "about:blank")
	o.add("title", http.StatusText(status))
	o.add("status", status)
	o.add("code", f.code)
	o.add("detail", f.text)
	o.add("request_id", f.requestID)
	if len(f.fields) > 0 {
		type field struct {
			Field  string `json:"field"`
			Reason string `json:"reason"`
		}
		list := make([]field, len(f.fields))
		for i, p := range f.fields {
			list[i] = field{p.Name, p.Reason}
		}
		o.add("errors", list)
	}
}

// addFields adds errors as an object of field and reason, in order; a field named twice has both
// its reasons.
func (o *object) addFields(fields []errs.Field) {
	if len(fields) == 0 {
		return
	}
	errors, reasons := &object{}, map[string]string{}
	var names []string
	for _, f := range fields {
		if have, ok := reasons[f.Name]; ok {
			reasons[f.Name] = have + "；" + f.Reason
			continue
		}
		names = append(names, f.Name)
		reasons[f.Name] = f.Reason
	}
	for _, name := range names {
		errors.add(name, reasons[name])
	}
	o.add("errors", errors)
}

// success returns an answer in the envelope's shape; nil is no body.
func success(e Envelope, r reply, status int) (*object, error) {
	o := &object{}
	msg := func(usual string) string {
		if r.msg != "" {
			return r.msg
		}
		return usual
	}
	switch e {
	case CodeRemark:
		o.add("code", 0)
		o.add("message", "success")
		o.add("remark", msg("成功"))
	case StatusMsg:
		o.add("status", 0)
		if r.msg != "" {
			o.add("msg", r.msg)
		}
	case StatusError:
		o.add("status", 0)
	case CodeMsg:
		o.add("code", status)
		o.add("msg", msg("success"))
	case ResultMsg:
		o.add("result", 1)
		o.add("msg", msg("list"))
	default:
		if r.noData {
			return nil, nil
		}
		return rawObject(r.data)
	}
	if !r.noData {
		o.add(r.key, r.data)
	}
	for _, t := range r.top {
		o.add(t.Name, t.Value)
	}
	return o, o.err
}
