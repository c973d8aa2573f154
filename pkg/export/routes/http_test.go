package routes_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export"
	"exporthub/pkg/export/exporttest"
)

func TestReadingAJob(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	h.Fill(5)
	ctx, _ := h.Person("13800000011", auth.Staff)
	h.Person("13800000012", auth.Staff)
	h.Person("13800000013", auth.Administrator)
	ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
	if err != nil {
		t.Fatal(err)
	}
	s := h.Server()
	path := "/api/exports/" + ticket.UUID
	owner := h.Token("13800000011")

	res, body := h.Get(s, path, owner)
	var v struct {
		UUID, Status, Dataset, Why string
		FileURL                    *string `json:"file_url"`
		Event                      exporttest.Event
	}
	if err := json.Unmarshal(body, &v); err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %v: %s", res.StatusCode, err, body)
	}
	if v.UUID != ticket.UUID || v.Status != "queued" || v.Dataset != "thing" || v.Why == "" || v.Event.UUID != ticket.UUID {
		t.Errorf("got %s", body)
	}
	tag := res.Header.Get("ETag")
	if res, _ := h.Get(s, path, owner, "If-None-Match", tag); res.StatusCode != 304 {
		t.Errorf("unchanged: %d, want 304", res.StatusCode)
	}
	for name, token := range map[string]string{"another person": h.Token("13800000012")} {
		if res, _ := h.Get(s, path, token); res.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", name, res.StatusCode)
		}
	}
	if res, _ := h.Get(s, path, h.Token("13800000013")); res.StatusCode != 200 {
		t.Errorf("an administrator: %d, want 200", res.StatusCode)
	}
	if res, _ := h.Get(s, path, ""); res.StatusCode != 401 {
		t.Errorf("a stranger: %d, want 401", res.StatusCode)
	}
	for _, bad := range []string{"/api/exports/11111111-1111-4111-8111-111111111111", "/api/exports/x"} {
		if res, _ := h.Get(s, bad, owner); res.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", bad, res.StatusCode)
		}
	}

	// A request that waits is answered when the change happens.
	answer := make(chan []byte, 1)
	go func() {
		_, body := h.Get(s, path, owner, "Prefer", "wait=20", "If-None-Match", tag)
		answer <- body
	}()
	h.End(ticket.UUID)
	select {
	case body := <-answer:
		if !strings.Contains(string(body), `"status":"cancelled"`) {
			t.Errorf("waited for %s", body)
		}
	case <-time.After(10 * time.Second):
		t.Error("the waiting request was not answered at the end")
	}
}

func TestCancelOverHTTP(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Limits: export.Limits{Active: 9, Daily: 9}})
	ctx, _ := h.Person("13800000011", auth.Staff)
	h.Person("13800000012", auth.Administrator)
	queued := func() string {
		ticket, err := h.Exports.Queue(ctx, exporttest.Request())
		if err != nil {
			t.Fatal(err)
		}
		return ticket.UUID
	}
	waiting, running, done := queued(), queued(), queued()
	h.Exec("UPDATE jobs SET state = 'writing_file', lease_owner = 'w', lease_until = 9000000000000000 WHERE uuid = ?", running)
	h.Exec("UPDATE jobs SET state = 'success' WHERE uuid = ?", done)
	s, owner := h.Server(), h.Token("13800000011")
	stranger := h.Token("13800000012")
	for _, c := range []struct {
		name, uuid, token string
		status            int
		state             string
	}{
		{"anonymous", waiting, "", 401, ""},
		{"another's", waiting, stranger, 404, ""},
		{"unknown", "00000000-0000-4000-8000-000000000009", owner, 404, ""},
		{"no uuid", "x", owner, 404, ""},
		{"queued", waiting, owner, 200, "cancelled"},
		{"again", waiting, owner, 200, "cancelled"},
		{"running", running, owner, 202, "writing_file"},
		{"over", done, owner, 409, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "DELETE", s.URL+"/api/exports/"+c.uuid, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("ACCESS-TOKEN", c.token)
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Status any }
		err = json.NewDecoder(res.Body).Decode(&body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || c.state != "" && body.Status != c.state {
			t.Errorf("%s: %d %v (%v), want %d %s", c.name, res.StatusCode, body.Status, err, c.status, c.state)
		}
	}
	if n := h.Count("SELECT COUNT(*) FROM jobs WHERE uuid = ? AND cancel_requested = TRUE", running); n != 1 {
		t.Error("the running one was not asked to end")
	}
}
