package sweep

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"exporthub/pkg/httpapi"
)

// probe is one request of the sweep and what its answer has to be.
type probe struct {
	route  httpapi.Route
	what   string // what is wrong with it
	values map[string]any
	query  string // raw, beside values
	body   []byte // instead of values
	form   bool   // values of a body go as a form
	kind   string // content type, where it is not that of the values
	header []string
	token  string  // "" sends none
	want   outcome // "" is any clear answer
	field  string  // what the answer has to name
}

// canary is in every text the sweep sends, so that a log that holds what was sent is found out.
const (
	canary         = "canary9d2f"
	canaryPassword = "Canary-Pass-9d2f"
	canaryPhone    = "13900005555"
)

// sample is a value that the field's declaration allows.
func sample(name string, s *huma.Schema) any {
	switch {
	case s == nil:
		return canary
	case strings.Contains(name, "password"):
		return canaryPassword
	case strings.Contains(strings.ToLower(name), "phone"):
		return canaryPhone
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	switch s.Type {
	case huma.TypeInteger, huma.TypeNumber:
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	case huma.TypeBoolean:
		return true
	case huma.TypeArray:
		return []any{sample("", s.Items)}
	case huma.TypeObject:
		return map[string]any{}
	}
	switch s.Format {
	case "uuid":
		return "3f2b8c1e-7a64-4d0b-9c55-0e6f1a2b3c4d"
	case "date":
		return "2026-01-02"
	case "email":
		return canary + "@example.com"
	case "uri":
		return "https://example.com/" + canary
	}
	if s.MinLength != nil && *s.MinLength > len(canary) {
		return canary + strings.Repeat("a", *s.MinLength-len(canary))
	}
	if s.MaxLength != nil && *s.MaxLength < len(canary) {
		return canary[:*s.MaxLength]
	}
	return canary
}

// base is a request that the declaration allows, with what is required and nothing else.
func base(r httpapi.Route) map[string]any {
	values := map[string]any{}
	for _, name := range r.PathParams() {
		values[name] = canary
	}
	for _, in := range r.Inputs() {
		if in.Required || in.Where == "path" {
			values[in.Name] = sample(in.Name, in.Schema)
		}
	}
	return values
}

// with is base with one value changed; nil takes it out.
func with(r httpapi.Route, name string, v any) map[string]any {
	values := base(r)
	if values[name] = v; v == nil {
		delete(values, name)
	}
	return values
}

// wrongValues are values that the field's declaration forbids, by what is wrong with them.
func wrongValues(in httpapi.Input) map[string]any {
	s, out := in.Schema, map[string]any{}
	if s == nil {
		return out
	}
	number := s.Type == huma.TypeInteger || s.Type == huma.TypeNumber
	switch {
	case number:
		for _, text := range []string{"abc", "1e999", "--1", "0x10", "NaN", "1 2", "１２"} {
			out["text "+text] = text
		}
		out["an object"] = map[string]any{"a": 1}
		if s.Type == huma.TypeInteger {
			out["a fraction"], out["more than 64 bits"] = 1.5, json.Number("99999999999999999999999999")
		}
		if s.Minimum != nil {
			out["below the minimum"] = json.Number(fmt.Sprintf("%.0f", *s.Minimum-1))
		}
		if s.Maximum != nil && *s.Maximum < 1<<53 && s.Extensions[httpapi.Clamps] == nil {
			out["above the maximum"] = json.Number(fmt.Sprintf("%.0f", *s.Maximum+1))
		}
	case s.Type == huma.TypeBoolean:
		out["neither yes nor no"], out["two"], out["an object"] = "perhaps", 2, map[string]any{"a": true}
	case s.Type == huma.TypeString:
		wrongTexts(s, out)
	case s.Type == huma.TypeArray && s.Items != nil && s.Items.Type == huma.TypeInteger:
		out["texts in a list of numbers"] = []any{"abc", "def"}
		out["a list in a list"] = []any{[]any{1}, []any{2}}
	}
	if s.Type == huma.TypeArray && s.MaxItems != nil && s.Items != nil && (in.Where == "body" || *s.MaxItems <= 1000) {
		many := make([]any, *s.MaxItems+1)
		for i := range many {
			many[i] = sample("", s.Items)
		}
		out["too many items"] = many
	}
	if len(s.Enum) > 0 {
		out["none of the choices"] = "no-" + canary
	}
	return out
}

func wrongTexts(s *huma.Schema, out map[string]any) {
	out["a NUL"] = canary + "\x00"
	out["an object"] = map[string]any{"a": "b"}
	if s.MaxLength != nil {
		out["a character too many"] = strings.Repeat("字", *s.MaxLength+1)
	}
	if s.MinLength != nil && *s.MinLength > 1 {
		out["too short"] = strings.Repeat("1", *s.MinLength-1)
	}
	if s.Format != "" && s.Format != "password" {
		out["another format"] = "no such " + canary
	}
	if re, err := regexp.Compile(s.Pattern); err == nil && s.Pattern != "" && !re.MatchString("☃"+canary) {
		out["another pattern"] = "☃" + canary
	}
}

// hostileTexts are what may be sent as text to anything, and must only not do harm.
var hostileTexts = []string{
	canary + "' OR '1'='1'; DROP TABLE people;--", canary + "\"); SELECT pg_sleep(5);--", canary + "\\'; --",
	strings.Repeat("x", 10_000), canary + strings.Repeat("%_", 50), canary + "\x01\x02\x1b[31m\r\nSet-Cookie: a=b", canary + "\u202e\ufeff\U0010ffff\u2028",
	"-1", "0", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "1e308", "-0", "0.1", "null", "true", "[]", "{}", `[1,2]`, `{"a":1}`,
	strings.Repeat("[", 2000), "[" + strings.Repeat(`{"a":`, 100), "../../../etc/passwd", "{{7*7}}${7*7}<script>alert(1)</script>", " ", "\t\n",
	"0000-00-00", "9999-12-31T23:59:59Z", "292277026596-12-04", "=cmd|' /C calc'!A0",
}

// longestLine is how long the texts in one request line may be together: more is refused before any
// route is found.
const longestLine = 40_000

// hostileQueries are forms of a parameter named k.
var hostileQueries = []string{
	"k=1&k=2", "k[]=1&k[]=2", "k[0]=a&k[1]=b", "k[9]=a", "k[99999]=a", "k[a][b]=c", "k=1&k[a]=2", "k[=1", "k]=1", "k[][]=1", "k[a][]=1&k[a][b]=2",
	"k=%ff%fe", "k=%zz", "k=%00", "k=,,,", "k=1,2,x", "k=" + "[" + "&k=]", "k" + strings.Repeat("[a]", 60) + "=1",
}

// halfPair is a text that encoding/json would turn into another one, and two of which into the
// same.
var halfPair = json.RawMessage(`"` + canary + `\ud83d"`)

// strict are the probes that have to be refused: nothing may come of them.
func strict(r httpapi.Route) []probe {
	var all []probe
	add := func(p probe) {
		p.route = r
		if p.values == nil {
			p.values = base(r)
		}
		all = append(all, p)
	}
	inBody := false
	for _, in := range r.Inputs() {
		inBody = inBody || in.Where == "body"
		if r.Out == nil && len(r.Accepts) > 0 {
			continue // it reads its body itself
		}
		for what, v := range wrongValues(in) {
			_, scalar := v.(string)
			switch {
			case in.Where == "header" && (!scalar || strings.ContainsAny(v.(string), "\x00")):
				continue
			case in.Where == "path" && !scalar:
				continue
			}
			add(probe{what: in.Name + ": " + what, values: with(r, in.Name, v), want: meansInvalid, field: in.Name})
			if in.Where == "body" {
				add(probe{what: in.Name + " in a form: " + what, values: with(r, in.Name, v), form: true, want: meansInvalid, field: in.Name})
			}
		}
		if in.Where == "body" && in.Schema != nil && in.Schema.Type == huma.TypeString {
			add(probe{what: in.Name + ": half a surrogate pair", values: with(r, in.Name, halfPair), want: meansInvalid, field: in.Name})
		}
		if in.Required && in.Where != "path" && in.Where != "header" {
			add(probe{what: in.Name + " is missing", values: with(r, in.Name, nil), want: meansInvalid, field: in.Name})
			add(probe{what: in.Name + " is empty", values: with(r, in.Name, ""), form: true, want: meansInvalid, field: in.Name})
		}
	}
	all = append(all, notTaken(r)...)
	if !inBody || r.Out == nil {
		return all
	}
	for what, body := range map[string]string{
		"half an object": `{"a":`, "a list": `[1,2]`, "a text": `"text"`, "two objects": `{}{}`, "no JSON": "\x00\x01\x02",
		"a thousand levels": strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000),
	} {
		add(probe{what: "the body is " + what, body: []byte(body), kind: "application/json", want: meansRefused})
	}
	for _, kind := range []string{"text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json; charset=gbk", "a/b/c;;;"} {
		add(probe{what: "content type " + kind, body: []byte(`{"a":1}`), kind: kind, want: meansUnsupported})
	}
	add(probe{what: "a compressed body", body: []byte(`{}`), kind: "application/json", header: []string{"Content-Encoding", "gzip"}, want: meansUnsupported})
	if r.MaxBody == 0 {
		large := []byte(`{"a":"` + strings.Repeat("x", httpapi.DefaultMaxBody) + `"}`)
		add(probe{what: "a body too large", body: large, kind: "application/json", want: meansTooLarge})
	}
	return all
}

// notTaken are requests for an export with parameters that it does not take. Which columns and rows
// it holds may be chosen only where it is declared.
func notTaken(r httpapi.Route) (all []probe) {
	if r.Method != http.MethodGet || !r.AlwaysStarts && len(r.Starts) == 0 {
		return nil
	}
	starting := ""
	for _, name := range r.Starts {
		starting += name + "=csv&"
	}
	for _, name := range []string{"columns", "ids", "user_fone"} {
		if !slices.ContainsFunc(r.Inputs(), func(in httpapi.Input) bool { return in.Name == name }) {
			all = append(all, probe{
				route:  r,
				what:   name + " is not taken",
				values: base(r),
				query:  starting + name + "=1",
				want:   meansInvalid,
				field:  name,
			})
		}
	}
	return all
}

// lenient are the share-th of so many shares of the probes that may be answered in any clear way.
func lenient(r httpapi.Route, share, shares int) []probe {
	var all []probe
	inputs := r.Inputs()
	mine := func(field, text int) bool { return (field+text)%shares == share }
	for i, text := range hostileTexts {
		if !mine(0, i) {
			continue
		}
		values := base(r)
		for _, in := range inputs {
			if usable(in, text) {
				values[in.Name] = text[:min(len(text), longestLine/len(inputs))]
			}
		}
		all = append(all, probe{route: r, what: fmt.Sprintf("everything is %.40q", text), values: values, form: i%2 == 0})
	}
	for f, in := range inputs {
		for i, text := range hostileTexts {
			if mine(f, i) && usable(in, text) {
				all = append(all, probe{route: r, what: fmt.Sprintf("%s is %.40q", in.Name, text), values: with(r, in.Name, text)})
			}
		}
		if in.Where == "header" {
			continue
		}
		for i, form := range hostileQueries {
			if !mine(f, i) {
				continue
			}
			q := strings.ReplaceAll(form, "k", url.QueryEscape(in.Name))
			all = append(all, probe{route: r, what: "query " + form[:min(len(form), 40)], values: base(r), query: q})
		}
	}
	for _, name := range r.PathParams() {
		if len(inputs) == 0 { // it reads its path itself
			for _, text := range hostileTexts {
				if usable(httpapi.Input{Where: "path"}, text) {
					all = append(all, probe{route: r, what: fmt.Sprintf("%s is %.40q", name, text), values: with(r, name, text)})
				}
			}
		}
	}
	all = append(all,
		probe{route: r, what: "ten thousand and one parameters", values: base(r), query: strings.Repeat("a=1&", 10_001)},
		probe{route: r, what: "unknown parameters", values: base(r), query: "%00=%00&__proto__[a]=1&constructor=1&" + canary + "=" + canary})
	return all
}

// usable reports whether a text can be sent there at all: a header holds no line ends, a path no
// nothing.
func usable(in httpapi.Input, text string) bool {
	switch in.Where {
	case "header":
		return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f })
	case "path":
		return strings.TrimSpace(text) != "" && !strings.Contains(text, "../")
	}
	return true
}

// request makes the probe's HTTP request.
func (p probe) request(base string) (*http.Request, error) {
	path, query, form := p.route.Path, url.Values{}, url.Values{}
	values, header := map[string]any{}, http.Header{}
	for k, v := range p.values {
		values[k] = v
	}
	for _, name := range p.route.PathParams() {
		text := fmt.Sprint(values[name])
		path = regexp.MustCompile(`\{`+regexp.QuoteMeta(name)+`(:[^}]*)?\}`).ReplaceAllLiteralString(path, url.PathEscape(text))
		delete(values, name)
	}
	object := map[string]any{}
	for _, in := range p.route.Inputs() {
		v, there := values[in.Name]
		switch {
		case !there:
		case in.Where == "header":
			header.Set(in.Name, fmt.Sprint(v))
		case in.Where == "body":
			object[in.Name] = v
			flatten(form, in.Name, v)
		default:
			flatten(query, in.Name, v)
		}
	}
	body, kind := p.body, p.kind
	if body == nil && len(object) > 0 {
		if p.form {
			body, kind = []byte(form.Encode()), "application/x-www-form-urlencoded"
		} else {
			var err error
			if body, err = json.Marshal(object); err != nil {
				return nil, err
			}
			kind = "application/json"
		}
	}
	target := base + path + "?" + strings.TrimSuffix(query.Encode()+"&"+p.query, "&")
	req, err := http.NewRequest(p.route.Method, strings.TrimSuffix(target, "?"), strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header = header
	if kind != "" {
		header.Set("Content-Type", kind)
	}
	if p.token != "" {
		header.Set("ACCESS-TOKEN", p.token)
	}
	for i := 0; i+1 < len(p.header); i += 2 {
		header.Set(p.header[i], p.header[i+1])
	}
	return req, nil
}

// exports reports whether the probe's request asks for an export. One whose line is too long, or
// whose query can't be read, asks for nothing.
func (p probe) exports(req *http.Request) bool {
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil || len(req.URL.RequestURI()) > httpapi.MaxRequestLine || strings.Count(req.URL.RawQuery, "&") >= 10_000 {
		return false
	}
	return p.route.AlwaysStarts || slices.ContainsFunc(p.route.Starts, func(name string) bool {
		return strings.TrimSpace(query.Get(name)) != ""
	})
}

// flatten writes a value as a form does.
func flatten(form url.Values, name string, v any) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			flatten(form, fmt.Sprintf("%s[%d]", name, i), item)
		}
	case map[string]any:
		for key, item := range v {
			flatten(form, name+"["+key+"]", item)
		}
	default:
		form.Set(name, fmt.Sprint(v))
	}
}

// curl is the request as a command, for those who want to see the answer.
func (p probe) curl(base string) string {
	req, err := p.request(base)
	if err != nil {
		return err.Error()
	}
	quote := func(s string) string {
		if len(s) > 4000 {
			s = fmt.Sprintf("%s…(%d bytes)", s[:4000], len(s))
		}
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	words := []string{"curl", "-sS", "-X", req.Method, quote(req.URL.String())}
	for name := range req.Header {
		words = append(words, "-H", quote(name+": "+req.Header.Get(name)))
	}
	if p.body != nil {
		words = append(words, "--data-binary", quote(string(p.body)))
	} else if req.ContentLength > 0 {
		buf := make([]byte, req.ContentLength)
		_, _ = req.Body.Read(buf)
		words = append(words, "--data-binary", quote(string(buf)))
	}
	return strings.Join(words, " ")
}
