package httpapi

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/errs"
	"exporthub/pkg/page"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", file, diff)
	}
}

const testID = "test-request-1"

// show sends a request with a known id and prints the answer with the headers that belong to the
// contract.
func show(t *testing.T, s *httptest.Server, method, target string) string {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Request-Id", testID)
	status, body, h := send(t, r)
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", status, body)
	for _, name := range []string{"Content-Type", "Cache-Control", "Retry-After", "Location", "Allow", "X-Total-Estimated", "ETag"} {
		if v := h.Get(name); v != "" && v != "application/json; charset=utf-8" && v != "no-store" {
			fmt.Fprintf(&b, "  %s: %s\n", name, v)
		}
	}
	if h.Get("X-Request-Id") != testID || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s: headers %v", method, target, h)
	}
	return b.String()
}

// TestFailuresOfEveryKindInEveryEnvelope holds the whole error map to a file that is read like a
// document.
func TestFailuresOfEveryKindInEveryEnvelope(t *testing.T) {
	cases := []struct {
		name string
		err  error
	}{}
	for _, k := range errs.Kinds() {
		cases = append(cases, struct {
			name string
			err  error
		}{k.String(), &errs.Error{Kind: k, Cause: errors.New("SECRET cause")}})
	}
	add := func(name string, err error) {
		cases = append(cases, struct {
			name string
			err  error
		}{name, err})
	}
	add("unclassified", errors.New("SECRET text"))
	add("internal with a message", errs.New(errs.Internal, "SECRET message"))
	add("unknown kind", &errs.Error{Kind: 200, Message: "SECRET message"})
	add("deadline", fmt.Errorf("query: %w", context.DeadlineExceeded))
	add("invalid fields", &errs.Error{Kind: errs.Invalid, Fields: []errs.Field{
		{Name: "page", Reason: "应为整数"}, {Name: "a[0].b", Reason: "不能为空"}, {Name: "page", Reason: "不能小于 1"}}})
	add("invalid with a message", errs.New(errs.Invalid, "该邀请已审批,请勿重复操作"))
	add("export forbidden", &errs.Error{Kind: errs.Forbidden, Code: "export_forbidden", Message: "你没有应用导出的权限"})
	add("export active", &errs.Error{Kind: errs.Conflict, Code: "export_active", Message: "当前用户已经有导出任务排队或执行,请稍后再试",
		RetryAfter: 1500 * time.Millisecond, Location: "/api/exports/1"})
	add("export daily limit", &errs.Error{Kind: errs.Quota, Code: "export_daily_limit", Message: "该用户已经超过当日导出最大次数50,当前任务不允许执行", RetryAfter: time.Hour})
	add("unavailable for long", &errs.Error{Kind: errs.Unavailable, RetryAfter: time.Minute})
	add("html in a message", errs.New(errs.Conflict, `<b>"&"</b>`))

	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "== %s\n", c.name)
		for _, e := range Envelopes() {
			fn := func(ctx context.Context, _ struct{}) (struct{}, error) {
				SetETag(ctx, "of what was not answered")
				return struct{}{}, c.err
			}
			s := serve(t, []Route{Handle("GET", "/api/x", e, Public, Doc{}, fn)}, Options{Logger: quiet()})
			fmt.Fprintf(&b, "%-6s %s", e, show(t, s, "GET", "/api/x"))
		}
	}
	if strings.Contains(b.String(), "SECRET") {
		t.Error("an answer shows what must not be shown")
	}
	golden(t, "failures.golden", b.String())
}

type thing struct {
	ID   int            `json:"id"`
	Name string         `json:"name"`
	Tags []string       `json:"tags"`
	Sub  *thing         `json:"sub"`
	More map[string]any `json:"more,omitempty"`
}

func TestSuccessesInEveryEnvelope(t *testing.T) {
	pageOf := page.Result[thing]{Items: []thing{{ID: 1, Name: "<张>"}}, Total: 31, Request: page.Request{Number: 2, Size: 15}}
	guess := pageOf
	guess.Estimated = true
	nothing := page.Result[thing]{Request: page.Request{Number: 1, Size: 15}}
	kinds := []struct {
		name  string
		route func(e Envelope) Route
	}{
		{"data", answering(thing{ID: 1, Name: "<a href='x'>&", Sub: &thing{Tags: []string{"x"}}})},
		{"nil slice", answering([]thing(nil))},
		{"nil", answering[any](nil)},
		{"text", answering(Reply[thing]{Msg: "操作成功", NoData: true})},
		{"reply with another key", answering(Reply[[]int]{Key: "date", Msg: "导出任务已经加入队列,请耐心等待", Top: []TopField{{"total", 3}, {"list", []string(nil)}}})},
		{"data key of the route", func(e Envelope) Route {
			r := answering(Reply[int]{Data: 1})(e)
			WithDataKey("date")(&r)
			return r
		}},
		{"status", answering(Reply[thing]{Status: 202})},
		{"list A", answering(ModelsList(pageOf))},
		{"list A, estimated", answering(Reply[ModelsPage[thing]]{Data: ModelsList(guess)})},
		{"list A, empty", answering(ModelsList(nothing))},
		{"list B", answering(PageInfoList(pageOf))},
		{"list B, estimated", answering(PageInfoList(guess))},
		{"list D", answering(ResultsList(nothing))},
		{"choice", answering(either{ModelsList(guess)})},
	}
	var b strings.Builder
	for _, c := range kinds {
		fmt.Fprintf(&b, "== %s\n", c.name)
		for _, e := range Envelopes() {
			s := serve(t, []Route{c.route(e)}, Options{Logger: quiet()})
			fmt.Fprintf(&b, "%-6s %s", e, show(t, s, "GET", "/api/x"))
		}
	}
	golden(t, "successes.golden", b.String())
}

func answering[T any](out T) func(Envelope) Route {
	return func(e Envelope) Route {
		return Handle("GET", "/api/x", e, Public, Doc{}, func(context.Context, struct{}) (T, error) { return out, nil })
	}
}

// either writes its own JSON and stands for something else.
type either struct{ of any }

func (either) MarshalJSON() ([]byte, error) { return nil, errors.New("Chosen is written instead") }
func (e either) Chosen() any                { return e.of }

func TestEveryKindHasItsRows(t *testing.T) {
	if len(answers) != len(errs.Kinds()) || len(kindText) != len(errs.Kinds()) {
		t.Fatalf("%d answers and %d texts for %d kinds", len(answers), len(kindText), len(errs.Kinds()))
	}
	numbers := map[int]bool{}
	for _, k := range errs.Kinds() {
		a := answers[k]
		if a.status == 0 || a.inC == 0 || a.numC <= 0 || a.numA == 0 || a.errA == "" || kindText[k] == "" {
			t.Errorf("%v: incomplete %+v, %q", k, a, kindText[k])
		}
		if numbers[a.numC] {
			t.Errorf("%v: C's status %d means two things", k, a.numC)
		}
		numbers[a.numC] = true
		for _, e := range Envelopes() {
			if status := (failure{kind: k}).status(e); a.kept && status != a.status {
				t.Errorf("%v in %v: status %d, want %d kept", k, e, status, a.status)
			}
		}
	}
}

func TestNilSlicesAreNeverNull(t *testing.T) {
	type deep struct {
		Any   any              `json:"any"`
		Map   map[string][]int `json:"map"`
		Ptr   *deep            `json:"ptr"`
		Array [1][]int         `json:"-"`
		Bytes []byte           `json:"bytes"`
		Omit  []int            `json:"omit,omitempty"`
		Zero  []int            `json:"zero,omitzero"`
		Lists [][]int          `json:"lists"`
	}
	shared := &deep{Lists: [][]int{nil, {1}}}
	in := map[string]any{"d": deep{Any: []int(nil), Map: map[string][]int{"a": nil, "b": {1}}, Ptr: shared}, "e": []any{[]string(nil)}}
	o, err := rawObject(in)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"d":{"any":[],"map":{"a":[],"b":[1]},"ptr":{"any":null,"map":null,"ptr":null,"bytes":null,"lists":[[],[1]]},"bytes":null,"lists":[]},"e":[[]]}`
	if got := string(o.bytes()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if shared.Lists[0] != nil {
		t.Error("what the handler returned was changed: it may be shared")
	}
	loop := map[string]any{}
	loop["self"] = []any{loop}
	if _, err := rawObject(loop); err == nil {
		t.Error("a cycle was encoded")
	}
}

func TestEnvelopeNames(t *testing.T) {
	var names []string
	for _, e := range append(Envelopes(), Envelope(99)) {
		names = append(names, e.String())
	}
	if want := []string{"native", "A", "B", "C", "D", "E", "unknown"}; !slices.Equal(names, want) {
		t.Errorf("names %v, want %v", names, want)
	}
}
