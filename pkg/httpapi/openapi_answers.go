package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"exporthub/pkg/errs"
)

// responses describes everything a route may answer. Failures refer to shared components, one for
// each envelope and status: spelled out they would be most of the document.
func (d *describer) responses(r Route) m {
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	all := m{strconv.Itoa(status): d.successResponse(r, status)}
	if r.Answers != nil {
		for _, at := range append([]int{http.StatusInternalServerError, http.StatusServiceUnavailable}, r.Answers...) {
			all[strconv.Itoa(at)] = m{"description": http.StatusText(at)}
			if at >= http.StatusBadRequest && describedFailure(r.Envelope, at) {
				all[strconv.Itoa(at)] = m{"$ref": "#/components/responses/" + failureName(r.Envelope, at)}
			}
		}
		return all
	}
	for _, kind := range errs.Kinds() {
		f := failure{kind: kind}
		at := f.status(r.Envelope)
		public := r.Permission == Public
		switch {
		// Failures under 200 stand beside success, in successResponse.
		case at == http.StatusOK, kind == errs.Gone,
			public && (kind == errs.Unauthenticated || kind == errs.Forbidden),
			r.In == nil && (kind == errs.Invalid || kind == errs.TooLarge || kind == errs.Unsupported):
			continue
		}
		all[strconv.Itoa(at)] = m{"$ref": "#/components/responses/" + failureName(r.Envelope, at)}
	}
	return all
}

// describedFailure reports whether some kind of error is answered with this status.
func describedFailure(e Envelope, status int) bool {
	return slices.ContainsFunc(errs.Kinds(), func(k errs.Kind) bool { return failure{kind: k}.status(e) == status })
}

func failureName(e Envelope, status int) string { return e.String() + "-" + strconv.Itoa(status) }

// successResponse describes what a route answers when it did what it was asked. Where failures are
// 200 too, it describes them beside.
func (d *describer) successResponse(r Route, status int) m {
	response := m{"description": http.StatusText(status)}
	if r.Out == nil {
		content := m{}
		for _, t := range r.Produces {
			content[t] = m{}
		}
		if len(content) > 0 {
			response["content"] = content
		}
		return response
	}
	headers := m{}
	if len(r.Starts) > 0 || r.AlwaysStarts {
		maps.Copy(headers, exportHeaders)
	}
	if r.pages() {
		headers["X-Total-Estimated"] = m{"description": "为 1 时总数是估计值:约有这么多", "schema": m{"const": "1"}}
	}
	if len(headers) > 0 {
		response["headers"] = headers
	}
	schema := d.wrapped(r, status)
	if r.Envelope == CodeRemark || r.Envelope == StatusMsg || r.Envelope == ResultMsg {
		schema = m{"oneOf": []any{schema, failureSchema(r.Envelope)}}
	}
	response["content"] = m{"application/json": m{"schema": schema}}
	return response
}

// pages reports whether the route answers with a list's page.
func (r Route) pages() bool {
	return r.In != nil && slices.ContainsFunc(inputFields(r.In), func(f inputField) bool { return f.name == "page" })
}

// wrapped is the schema of the envelope around the route's data.
func (d *describer) wrapped(r Route, status int) any {
	t := r.Out
	whole := t.Implements(reflect.TypeFor[replier]())
	if whole {
		data, _ := t.FieldByName("Data")
		t = data.Type
	}
	data := any(outputSchema(d.out, t))
	if r.Envelope == Native {
		return data
	}
	// The envelope's own keys are read off a real answer, so that they can't differ from what is
	// sent.
	head := sampleObject(func() (*object, error) { return success(r.Envelope, reply{noData: true}, status) })
	properties, required := m{r.dataKey(): data}, []string{}
	for name, value := range head {
		properties[name] = sampleSchema(value)
		if _, number := value.(float64); number {
			properties[name] = m{"const": value} // what tells success from failure
		}
		required = append(required, name)
	}
	if whole && r.Envelope == StatusMsg {
		properties["msg"] = m{"type": "string"}
		if t.Kind() == reflect.Struct && t.NumField() == 0 { // a text is all it says
			delete(properties, r.dataKey())
		}
	}
	slices.Sort(required)
	return m{"type": "object", "properties": properties, "required": required}
}

// exportHeaders are what the answer of an export request carries.
var exportHeaders = m{
	"RateLimit-Limit":     m{"description": "当日导出次数上限", "schema": m{"type": "integer"}},
	"RateLimit-Remaining": m{"description": "当日剩余次数", "schema": m{"type": "integer"}},
	"RateLimit-Reset":     m{"description": "多少秒后重新计数", "schema": m{"type": "integer"}},
	"Retry-After":         m{"description": "被拒绝时，多少秒后再试", "schema": m{"type": "integer"}},
	"Location":            m{"description": "已有任务未结束时，该任务的地址", "schema": m{"type": "string"}},
}

// failures describes every failure of every envelope, one response for each HTTP status, with
// examples made by the code that answers.
func (d *describer) failures() m {
	all := m{}
	for _, e := range Envelopes() {
		for _, kind := range errs.Kinds() {
			f := sampleFailure(kind)
			status := f.status(e)
			if status == http.StatusOK {
				continue
			}
			name := failureName(e, status)
			response, _ := all[name].(m)
			if response == nil {
				contentType := "application/json"
				if e == Native {
					contentType = "application/problem+json"
				}
				response = m{"description": http.StatusText(status), "content": m{contentType: m{"schema": failureSchema(e), "examples": m{}}}}
				if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
					response["headers"] = m{"Retry-After": m{"description": "多少秒后再试", "schema": m{"type": "integer"}}}
				}
				all[name] = response
			}
			for _, media := range response["content"].(m) {
				media.(m)["examples"].(m)[kind.String()] = m{"value": sampleObject(func() (*object, error) { return f.body(e) })}
			}
		}
	}
	return all
}

// sampleFailure is a failure of a kind with everything a real one has, as an example.
func sampleFailure(kind errs.Kind) failure {
	f := failure{kind: kind, code: kind.String(), text: kindText[kind], requestID: "3f2f7c1e-8a53-4b0e-9a59-0d6f7f5f1c11"}
	if kind == errs.Invalid {
		f.fields = []errs.Field{{Name: "page", Reason: msgInteger}}
		f.text = fieldText(f.fields)
	}
	return f
}

// failureSchema is read off a real failure that has every field.
func failureSchema(e Envelope) m {
	sample := sampleObject(func() (*object, error) { return sampleFailure(errs.Invalid).body(e) })
	// What a failure without fields has too is always there.
	least := sampleObject(func() (*object, error) { return sampleFailure(errs.Conflict).body(e) })
	properties, required := m{}, []string{}
	for name, value := range sample {
		properties[name] = sampleSchema(value)
		if _, always := least[name]; always {
			required = append(required, name)
		}
	}
	switch e {
	case CodeRemark:
		var codes []int
		for _, a := range answers {
			codes = append(codes, a.numA)
		}
		slices.Sort(codes)
		properties["code"] = m{"enum": slices.Compact(codes)}
	case StatusMsg:
		properties["status"] = m{"const": 1}
	case ResultMsg:
		properties["result"] = m{"const": 0}
	}
	if e == CodeRemark || e == StatusError || e == CodeMsg {
		properties["errors"] = m{"type": "object", "additionalProperties": m{"type": "string"}, "description": "字段及其问题"}
	}
	properties["request_id"] = m{"type": "string", "description": "请求编号"}
	slices.Sort(required)
	return m{"type": "object", "properties": properties, "required": required}
}

// sampleSchema describes values like v.
func sampleSchema(v any) m {
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return m{"type": "array", "items": m{}, "maxItems": 0}
		}
		return m{"type": "array", "items": sampleSchema(v[0])}
	case map[string]any:
		properties := m{}
		for name, inner := range v {
			properties[name] = sampleSchema(inner)
		}
		return m{"type": "object", "properties": properties}
	case float64:
		return m{"type": "integer"}
	case bool:
		return m{"type": "boolean"}
	case nil:
		return m{"type": "null"}
	}
	return m{"type": "string"}
}

// sampleObject is an answer as a client parses it. It panics where make can't work, which a test of
// every envelope would show.
func sampleObject(make func() (*object, error)) map[string]any {
	o, err := make()
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(o.bytes(), &out); err != nil {
		panic(err)
	}
	return out
}
