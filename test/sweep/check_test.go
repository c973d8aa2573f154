package sweep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"exporthub/pkg/httpapi"
	"exporthub/test/program"
)

// outcome is what an answer says, read from its body in the shape of its route's envelope.
type outcome string

// The outcomes. Envelopes B and E tell every refusal in the same shape: meansRefused stands for all
// that are not distinguished.
const (
	meansSuccess     outcome = "success"
	meansRefused     outcome = "refused"
	meansInvalid     outcome = "invalid input"
	meansStranger    outcome = "unauthenticated"
	meansForbidden   outcome = "forbidden"
	meansNotFound    outcome = "not found"
	meansTooLarge    outcome = "too large"
	meansUnsupported outcome = "unsupported content"
)

// reading is an answer, understood.
type reading struct {
	outcome outcome
	why     string   // what a person reads
	fields  []string // what is named as wrong
}

// kept are the statuses that every envelope keeps, with what they say.
var kept = map[int]outcome{401: meansStranger, 413: meansTooLarge, 415: meansUnsupported, 429: meansRefused, 503: meansRefused}

// read understands an answer, or says why no client could.
func read(r httpapi.Route, res program.Answer) (reading, error) {
	if res.Status >= 500 && res.Status != 503 {
		return reading{}, fmt.Errorf("it is our fault: status %d", res.Status)
	}
	if res.Header.Get("X-Request-Id") == "" {
		return reading{}, fmt.Errorf("it has no X-Request-Id")
	}
	kind := res.Header.Get("Content-Type")
	if res.Status < 400 && r.Out == nil && !strings.Contains(kind, "json") {
		return reading{outcome: meansSuccess}, nil // a file, a redirect
	}
	if (res.Status == http.StatusNoContent || res.Status == http.StatusFound) && len(res.Body) == 0 {
		return reading{outcome: meansSuccess}, nil
	}
	if r.Envelope == httpapi.Native && res.Status < 400 {
		if !json.Valid(res.Body) {
			return reading{}, fmt.Errorf("it is no JSON")
		}
		return reading{outcome: meansSuccess}, nil
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(res.Body, &o); err != nil {
		return reading{}, fmt.Errorf("it is no JSON object: %w", err)
	}
	if want := contentType(r.Envelope); !strings.HasPrefix(kind, want) {
		return reading{}, fmt.Errorf("it is %s, want %s", kind, want)
	}
	e := enveloped{status: res.Status, body: o}
	got := e.reading(r)
	if e.err != nil {
		return reading{}, e.err
	}
	if got.outcome != meansSuccess && strings.TrimSpace(got.why) == "" {
		return reading{}, fmt.Errorf("it does not say why")
	}
	if _, keeps := kept[res.Status]; keeps && r.Envelope != httpapi.Native && e.text("request_id") == "" {
		return reading{}, fmt.Errorf("status %d without a request_id", res.Status)
	}
	return got, e.err
}

func contentType(e httpapi.Envelope) string {
	if e == httpapi.Native {
		return "application/problem+json"
	}
	return "application/json"
}

// enveloped is an answer's body by its keys. The first thing that is missing or of another type is
// kept.
type enveloped struct {
	status int
	body   map[string]json.RawMessage
	err    error
}

func (e *enveloped) get(key string, into any) {
	raw, ok := e.body[key]
	if !ok && e.err == nil {
		e.err = fmt.Errorf("it has no %q", key)
	}
	if err := json.Unmarshal(raw, into); ok && err != nil && e.err == nil {
		e.err = fmt.Errorf("its %q: %w", key, err)
	}
}

func (e *enveloped) text(key string) (s string) { e.get(key, &s); return s }
func (e *enveloped) number(key string) (n int)  { e.get(key, &n); return n }

// reading tells the outcome; what does not fit the envelope becomes e.err.
func (e *enveloped) reading(r httpapi.Route) reading {
	switch r.Envelope {
	case httpapi.CodeRemark:
		return e.readA()
	case httpapi.StatusMsg:
		return e.readBody(e.number("status") == 0, "msg")
	case httpapi.StatusError:
		return e.readC()
	case httpapi.CodeMsg:
		return e.readD()
	case httpapi.ResultMsg:
		return e.readBody(e.number("result") == 1, "msg")
	}
	got := reading{outcome: byStatus(e.status), why: e.text("detail"), fields: e.listedFields()}
	if n := e.number("status"); n != e.status {
		e.err = fmt.Errorf("its status is %d, the answer's %d", n, e.status)
	}
	if e.text("code") == "" || e.text("request_id") == "" || e.text("title") == "" {
		e.err = fmt.Errorf("code, title or request_id is empty")
	}
	return got
}

func (e *enveloped) readA() reading {
	code := e.number("code")
	got := reading{outcome: meansRefused, why: e.text("remark")}
	if e.text("message") == "" {
		e.err = fmt.Errorf("its message is empty")
	}
	if code == 0 {
		got.outcome = meansSuccess
		e.mustBe(http.StatusOK)
		return got
	}
	reason := e.text("error")
	if status, keeps := kept[e.status]; keeps {
		got.outcome = status
		return got
	}
	e.mustBe(http.StatusOK)
	switch {
	case reason == "errors/parameter_error":
		got.outcome, got.fields = meansInvalid, e.mappedFields()
	case code == 401:
		got.outcome = meansForbidden
	case code == 404:
		got.outcome = meansNotFound
	}
	return got
}

// readBody reads B and E, which tell every refusal in one way.
func (e *enveloped) readBody(ok bool, why string) reading {
	if status, keeps := kept[e.status]; keeps && !ok {
		return reading{outcome: status, why: e.text(why)}
	}
	e.mustBe(http.StatusOK)
	if ok {
		return reading{outcome: meansSuccess}
	}
	text := e.text(why)
	return reading{outcome: meansRefused, why: text, fields: strings.Fields(strings.NewReplacer("；", " ", "[", " ", ".", " ").Replace(text))}
}

func (e *enveloped) readC() reading {
	n := e.number("status")
	if n == 0 {
		return reading{outcome: meansSuccess}
	}
	got := reading{outcome: byStatus(e.status), why: e.text("error")}
	if e.status < 400 {
		e.err = fmt.Errorf("status %d for a refusal", e.status)
	}
	if got.outcome == meansInvalid {
		if n != 1 {
			got.outcome = meansRefused // a refusal with a number of its own
		}
		got.fields = e.mappedFields()
	}
	return got
}

func (e *enveloped) readD() reading {
	code := e.number("code")
	if code != e.status {
		e.err = fmt.Errorf("its code is %d, the status %d", code, e.status)
	}
	if code < 300 {
		return reading{outcome: meansSuccess}
	}
	return reading{outcome: byStatus(code), why: e.text("msg"), fields: e.mappedFields()}
}

func (e *enveloped) mustBe(status int) {
	// A request line that is too long has its HTTP status in every envelope, as from a proxy.
	if e.status == http.StatusRequestURITooLong {
		return
	}
	if e.status != status && e.err == nil {
		e.err = fmt.Errorf("status %d, want %d", e.status, status)
	}
}

func byStatus(status int) outcome {
	switch status {
	case 400, 422:
		return meansInvalid
	case 403:
		return meansForbidden
	case 404:
		return meansNotFound
	}
	if o, ok := kept[status]; ok {
		return o
	}
	return meansRefused
}

// mappedFields are the keys of errors, without what is inside them.
func (e *enveloped) mappedFields() []string {
	var reasons map[string]string
	if raw, ok := e.body["errors"]; ok {
		if err := json.Unmarshal(raw, &reasons); err != nil && e.err == nil {
			e.err = fmt.Errorf("its errors: %w", err)
		}
	}
	var names []string
	for name := range reasons {
		names = append(names, top(name))
	}
	return names
}

// listedFields are the fields of problem details.
func (e *enveloped) listedFields() []string {
	var list []struct{ Field, Reason string }
	if raw, ok := e.body["errors"]; ok {
		if err := json.Unmarshal(raw, &list); err != nil && e.err == nil {
			e.err = fmt.Errorf("its errors: %w", err)
		}
	}
	var names []string
	for _, f := range list {
		names = append(names, top(f.Field))
	}
	return names
}

// top is the field that a.b and a[0] are in.
func top(name string) string {
	if i := strings.IndexAny(name, ".["); i > 0 {
		return name[:i]
	}
	return name
}

// judge says what is wrong with an answer, or nothing.
func (p probe) judge(res program.Answer) error {
	got, err := read(p.route, res)
	if err != nil {
		return err
	}
	if p.want == "" {
		return nil // any clear answer
	}
	oneShape := p.route.Envelope == httpapi.StatusMsg || p.route.Envelope == httpapi.ResultMsg
	if got.outcome != p.want && !(oneShape && got.outcome == meansRefused && kept[res.Status] == "") &&
		!(p.want == meansRefused && got.outcome != meansSuccess) {
		return fmt.Errorf("it says %s (%s), want %s", got.outcome, got.why, p.want)
	}
	if p.field != "" && !slices.Contains(got.fields, p.field) {
		return fmt.Errorf("it does not name %s: %s %v", p.field, got.why, got.fields)
	}
	return nil
}

func answer(status int, header http.Header, body []byte) program.Answer {
	return program.Answer{Status: status, Header: header, Body: body}
}

// The sweep is worth nothing if no answer could fail it.
func TestTheSweepFindsWhatIsWrong(t *testing.T) {
	id := http.Header{"X-Request-Id": {"1"}, "Content-Type": {"application/json; charset=utf-8"}}
	problem := http.Header{"X-Request-Id": {"1"}, "Content-Type": {"application/problem+json"}}
	wrong := func(e httpapi.Envelope) probe {
		return probe{route: httpapi.Route{Envelope: e}, want: meansInvalid, field: "page"}
	}
	good := map[httpapi.Envelope]program.Answer{
		httpapi.CodeRemark:  answer(200, id, []byte(`{"code":-1,"message":"failure","remark":"page 应为整数","error":"errors/parameter_error","errors":{"page":"应为整数"}}`)),
		httpapi.StatusMsg:   answer(200, id, []byte(`{"status":1,"msg":"page 应为整数"}`)),
		httpapi.StatusError: answer(400, id, []byte(`{"status":1,"error":"page 应为整数","errors":{"page":"应为整数"}}`)),
		httpapi.CodeMsg:     answer(400, id, []byte(`{"code":400,"msg":"page 应为整数","data":null,"errors":{"page":"应为整数"}}`)),
		httpapi.ResultMsg:   answer(200, id, []byte(`{"result":0,"msg":"page 应为整数","data":[]}`)),
		httpapi.Native: answer(422, problem, []byte(`{"type":"about:blank","title":"t","status":422,"code":"invalid","detail":"page 应为整数","request_id":"1",`+
			`"errors":[{"field":"page","reason":"应为整数"}]}`)),
	}
	for _, e := range httpapi.Envelopes() {
		if err := wrong(e).judge(good[e]); err != nil {
			t.Errorf("%s: a right answer is taken for wrong: %v", e, err)
		}
		other := wrong(e)
		other.field = "size"
		for name, c := range map[string]struct {
			probe probe
			res   program.Answer
		}{
			"our fault":       {wrong(e), answer(500, good[e].Header, good[e].Body)},
			"another field":   {other, good[e]},
			"no JSON":         {wrong(e), answer(good[e].Status, good[e].Header, []byte("oops"))},
			"no request id":   {wrong(e), answer(good[e].Status, http.Header{"Content-Type": good[e].Header["Content-Type"]}, good[e].Body)},
			"no word of why":  {wrong(e), answer(good[e].Status, good[e].Header, bytes.ReplaceAll(good[e].Body, []byte("page 应为整数"), nil))},
			"another shape":   {wrong(e), answer(good[e].Status, good[e].Header, []byte(`{"ok":false}`))},
			"another meaning": {wrong(e), answer(401, good[e].Header, good[e].Body)},
			"a page":          {wrong(e), answer(200, http.Header{"X-Request-Id": {"1"}, "Content-Type": {"text/html"}}, []byte("<html>"))},
		} {
			if c.probe.judge(c.res) == nil {
				t.Errorf("%s: %s is taken for a right answer", e, name)
			}
		}
	}
}
