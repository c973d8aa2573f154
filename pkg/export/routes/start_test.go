package routes_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/export"
	"exporthub/pkg/export/exporttest"
)

// answer is what the tests read of an answer: a record, or a problem.
type answer struct {
	Status                                      any // a word of a record, the number of a problem
	UUID, Dataset, Format, Channel, Filter, Why string
	RetryOf                                     *string `json:"retry_of"`
	Columns                                     []string

	Code, Detail string
	Errors       []struct{ Location, Message string }
}

// post sends JSON and reads the answer.
func post(h *exporttest.Hub, s *httptest.Server, path string, body any, token string, header ...string) (*http.Response, answer) {
	h.T.Helper()
	res, text := h.Send(s, "POST", path, body, token, header...)
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		h.T.Fatalf("POST %s: %d %q: %v", path, res.StatusCode, text, err)
	}
	return res, a
}

func TestStartingAnExport(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{
		Limits: export.Limits{Active: 1, Daily: 2},
	})
	h.Fill(5)
	h.Person("owner", auth.Staff)
	h.Person("nobody", auth.Correspondent)
	s := h.Server()
	token := h.Token("owner")
	good := map[string]any{
		"dataset":  "thing",
		"format":   "csv",
		"filters":  map[string]any{"name": "物品1"},
		"columns":  []string{"name", "id"},
		"filename": "mine",
	}
	with := func(name string, value any) map[string]any {
		changed := map[string]any{}
		for k, v := range good {
			changed[k] = v
		}
		changed[name] = value
		return changed
	}
	for name, c := range map[string]struct {
		body   any
		token  string
		status int
		field  string // that the answer names
	}{
		"no token":                    {good, "", 401, ""},
		"no permission":               {good, h.Token("nobody"), 403, ""},
		"no dataset":                  {with("dataset", ""), token, 422, "dataset"},
		"an unknown dataset":          {with("dataset", "nothing"), token, 422, "dataset"},
		"an unknown format":           {with("format", "pdf"), token, 422, "format"},
		"an unknown column":           {with("columns", []string{"secret"}), token, 422, "columns"},
		"a misspelt filter":           {with("filters", map[string]any{"nmae": "x"}), token, 422, "filters.nmae"},
		"a filter of the wrong type":  {with("filters", map[string]any{"name": []int{1}}), token, 422, "filters.name"},
		"filters that are no object":  {with("filters", []int{1}), token, 422, "filters"},
		"no rows ticked":              {with("ids", []int{}), token, 422, "ids"},
		"a file name with a slash":    {with("filename", "a/b"), token, 422, "filename"},
		"a body that is no JSON":      {"{", token, 422, ""},
		"an unpaired surrogate":       {`{"dataset":"thing","filename":"\ud83d"}`, token, 422, ""},
		"a key with a blank":          {good, token, 422, "Idempotency-Key"},
		"a key that is far too long ": {good, token, 422, "Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			var header []string
			switch {
			case strings.Contains(name, "blank"):
				header = []string{"Idempotency-Key", "a b"}
			case strings.Contains(name, "too long"):
				header = []string{"Idempotency-Key", strings.Repeat("k", 256)}
			}
			res, text := h.Send(s, "POST", "/api/exports", c.body, c.token, header...)
			if res.StatusCode != c.status || !strings.Contains(string(text), c.field) {
				t.Errorf("answers %d %s, want %d and the field %q", res.StatusCode, text, c.status, c.field)
			}
			if n := h.Count("SELECT COUNT(*) FROM exports"); n != 0 {
				t.Errorf("%d exports", n)
			}
		})
	}

	res, first := post(h, s, "/api/exports", good, token)
	if res.StatusCode != 202 || res.Header.Get("Location") != "/api/exports/"+first.UUID || first.Status != "queued" ||
		first.Format != "csv" || first.Channel != "/export/"+first.UUID || len(first.Columns) != 2 ||
		!strings.Contains(first.Filter, "物品1") || res.Header.Get("RateLimit-Remaining") != "1" {
		t.Errorf("answers %d %v %+v", res.StatusCode, res.Header, first)
	}
	if res, a := post(h, s, "/api/exports", good, token); res.StatusCode != 409 || a.Code != "export_active" ||
		res.Header.Get("Location") != "/api/exports/"+first.UUID || res.Header.Get("Retry-After") == "" {
		t.Errorf("with one active: %d %v %+v", res.StatusCode, res.Header, a)
	}
	h.End(first.UUID)
	h.Exec("UPDATE export_days SET used = 2")
	if res, a := post(h, s, "/api/exports", good, token); res.StatusCode != 429 || a.Code != "export_daily_limit" ||
		res.Header.Get("Retry-After") == "" || res.Header.Get("RateLimit-Remaining") != "0" {
		t.Errorf("with the day used: %d %v %+v", res.StatusCode, res.Header, a)
	}
}

func TestOneKeyIsOneExport(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{Limits: export.Limits{Active: 100, Daily: 1000}})
		h.Person("owner", auth.Staff)
		h.Person("other", auth.Staff)
		s := h.Server()
		body := map[string]any{"dataset": "thing", "format": "csv"}
		ask := func(body map[string]any, who, key string) (int, answer) {
			res, a := post(h, s, "/api/exports", body, h.Token(who), "Idempotency-Key", key)
			return res.StatusCode, a
		}
		_, first := ask(body, "owner", "k1")
		same := map[string]any{"format": "csv", "dataset": "thing", "filters": map[string]any{}}
		if status, a := ask(same, "owner", "k1"); status != 202 || a.UUID != first.UUID {
			t.Errorf("the same again: %d %+v, want %s", status, a, first.UUID)
		}
		for name, other := range map[string]map[string]any{
			"format":   {"dataset": "thing", "format": "jsonl"},
			"filters":  {"dataset": "thing", "format": "csv", "filters": map[string]any{"name": "x"}},
			"columns":  {"dataset": "thing", "format": "csv", "columns": []string{"id"}},
			"filename": {"dataset": "thing", "format": "csv", "filename": "mine"},
		} {
			if status, a := ask(other, "owner", "k1"); status != 422 || a.Code != "idempotency_key_reused" {
				t.Errorf("with another %s: %d %+v", name, status, a)
			}
		}
		if status, a := ask(body, "other", "k1"); status != 202 || a.UUID == first.UUID {
			t.Errorf("another person's: %d %+v", status, a)
		}
		if _, a := ask(body, "owner", "k2"); a.UUID == first.UUID {
			t.Error("another key is the same export")
		}
		h.Clock.Advance(24 * time.Hour)
		if _, a := ask(body, "owner", "k1"); a.UUID == first.UUID || a.UUID == "" {
			t.Errorf("a day later: %+v", a)
		}
		if n := h.Count("SELECT COUNT(*) FROM exports"); n != 4 {
			t.Errorf("%d exports, want 4", n)
		}
		h.Balanced()
	})
}

// A hundred requests with one key at once are one export. Each answer is that export, or that it is
// being made.
func TestOneKeySentAHundredTimesAtOnce(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{Limits: export.Limits{Active: 100, Daily: 1000}})
		h.Person("owner", auth.Staff)
		s, token := h.Server(), h.Token("owner")
		const n = 100
		answers, statuses := make([]answer, n), make([]int, n)
		var wait sync.WaitGroup
		for i := range n {
			wait.Go(func() {
				res, a := post(h, s, "/api/exports", map[string]any{"dataset": "thing"}, token, "Idempotency-Key", "race")
				answers[i] = a
				statuses[i] = res.StatusCode
			})
		}
		wait.Wait()
		_, final := post(h, s, "/api/exports", map[string]any{"dataset": "thing"}, token, "Idempotency-Key", "race")
		accepted := 0
		for i, a := range answers {
			switch {
			case statuses[i] == 202 && a.UUID == final.UUID:
				accepted++
			case statuses[i] == 409 && a.Code == "idempotency_in_progress":
			default:
				t.Errorf("answer %d: %d %+v, want %s or in progress", i, statuses[i], a, final.UUID)
			}
		}
		if accepted == 0 {
			t.Error("no answer was the export")
		}
		if n := h.Count("SELECT COUNT(*) FROM exports"); n != 1 {
			t.Errorf("%d exports", n)
		}
		h.Balanced()
	})
}

// A refused request gives its key up, and one whose process died holds it for a while only.
func TestKeysOfRequestsThatFailed(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	h.Person("owner", auth.Staff)
	s, token := h.Server(), h.Token("owner")
	ask := func() (int, answer) {
		res, a := post(h, s, "/api/exports", map[string]any{"dataset": "thing"}, token, "Idempotency-Key", "k")
		return res.StatusCode, a
	}
	_, inTheWay := post(h, s, "/api/exports", map[string]any{"dataset": "thing"}, token)
	if status, a := ask(); status != 409 || a.Code != "export_active" {
		t.Fatalf("with one active: %d %+v", status, a)
	}
	h.End(inTheWay.UUID)
	status, a := ask()
	if status != 202 || a.UUID == inTheWay.UUID {
		t.Fatalf("when it has ended: %d %+v", status, a)
	}
	h.End(a.UUID)

	// As the process that reserved the key leaves it when it dies before it stores the export.
	h.Exec("UPDATE export_requests SET uuid = NULL, token = 'dead'")
	if status, again := ask(); status != 409 || again.Code != "idempotency_in_progress" {
		t.Errorf("while it may be at work: %d %+v", status, again)
	}
	h.Clock.Advance(3 * time.Minute)
	if status, again := ask(); status != 202 || again.UUID == a.UUID {
		t.Errorf("when it can't be at work: %d %+v", status, again)
	}
}
