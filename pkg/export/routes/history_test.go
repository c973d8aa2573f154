package routes_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export"
	"exporthub/pkg/export/exporttest"
)

// history reads one page of a history.
func history(h *exporttest.Hub, s *httptest.Server, query url.Values, token string) (items []answer, next string) {
	h.T.Helper()
	res, text := h.Get(s, "/api/exports?"+query.Encode(), token)
	var page struct {
		Items []answer
		Next  *string
	}
	if err := json.Unmarshal(text, &page); err != nil || res.StatusCode != 200 {
		h.T.Fatalf("history: %d %s %v", res.StatusCode, text, err)
	}
	if page.Next != nil {
		next = *page.Next
	}
	return page.Items, next
}

func uuidsOf(items []answer) (uuids []string) {
	for _, item := range items {
		uuids = append(uuids, item.UUID)
	}
	return uuids
}

// Pages of a history hold each export once, newest first, also while others are made.
func TestHistoryByPages(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{Limits: export.Limits{Active: 100, Daily: 100}})
		ctx, _ := h.Person("owner", auth.Staff)
		strangers, _ := h.Person("other", auth.Staff)
		s, token := h.Server(), h.Token("owner")
		var want []string
		for i := range 7 {
			// Two of one instant, which only their uuids put in an order.
			if i%2 == 0 {
				h.Clock.Advance(time.Second)
			}
			ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, ticket.UUID)
		}
		if _, err := h.Exports.Queue(strangers, exporttest.Request()); err != nil {
			t.Fatal(err)
		}
		var got []string
		query := url.Values{"limit": {"2"}}
		for page := 0; ; page++ {
			items, next := history(h, s, query, token)
			got = append(got, uuidsOf(items)...)
			if next == "" {
				break
			}
			h.Clock.Advance(time.Second)
			if _, err := h.Exports.Queue(ctx, exporttest.Request()); err != nil {
				t.Fatal(err)
			}
			query.Set("cursor", next)
		}
		if len(got) != len(want) {
			t.Fatalf("%d exports on all pages, want %d", len(got), len(want))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("pages hold %v, want %v", got, want)
		}
	})
}

func TestHistoryByStatusDatasetAndDate(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{
		Limits: export.Limits{Active: 100, Daily: 100},
		Work:   true,
	})
	h.Fill(3)
	ctx, _ := h.Person("owner", auth.Staff)
	s := h.Server()
	old, _ := h.Succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
	h.Exec("UPDATE exports SET expires_at = 1 WHERE uuid = ?", old)
	first := h.Clock.Now()
	h.Clock.Advance(48 * time.Hour)
	fresh, _ := h.Succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
	failed, _ := h.Succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
	h.Exec("UPDATE jobs SET state = 'failure' WHERE uuid = ?", failed)
	token := h.Token("owner") // the clock went on for longer than a token is good

	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	for name, c := range map[string]struct {
		query string
		want  []string
	}{
		"all":                 {"", []string{old, fresh, failed}},
		"empty parameters":    {"status=&dataset=&from=&cursor=", []string{old, fresh, failed}},
		"success":             {"status=success", []string{fresh}},
		"expired":             {"status=expired", []string{old}},
		"failure":             {"status=failure", []string{failed}},
		"two statuses":        {"status=failure,expired", []string{old, failed}},
		"active":              {"status=active", nil},
		"this dataset":        {"dataset=thing", []string{old, fresh, failed}},
		"another dataset":     {"dataset=message", nil},
		"until the first day": {"until=" + day(first), []string{old}},
		"from the last day":   {"from=" + day(h.Clock.Now()), []string{fresh, failed}},
	} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		items, _ := history(h, s, query, token)
		got, want := uuidsOf(items), slices.Clone(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, bad := range []string{"status=done", "cursor=x", "cursor=eA", "limit=0", "limit=101", "from=yesterday"} {
		if res, text := h.Get(s, "/api/exports?"+bad, token); res.StatusCode != 422 {
			t.Errorf("%s: %d %s, want 422", bad, res.StatusCode, text)
		}
	}
	// People know a status by what the page calls it.
	if _, text := h.Get(s, "/api/exports?status=done", token); !strings.Contains(string(text), "尚未结束（active）、排队等待中（queued）") {
		t.Errorf("the refusal of a status names the choices without their labels: %s", text)
	}
	if res, _ := h.Get(s, "/api/exports", ""); res.StatusCode != 401 {
		t.Errorf("a stranger: %d", res.StatusCode)
	}
}

// A row that can't be read is in the list, and says so.
func TestHistoryWithADamagedRow(t *testing.T) {
	h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{})
	ctx, _ := h.Person("owner", auth.Staff)
	ticket, err := h.Exports.Queue(ctx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	h.Exec("UPDATE jobs SET payload = '{\"dataset\":[' WHERE uuid = ?", ticket.UUID)
	items, _ := history(h, h.Server(), nil, h.Token("owner"))
	if len(items) != 1 || items[0].UUID != ticket.UUID || items[0].Why == "" {
		t.Errorf("history %+v", items)
	}
}

func TestRetryAndFile(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{
		Work:   true,
		Limits: export.Limits{Active: 1, Daily: 10},
	})
	h.Fill(3)
	ctx, _ := h.Person("owner", auth.Staff)
	h.Person("other", auth.Staff)
	s, token := h.Server(), h.Token("owner")
	request := dataset.Request{
		Dataset: "thing",
		Format:  "csv",
		Filter:  &exporttest.ThingFilter{Name: "物品2"},
		Columns: []string{"id", "name"},
	}
	uuid, file := h.Succeeded(ctx, request)
	path := "/api/exports/" + uuid

	for _, what := range []struct{ method, path string }{{"POST", path + "/retry"}, {"GET", path + "/file"}} {
		if res, text := h.Send(s, what.method, what.path, nil, h.Token("other")); res.StatusCode != 404 {
			t.Errorf("another person's %s: %d %s", what.path, res.StatusCode, text)
		}
	}
	res, text := h.Get(s, path+"/file", token)
	link, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != 302 {
		t.Fatalf("file: %d %s %v", res.StatusCode, text, err)
	}
	if res, got := h.Get(s, link.RequestURI(), ""); res.StatusCode != 200 || string(got) != string(file) {
		t.Errorf("the link: %d, %d bytes of %d", res.StatusCode, len(got), len(file))
	}

	res, again := post(h, s, path+"/retry", nil, token, "Idempotency-Key", "r")
	if res.StatusCode != 202 || again.RetryOf == nil || *again.RetryOf != uuid || again.UUID == uuid ||
		again.Format != "csv" || fmt.Sprint(again.Columns) != "[id name]" {
		t.Fatalf("retry: %d %+v", res.StatusCode, again)
	}
	if _, same := post(h, s, path+"/retry", nil, token, "Idempotency-Key", "r"); same.UUID != again.UUID {
		t.Errorf("the same retry sent again is %s, want %s", same.UUID, again.UUID)
	}
	h.Ended(again.UUID)
	h.Clock.Advance(30 * 24 * time.Hour)
	if res, _ := h.Get(s, path+"/file", h.Token("owner")); res.StatusCode != 410 {
		t.Errorf("an expired file: %d, want 410", res.StatusCode)
	}
	h.Balanced()
}

func TestRetryAndFileOfAnExportThatHasNone(t *testing.T) {
	h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{})
	ctx, _ := h.Person("owner", auth.Staff)
	s, token := h.Server(), h.Token("owner")
	ticket, err := h.Exports.Queue(ctx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	path := "/api/exports/" + ticket.UUID
	if res, a := post(h, s, path+"/retry", nil, token); res.StatusCode != 409 || a.Code != "export_not_ended" {
		t.Errorf("retry of a queued one: %d %+v", res.StatusCode, a)
	}
	if res, _ := h.Get(s, path+"/file", token); res.StatusCode != 409 || res.Header.Get("Retry-After") == "" {
		t.Errorf("file of a queued one: %d %v", res.StatusCode, res.Header)
	}
	h.End(ticket.UUID)
	if res, _ := h.Get(s, path+"/file", token); res.StatusCode != 409 || res.Header.Get("Retry-After") != "" {
		t.Errorf("file of a cancelled one: %d %v", res.StatusCode, res.Header)
	}
}

// What a person may not see is neither among the columns nor among the filters.
func TestDatasetsAndLimits(t *testing.T) {
	h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{
		Limits: export.Limits{Active: 2, Daily: 5},
	})
	ctx, _ := h.Person("owner", auth.Staff)
	h.Person("boss", auth.Administrator)
	h.Person("nobody", auth.Correspondent)
	s := h.Server()
	list := func(who string) (out struct {
		Items []struct {
			Name, Permission string
			Columns          []struct{ Key, Title, Type string }
			Filters          []struct{ Name, Title, Type string }
			Formats          []struct{ Name, Extension string }
		}
	}) {
		_, text := h.Get(s, "/api/exports/datasets", h.Token(who))
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := list("nobody"); len(got.Items) != 0 {
		t.Errorf("without a permission: %+v", got)
	}
	staff := list("owner")
	if len(staff.Items) != 1 || len(staff.Items[0].Columns) != 3 || staff.Items[0].Columns[2].Type != "money" ||
		len(staff.Items[0].Filters) != 1 || staff.Items[0].Filters[0].Name != "name" || len(staff.Items[0].Formats) == 0 {
		t.Errorf("staff: %+v", staff)
	}
	if boss := list("boss"); len(boss.Items) != 1 || len(boss.Items[0].Columns) != 4 {
		t.Errorf("an administrator: %+v", boss)
	}

	if _, err := h.Exports.Queue(ctx, exporttest.Request()); err != nil {
		t.Fatal(err)
	}
	var limits map[string]any
	_, text := h.Get(s, "/api/exports/limits", h.Token("owner"))
	if err := json.Unmarshal(text, &limits); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{"active": 1, "max_active": 2, "used_today": 1, "max_daily": 5, "left_today": 4} {
		if limits[key] != want {
			t.Errorf("%s is %v, want %v", key, limits[key], want)
		}
	}
	if resets, err := time.Parse(time.RFC3339, fmt.Sprint(limits["resets_at"])); err != nil || !resets.After(h.Clock.Now()) {
		t.Errorf("resets at %v, %v", limits["resets_at"], err)
	}
}
