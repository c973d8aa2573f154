package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/errs"
)

type person struct {
	Name   string `json:"name" required:"true" maxLength:"5"`
	Mobile string `json:"mobile"`
	Age    int    `json:"age" minimum:"0" maximum:"150"`
}

type everything struct {
	PerPagePaging
	ID       int64           `json:"id"`
	Text     string          `json:"text"`
	Status   string          `json:"status" enum:"applying,approved,rejected"`
	Small    int8            `json:"small"`
	Unsigned uint16          `json:"unsigned"`
	Ratio    float64         `json:"ratio"`
	Yes      bool            `json:"yes"`
	Maybe    *bool           `json:"maybe"`
	Ints     []int           `json:"ints" maxItems:"4"`
	Texts    []string        `json:"texts" uniqueItems:"true"`
	Person   *person         `json:"person"`
	People   []person        `json:"people"`
	Labels   map[string]int  `json:"labels"`
	Raw      json.RawMessage `json:"raw"`
	Any      any             `json:"any"`
	Note     Opt[string]     `json:"note"`
	Level    Opt[int]        `json:"level" minimum:"1"`
	Price    Cents           `json:"price"`
	Since    Bound           `json:"since"`
	Kind     int             `json:"kind" default:"2" enum:"1,2"`
	UUID     string          `json:"uuid" format:"uuid"`
	Potent   int             `json:"potent_id" alias:"protent_id"`
	Code     string          `json:"code" pattern:"^[A-Z]+$" patternDescription:"大写字母" minLength:"2"`
	Prefer   string          `json:"-" header:"Prefer"`
}

// anything mounts one route for each method that captures its input.
func anything(t *testing.T, got *everything) *httptest.Server {
	t.Helper()
	fn := func(_ context.Context, in everything) (struct{}, error) { *got = in; return struct{}{}, nil }
	var routes []Route
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		routes = append(routes, Handle(method, "/api/any", Native, Public, Doc{}, fn), Handle(method, "/api/any/{id}", Native, Public, Doc{}, fn))
	}
	return serve(t, routes, Options{Logger: quiet()})
}

func serve(t *testing.T, routes []Route, o Options) *httptest.Server {
	t.Helper()
	r := chi.NewRouter()
	Mount(r, routes, o)
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return s
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonBody = "application/json"
)

func TestInputForms(t *testing.T) {
	yes, no := true, false
	tom := person{Name: "tom", Mobile: "13800000001"}
	for name, c := range map[string]struct {
		query, kind, body, path string
		method                  string
		want                    everything
	}{
		"nothing":                       {want: everything{}},
		"query scalars":                 {query: "text=a+b&small=-5&unsigned=7&ratio=0.5&yes=1", want: everything{Text: "a b", Small: -5, Unsigned: 7, Ratio: 0.5, Yes: true}},
		"json scalars":                  {kind: jsonBody, body: `{"text":"<a>&","small":-5,"unsigned":7,"ratio":0.5,"yes":true}`, want: everything{Text: "<a>&", Small: -5, Unsigned: 7, Ratio: 0.5, Yes: true}},
		"form scalars":                  {kind: formType, body: "text=%E5%BC%A0&small=1", want: everything{Text: "张", Small: 1}},
		"form with charset":             {kind: formType + "; charset=UTF-8", body: "small=1", want: everything{Small: 1}},
		"json without content type":     {body: ` {"small":1}`, want: everything{Small: 1}},
		"json labelled as form":         {kind: formType, body: `{"small":1}`, want: everything{Small: 1}},
		"json variant type":             {kind: "application/merge-patch+json", body: `{"small":1}`, want: everything{Small: 1}},
		"json with a byte order mark":   {kind: jsonBody, body: "\xef\xbb\xbf{\"small\":1}", want: everything{Small: 1}},
		"json null body":                {kind: jsonBody, body: "null", want: everything{}},
		"empty body of any type":        {kind: "text/plain", body: "", want: everything{}},
		"bodies of GET are not read":    {method: "GET", kind: jsonBody, body: `{"small":1}`, want: everything{}},
		"bodies of DELETE are":          {method: "DELETE", kind: jsonBody, body: `{"small":1}`, want: everything{Small: 1}},
		"number for text, exactly":      {kind: jsonBody, body: `{"text":13800000001}`, want: everything{Text: "13800000001"}},
		"long number for text, exactly": {kind: jsonBody, body: `{"text":123456789012345678901}`, want: everything{Text: "123456789012345678901"}},
		"text for number":               {kind: jsonBody, body: `{"small":" 5 ","ratio":"1e-3"}`, want: everything{Small: 5, Ratio: 0.001}},
		"big id, exactly":               {kind: jsonBody, body: `{"id":9007199254740993}`, want: everything{ID: 9007199254740993}},
		"whole number with a point":     {kind: jsonBody, body: `{"small":5.0}`, want: everything{Small: 5}},
		"boolean words":                 {query: "yes=是&maybe=否", want: everything{Yes: true, Maybe: &no}},
		"boolean digits in json":        {kind: jsonBody, body: `{"yes":1,"maybe":"TRUE"}`, want: everything{Yes: true, Maybe: &yes}},
		"empty parameters are absent":   {query: "text=&small=&yes=&ints=&note=&level=&since=&price=&person=&any=&raw=&ints[]=&texts[]=&text[]=&small[]=&note[]=&level[]=&raw[]=&any[]=&person[]=", want: everything{}},
		"empty json text":               {kind: jsonBody, body: `{"text":"","small":"","yes":"","note":"","level":"","since":"","price":"","ints":"","person":""}`, want: everything{Note: Some("")}},
		"json null":                     {kind: jsonBody, body: `{"text":null,"small":null,"ints":null,"person":null,"maybe":null,"note":null,"level":null,"any":null,"raw":null}`, want: everything{Note: Opt[string]{Set: true, Null: true}, Level: Opt[int]{Set: true, Null: true}}},
		"optional values":               {query: "note=x&level=3", want: everything{Note: Some("x"), Level: Some(3)}},
		"unknown names":                 {query: "zzz=1&zzz[a]=2&utm[999999999]=1", kind: jsonBody, body: `{"www":{"a":[1]}}`, want: everything{}},
		"repeated key, last counts":     {query: "small=1&small=2", want: everything{Small: 2}},
		"repeated json key, likewise":   {kind: jsonBody, body: `{"small":1,"small":2}`, want: everything{Small: 2}},
		"path over body over query":     {path: "/7", query: "id=1&small=1&text=q", kind: jsonBody, body: `{"id":2,"small":2}`, want: everything{ID: 7, Small: 2, Text: "q"}},
		"empty form leaves query":       {query: "small=1", kind: formType, body: "small=", want: everything{Small: 1}},

		"array: json":            {kind: jsonBody, body: `{"ints":[1,"2",3]}`, want: everything{Ints: []int{1, 2, 3}}},
		"array: empty json":      {kind: jsonBody, body: `{"ints":[]}`, want: everything{Ints: []int{}}},
		"array: json text":       {query: "ints=[1,2]", want: everything{Ints: []int{1, 2}}},
		"array: text in json":    {kind: jsonBody, body: `{"ints":"1, 2","texts":"[\"a,b\"]"}`, want: everything{Ints: []int{1, 2}, Texts: []string{"a,b"}}},
		"array: commas":          {query: "ints=1,2,,3,", want: everything{Ints: []int{1, 2, 3}}},
		"array: repeated":        {query: "ints=1&ints=&ints=2,3", want: everything{Ints: []int{1, 2, 3}}},
		"array: brackets":        {query: "texts[]=a,b&texts[]=c", want: everything{Texts: []string{"a,b", "c"}}},
		"array: escaped":         {query: "ints%5B%5D=1&ints%5B%5D=2", want: everything{Ints: []int{1, 2}}},
		"array: numbered":        {query: "ints[10]=3&ints[2]=2&ints[0]=1", want: everything{Ints: []int{1, 2, 3}}},
		"array: scalar":          {query: "ints=5", want: everything{Ints: []int{5}}},
		"array: scalar in json":  {kind: jsonBody, body: `{"ints":5,"texts":"false"}`, want: everything{Ints: []int{5}, Texts: []string{"false"}}},
		"array: not quite json":  {query: "texts=[a", want: everything{Texts: []string{"[a"}}},
		"object: json":           {kind: jsonBody, body: `{"person":{"name":"tom","mobile":13800000001,"x":1}}`, want: everything{Person: &tom}},
		"object: form":           {kind: formType, body: "person[name]=tom&person[mobile]=13800000001", want: everything{Person: &tom}},
		"object: text in form":   {kind: formType, body: `person={"name":"tom","mobile":"13800000001"}`, want: everything{Person: &tom}},
		"object: text in json":   {kind: jsonBody, body: `{"person":"{\"name\":\"tom\",\"mobile\":\"13800000001\"}"}`, want: everything{Person: &tom}},
		"objects: json":          {kind: jsonBody, body: `{"people":[{"name":"tom","mobile":"13800000001"},{"name":"a"}]}`, want: everything{People: []person{tom, {Name: "a"}}}},
		"objects: form":          {kind: formType, body: "people[0][name]=tom&people[0][mobile]=13800000001&people[1][name]=a", want: everything{People: []person{tom, {Name: "a"}}}},
		"objects: text":          {query: `people=[{"name":"a"}]`, want: everything{People: []person{{Name: "a"}}}},
		"objects: one, no array": {kind: jsonBody, body: `{"people":{"name":"a"}}`, want: everything{People: []person{{Name: "a"}}}},
		"objects: texts":         {query: `people={"name":"a"}&people={"name":"b"}`, want: everything{People: []person{{Name: "a"}, {Name: "b"}}}},
		"map":                    {query: "labels[a]=1&labels[b]=2", want: everything{Labels: map[string]int{"a": 1, "b": 2}}},
		"map: json":              {kind: jsonBody, body: `{"labels":{"a":"1"}}`, want: everything{Labels: map[string]int{"a": 1}}},
		"raw: json":              {kind: jsonBody, body: `{"raw":{"b":1.50,"a":"<"}}`, want: everything{Raw: json.RawMessage(`{"a":"<","b":1.50}`)}},
		"raw: form":              {query: "raw[a]=1", want: everything{Raw: json.RawMessage(`{"a":"1"}`)}},
		"raw: json text":         {query: `raw={"a":1}`, want: everything{Raw: json.RawMessage(`{"a":1}`)}},
		"raw: text":              {query: `raw=x`, want: everything{Raw: json.RawMessage(`"x"`)}},
		"any":                    {kind: jsonBody, body: `{"any":[1,{"a":null}]}`, want: everything{Any: []any{json.Number("1"), map[string]any{"a": nil}}}},
		"any: text":              {query: "any=x", want: everything{Any: "x"}},
		"money":                  {query: "price=112.5", want: everything{Price: 11250}},
		"money as number":        {kind: jsonBody, body: `{"price":112.05}`, want: everything{Price: 11205}},
		"alias":                  {query: "protent_id=4", want: everything{Potent: 4}},
		"name before alias":      {query: "protent_id=4&potent_id=5", want: everything{Potent: 5}},
		"default overridden":     {query: "kind=1", want: everything{Kind: 1}},
		"embedded fields":        {query: "page=2&per_page=5000", want: everything{PerPagePaging: PerPagePaging{Page: 2, PerPage: 5000}}},
		"checks that pass":       {query: "status=approved&uuid=3f2f7c1e-8a53-4b0e-9a59-0d6f7f5f1c11&code=AB&texts=a,b", want: everything{Status: "approved", UUID: "3f2f7c1e-8a53-4b0e-9a59-0d6f7f5f1c11", Code: "AB", Texts: []string{"a", "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got everything
			s := anything(t, &got)
			status, body := call(t, s, methodOr(c.method, "POST"), "/api/any"+c.path+"?"+escapeSpaces(c.query), c.kind, c.body)
			if status != 200 {
				t.Fatalf("status = %d, body %s", status, body)
			}
			if c.want.Kind == 0 {
				c.want.Kind = 2
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(Bound{})); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
		})
	}
}

func methodOr(method, fallback string) string {
	if method == "" {
		return fallback
	}
	return method
}

func escapeSpaces(q string) string {
	return strings.NewReplacer(" ", "%20", `"`, "%22", "{", "%7B", "}", "%7D").Replace(q)
}

func call(t *testing.T, s *httptest.Server, method, target, kind, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	status, text, _ := send(t, r)
	return status, text
}

func send(t *testing.T, r *http.Request) (int, string, http.Header) {
	t.Helper()
	answer, err := http.DefaultTransport.RoundTrip(r) // redirects and cookies as they are
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode, readAll(t, answer), answer.Header
}

func TestBadInputNamesTheField(t *testing.T) {
	long := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	for name, c := range map[string]struct {
		query, kind, body, path string
		want                    []errs.Field
	}{
		"not a number":               {query: "small=x", want: []errs.Field{{Name: "small", Reason: msgInteger}}},
		"fraction":                   {kind: jsonBody, body: `{"small":1.5}`, want: []errs.Field{{Name: "small", Reason: msgInteger}}},
		"exponent":                   {kind: jsonBody, body: `{"small":1e2}`, want: []errs.Field{{Name: "small", Reason: msgInteger}}},
		"overflow":                   {query: "small=128&unsigned=65536&id=9223372036854775808", want: []errs.Field{{Name: "id", Reason: msgRange}, {Name: "small", Reason: msgRange}, {Name: "unsigned", Reason: msgRange}}},
		"negative unsigned":          {query: "unsigned=-1", want: []errs.Field{{Name: "unsigned", Reason: msgRange}}},
		"not a float":                {query: "ratio=NaN", want: []errs.Field{{Name: "ratio", Reason: msgNumber}}},
		"float overflow":             {query: "ratio=1e999", want: []errs.Field{{Name: "ratio", Reason: msgRange}}},
		"boolean":                    {query: "yes=yup", want: []errs.Field{{Name: "yes", Reason: msgBool}}},
		"boolean for number":         {kind: jsonBody, body: `{"small":true}`, want: []errs.Field{{Name: "small", Reason: msgInteger}}},
		"boolean for text":           {kind: jsonBody, body: `{"text":true,"note":false,"texts":["a",false]}`, want: []errs.Field{{Name: "text", Reason: msgText}, {Name: "texts[1]", Reason: msgText}, {Name: "note", Reason: msgText}}},
		"page beyond int32":          {query: "page=2147483648", want: []errs.Field{{Name: "page", Reason: "不能大于 2,147,483,647"}}},
		"page beyond int64":          {query: "page=99999999999999999999", want: []errs.Field{{Name: "page", Reason: msgRange}}},
		"path":                       {path: "/abc", want: []errs.Field{{Name: "id", Reason: msgInteger}}},
		"array for scalar":           {kind: jsonBody, body: `{"text":["a"],"small":[1],"yes":{}}`, want: []errs.Field{{Name: "text", Reason: msgSingle}, {Name: "small", Reason: msgSingle}, {Name: "yes", Reason: msgSingle}}},
		"array for scalar in form":   {query: "small[]=1", want: []errs.Field{{Name: "small", Reason: msgSingle}}},
		"element":                    {query: "ints=1,x,3", want: []errs.Field{{Name: "ints[1]", Reason: msgInteger}}},
		"numbered element":           {query: "ints[7]=x&ints[3]=1", want: []errs.Field{{Name: "ints[7]", Reason: msgInteger}}},
		"empty element":              {kind: jsonBody, body: `{"ints":[1,"",null]}`, want: []errs.Field{{Name: "ints[1]", Reason: msgRequired}, {Name: "ints[2]", Reason: msgRequired}}},
		"too many elements":          {query: "ints=1,2,3,4,5", want: []errs.Field{{Name: "ints", Reason: "最多 4 项"}}},
		"repeated elements":          {query: "texts=a,a", want: []errs.Field{{Name: "texts", Reason: msgUnique}}},
		"object for array":           {kind: jsonBody, body: `{"ints":{"a":1}}`, want: []errs.Field{{Name: "ints", Reason: msgArray}}},
		"named for numbered":         {query: "ints[a]=1", want: []errs.Field{{Name: "ints", Reason: msgArray}}},
		"scalar for object":          {kind: jsonBody, body: `{"person":5}`, want: []errs.Field{{Name: "person", Reason: msgObject}}},
		"text for object":            {query: "person=tom", want: []errs.Field{{Name: "person", Reason: msgObject}}},
		"nested required and range":  {kind: jsonBody, body: `{"person":{"age":-1}}`, want: []errs.Field{{Name: "person.name", Reason: msgRequired}, {Name: "person.age", Reason: "不能小于 0"}}},
		"nested in array":            {kind: formType, body: "people[0][name]=tom&people[1][name]=toolong&people[1][age]=x", want: []errs.Field{{Name: "people[1].name", Reason: "最多 5 个字符"}, {Name: "people[1].age", Reason: msgInteger}}},
		"required but empty":         {kind: jsonBody, body: `{"person":{"name":""}}`, want: []errs.Field{{Name: "person.name", Reason: msgRequired}}},
		"object in array of scalars": {kind: jsonBody, body: `{"people":[5]}`, want: []errs.Field{{Name: "people[0]", Reason: msgObject}}},
		"map value":                  {query: "labels[b]=x&labels[a]=y", want: []errs.Field{{Name: "labels.a", Reason: msgInteger}, {Name: "labels.b", Reason: msgInteger}}},
		"mixed":                      {query: "ints=1&ints[a]=2", want: []errs.Field{{Name: "ints", Reason: msgMixed}}},
		"huge index":                 {query: "ints[999999999]=1", want: []errs.Field{{Name: "ints", Reason: "序号过大，最大为 9999"}}},
		"overflowing index":          {query: "ints[99999999999999999999]=1", want: []errs.Field{{Name: "ints", Reason: "序号过大，最大为 9999"}}},
		"deep key":                   {query: "any" + strings.Repeat("[a]", 4_000) + "=1", want: []errs.Field{{Name: "any", Reason: "嵌套过深，最多 32 层"}}},
		"index left out":             {query: "people[][name]=1", want: []errs.Field{{Name: "people", Reason: msgIndexNeeded}}},
		"percent":                    {query: "text=%zz", want: []errs.Field{{Name: "text", Reason: msgPercent}}},
		"invalid UTF-8 in query":     {query: "text=%ff%fe", want: []errs.Field{{Name: "text", Reason: msgCharacters}}},
		"invalid UTF-8 in json":      {kind: jsonBody, body: "{\"text\":\"a\xffb\",\"small\":1}", want: []errs.Field{{Name: "text", Reason: msgCharacters}}},
		"NUL":                        {query: "text=a%00b", want: []errs.Field{{Name: "text", Reason: msgCharacters}}},
		"NUL in json":                {kind: jsonBody, body: `{"any":{"a":["\u0000"]},"person":{"name":"a\u0000"}}`, want: []errs.Field{{Name: "person.name", Reason: msgCharacters}, {Name: "any", Reason: msgCharacters}}},
		"NUL in an element":          {query: "texts=a,%00", want: []errs.Field{{Name: "texts[1]", Reason: msgCharacters}}},
		"money":                      {query: "price=1.234", want: []errs.Field{{Name: "price", Reason: msgMoney}}},
		"time":                       {query: "since=yesterday", want: []errs.Field{{Name: "since", Reason: msgTime}}},
		"enum":                       {query: "status=x&kind=3", want: []errs.Field{{Name: "status", Reason: "只能是 applying、approved、rejected 之一"}, {Name: "kind", Reason: "只能是 1、2 之一"}}},
		"format":                     {query: "uuid=123", want: []errs.Field{{Name: "uuid", Reason: msgUUID}}},
		"pattern":                    {query: "code=ab", want: []errs.Field{{Name: "code", Reason: "应为大写字母"}}},
		"too short":                  {query: "code=A", want: []errs.Field{{Name: "code", Reason: "至少 2 个字符"}}},
		"optional":                   {query: "level=0", want: []errs.Field{{Name: "level", Reason: "不能小于 1"}}},
		"alias as spelled":           {query: "protent_id=x", want: []errs.Field{{Name: "protent_id", Reason: msgInteger}}},
		"not json":                   {kind: jsonBody, body: `{"small":`, want: []errs.Field{}},
		"json array":                 {kind: jsonBody, body: `[1]`, want: []errs.Field{}},
		"two json values":            {kind: jsonBody, body: `{} {}`, want: []errs.Field{}},
		"deep json":                  {kind: jsonBody, body: `{"any":` + long + `}`, want: []errs.Field{}},
		"too many parameters":        {kind: formType, body: strings.Repeat("a=1&", 10_201), want: []errs.Field{}},
	} {
		t.Run(name, func(t *testing.T) {
			var got everything
			s := anything(t, &got)
			status, body := call(t, s, "POST", "/api/any"+c.path+"?"+escapeSpaces(c.query), c.kind, c.body)
			if status != 422 {
				t.Fatalf("status = %d, want 422; body %s", status, body)
			}
			var problem struct {
				Detail string
				Errors []struct{ Field, Reason string }
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil {
				t.Fatal(err)
			}
			fields := []errs.Field{}
			for _, e := range problem.Errors {
				fields = append(fields, errs.Field{Name: e.Field, Reason: e.Reason})
			}
			if diff := cmp.Diff(c.want, fields); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if problem.Detail == "" || problem.Detail == kindText[errs.Invalid] {
				t.Errorf("detail = %q says nothing", problem.Detail)
			}
		})
	}
}

func TestBodiesThatAreNotRead(t *testing.T) {
	for name, c := range map[string]struct {
		kind, encoding, body string
		status               int
	}{
		"multipart":            {kind: "multipart/form-data; boundary=x", body: "--x\r\n\r\n--x--", status: 415},
		"text":                 {kind: "text/plain", body: `{"small":1}`, status: 415},
		"no type, no json":     {body: "small=1", status: 415},
		"broken type":          {kind: "json", body: `{}`, status: 415},
		"other charset":        {kind: "application/json; charset=gbk", body: `{}`, status: 415},
		"compressed":           {kind: jsonBody, encoding: "gzip", body: "\x1f\x8b", status: 415},
		"too large, told":      {kind: jsonBody, body: `{"text":"` + strings.Repeat("x", DefaultMaxBody) + `"}`, status: 413},
		"exactly large enough": {kind: jsonBody, body: `{"text":"` + strings.Repeat("x", DefaultMaxBody-11) + `"}`, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			var got everything
			s := anything(t, &got)
			// with Content-Length and chunked
			for _, length := range []int64{int64(len(c.body)), -1} {
				r, err := http.NewRequest("POST", s.URL+"/api/any", struct{ *strings.Reader }{strings.NewReader(c.body)})
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = length
				if c.kind != "" {
					r.Header.Set("Content-Type", c.kind)
				}
				if c.encoding != "" {
					r.Header.Set("Content-Encoding", c.encoding)
				}
				if status, body, _ := send(t, r); status != c.status {
					t.Errorf("length %d: status = %d, want %d; body %s", length, status, c.status, body)
				}
			}
		})
	}
}

func TestHeaderFields(t *testing.T) {
	var got everything
	s := anything(t, &got)
	r, err := http.NewRequest("GET", s.URL+"/api/any?Prefer=no", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Prefer", "wait=20")
	if status, body, _ := send(t, r); status != 200 || got.Prefer != "wait=20" {
		t.Errorf("status %d, Prefer = %q; body %s", status, got.Prefer, body)
	}
}

func TestManyProblemsAreBounded(t *testing.T) {
	var in everything
	err := DecodeValues(json.RawMessage(`{"any":1,"texts":[`+strings.Repeat("[],", 1000)+`[]]}`), &in)
	e := errs.As(err)
	if e == nil || len(e.Fields) != maxProblems+1 || e.Fields[maxProblems].Reason != msgMoreProblems {
		t.Errorf("got %v", err)
	}
}

func TestDecodeValues(t *testing.T) {
	type filters struct {
		PerPagePaging
		Status []string    `json:"status" enum:"applying,approved"`
		Since  Bound       `json:"since"`
		Note   Opt[string] `json:"note"`
		ID     int64       `json:"id"`
	}
	since, err := ParseBound("2026-01-31")
	if err != nil {
		t.Fatal(err)
	}
	want := filters{PerPagePaging: PerPagePaging{Page: 3}, Status: []string{"applying"}, Since: since, Note: Some("x"), ID: 5}
	for name, values := range map[string]any{
		"map of json": map[string]any{"page": json.Number("3"), "status": []any{"applying"}, "since": "2026-01-31", "note": "x", "id": "5"},
		"map of go":   map[string]any{"page": 3, "status": []string{"applying"}, "since": since, "note": "x", "id": int64(5)},
		"raw":         json.RawMessage(`{"page":"3","status":"applying","since":"2026-01-31","note":"x","id":5,"other":1}`),
		"bytes":       []byte(`{"page":3,"status":["applying"],"since":"2026-01-31","note":"x","id":5}`),
	} {
		var got filters
		if err := DecodeValues(values, &got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(want, got, cmp.AllowUnexported(Bound{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, values := range map[string]any{"nil": nil, "null": json.RawMessage("null"), "empty": json.RawMessage(nil), "nil map": map[string]any(nil)} {
		var got filters
		if err := DecodeValues(values, &got); err != nil || !reflect.DeepEqual(got, filters{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct {
		values any
		field  string
	}{
		"wrong type":    {json.RawMessage(`{"id":"x"}`), "id"},
		"wrong enum":    {map[string]any{"status": "gone"}, "status[0]"},
		"unencodable":   {map[string]any{"id": func() {}}, "id"},
		"not an object": {json.RawMessage(`[]`), ""},
		"not json":      {json.RawMessage(`{`), ""},
	} {
		var got filters
		err := DecodeValues(c.values, &got)
		if !errs.Is(err, errs.Invalid) || c.field != "" && errs.As(err).Fields[0].Name != c.field {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := DecodeValues(nil, filters{}); err == nil || errs.Is(err, errs.Invalid) {
		t.Errorf("a target that is no pointer: %v", err)
	}
	if err := DecodeValues(nil, &struct{ F func() }{}); err == nil || errs.Is(err, errs.Invalid) {
		t.Errorf("a target that can't be filled: %v", err)
	}
}

// loud is a type of a system's own, with its own words.
type loud string

func (l *loud) UnmarshalText(b []byte) error {
	switch s := string(b); {
	case s == "quiet":
		return errors.New("internal detail")
	case s != strings.ToUpper(s):
		return Reason("请大声一点")
	default:
		*l = loud(s)
		return nil
	}
}

func TestOwnTypes(t *testing.T) {
	type input struct {
		Word  loud   `json:"word"`
		Words []loud `json:"words"`
	}
	var in input
	if err := DecodeValues(map[string]any{"word": "A", "words": "B,C"}, &in); err != nil || in.Word != "A" || len(in.Words) != 2 {
		t.Errorf("got %+v, %v", in, err)
	}
	err := DecodeValues(map[string]any{"word": "a", "words": "B,quiet"}, &in)
	want := []errs.Field{{Name: "word", Reason: "请大声一点"}, {Name: "words[1]", Reason: msgFormat}}
	if e := errs.As(err); e == nil || !reflect.DeepEqual(e.Fields, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// Rows that were ticked are a selection: one of nothing is refused as such, where an empty
// parameter is absent as any other.
func TestASelectionOfNothingIsRefused(t *testing.T) {
	for query, refused := range map[string]bool{
		"": false, "ids=": false, "ids=&ids=": false, "ids=%20": false, "ids[]=1": false, "ids=,3,": false,
		"ids=,": true, "ids=,%20,": true, "ids=&ids=,": true, "ids[]=": true, "ids[]=&ids[]=": true, "ids=[]": true,
	} {
		var in ExportParams
		err := Decode(httptest.NewRequest("GET", "/?"+query, nil), &in)
		if !refused {
			if err != nil {
				t.Errorf("%s: %v", query, err)
			}
			continue
		}
		e := errs.As(err)
		if e == nil || len(e.Fields) != 1 || e.Fields[0] != (errs.Field{Name: "ids", Reason: "至少 1 项"}) {
			t.Errorf("%s: %v", query, err)
		}
	}
	var in ExportParams
	if err := DecodeValues([]byte(`{"ids":","}`), &in); !errs.Is(err, errs.Invalid) {
		t.Errorf("a comma in JSON: %v", err)
	}
}

func TestSizesAreWrittenAsPeopleReadThem(t *testing.T) {
	for bytes, want := range map[int64]string{20 << 20: "20 MiB", 1 << 20: "1 MiB", 64 << 10: "64 KiB", 1000: "1000 字节", 0: "0 字节"} {
		if got := SizeText(bytes); got != want {
			t.Errorf("%d is %s, want %s", bytes, got, want)
		}
	}
}
