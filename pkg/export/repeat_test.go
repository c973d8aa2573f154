package export_test

import (
	"sync"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/httpapi"
)

// A proxy that sends a start again, because the replica it went to died, keeps its id. It gets the
// first one's answer; nothing else is taken for a repetition.
func TestARepeatedStartGetsTheFirstAnswer(t *testing.T) {
	const id, otherID = "0123456789abcdef", "fedcba9876543210"
	csv := dataset.Request{Dataset: "thing", Format: "csv", Filename: "first"}
	again := func(change func(r *dataset.Request)) dataset.Request {
		r := csv
		r.Filename = "second" // as the contacts make up a new name for each request
		if change != nil {
			change(&r)
		}
		return r
	}
	repeatable := func(r *dataset.Request) { r.Repeatable = true }
	for name, c := range map[string]struct {
		id, account string
		request     dataset.Request
		later       time.Duration
		cancelled   bool // the first one
		same        bool
	}{
		"the same id":                   {id, "owner", again(nil), 0, false, true},
		"the same id, much later":       {id, "owner", again(nil), time.Hour, false, true},
		"the same id, first cancelled":  {id, "owner", again(nil), 0, true, false},
		"another id":                    {otherID, "owner", again(nil), 0, false, false},
		"another id, a clock behind":    {otherID, "owner", again(nil), -time.Second, false, false},
		"no id":                         {"", "owner", again(nil), 0, false, false},
		"another person":                {id, "other", again(nil), 0, false, false},
		"another format":                {id, "owner", again(func(r *dataset.Request) { r.Format = "jsonl" }), 0, false, false},
		"other columns":                 {id, "owner", again(func(r *dataset.Request) { r.Columns = []string{"id"} }), 0, false, false},
		"repeatable, no id":             {"", "owner", again(repeatable), 24 * time.Second, false, true},
		"repeatable, another id":        {otherID, "owner", again(repeatable), time.Second, false, true},
		"repeatable, too late":          {"", "owner", again(repeatable), 26 * time.Second, false, false},
		"repeatable, first cancelled":   {"", "owner", again(repeatable), time.Second, true, false},
		"repeatable, of another person": {"", "other", again(repeatable), time.Second, false, false},
		"repeatable, another filter": {"", "owner", again(func(r *dataset.Request) {
			r.Repeatable = true
			r.Filter = &exporttest.ThingFilter{Name: "x"}
		}), time.Second, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...),
				exporttest.Options{Limits: export.Limits{Active: 9, Daily: 9}})
			ctx, _ := h.Person("owner", auth.Staff)
			first, err := h.Exports.Queue(httpapi.WithRequestID(ctx, id), csv)
			if err != nil {
				t.Fatal(err)
			}
			if c.cancelled {
				h.End(first.UUID)
			}
			h.Clock.Advance(c.later)
			ctx, _ = h.Person(c.account, auth.Staff)
			second, err := h.Exports.Queue(httpapi.WithRequestID(ctx, c.id), c.request)
			if err != nil {
				t.Fatal(err)
			}
			if (second.UUID == first.UUID) != c.same {
				t.Errorf("the first is %s, the second %s; want the same: %t", first.UUID, second.UUID, c.same)
			}
			if c.same && (second.Filename != "first" || second.Channel != first.Channel) {
				t.Errorf("the second answer is %+v, want %+v", second, first)
			}
			want := 2
			if c.same {
				want = 1
			}
			if n := h.Count("SELECT COUNT(*) FROM exports"); n != want {
				t.Errorf("%d exports, want %d", n, want)
			}
			h.Balanced()
		})
	}
}

// Sent many times at once, one start is still one export, and every answer is its answer.
func TestAStartSentManyTimesAtOnce(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		for _, limits := range []export.Limits{{Active: 1, Daily: 50}, {Active: 50, Daily: 50}} {
			h := exporttest.New(t, db, exporttest.Options{Limits: limits})
			ctx, p := h.Person("owner", auth.Staff)
			ctx = httpapi.WithRequestID(ctx, "0123456789abcdef")
			const n = 30
			tickets := make([]dataset.Ticket, n)
			failures := make([]error, n)
			var wait sync.WaitGroup
			for i := range n {
				wait.Go(func() { tickets[i], failures[i] = h.Exports.Queue(ctx, exporttest.Request()) })
			}
			wait.Wait()
			for i := range n {
				if failures[i] != nil || tickets[i] != tickets[0] {
					t.Fatalf("answer %d: %+v, %v; want %+v", i, tickets[i], failures[i], tickets[0])
				}
			}
			if got := h.Count("SELECT COUNT(*) FROM exports WHERE user_id = ?", p.UserID); got != 1 {
				t.Errorf("%d exports, want 1", got)
			}
			h.Balanced()
			h.End(tickets[0].UUID)
			h.Exec("DELETE FROM jobs")
			h.Exec("DELETE FROM exports")
			h.Exec("DELETE FROM export_days")
		}
	})
}

// An export that failed is not announced as a success, and one that has not counted yet is counted.
func TestWaitSaysWhatBecameOfTheExport(t *testing.T) {
	for name, c := range map[string]struct {
		refuse     error // of the store
		cancel     bool
		work       bool
		kind       errs.Kind
		retryAfter bool
		count      int64
	}{
		"done":               {nil, false, true, 0, false, 5},
		"not begun":          {nil, false, false, 0, false, 5},
		"the store is away":  {errs.New(errs.Unavailable, "x"), false, true, errs.Unavailable, true, 0},
		"the store refuses":  {errs.New(errs.Forbidden, "x"), false, true, errs.Unavailable, true, 0},
		"cancelled meantime": {nil, true, false, errs.Internal, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{
				Work: c.work,
				Wait: 300 * time.Millisecond,
			})
			h.Fill(5)
			if c.refuse != nil {
				h.Store.Refuse = func(int) error { return c.refuse }
			}
			ctx, _ := h.Person("owner", auth.Staff)
			ticket, err := h.Exports.Queue(ctx, exporttest.Request())
			if err != nil {
				t.Fatal(err)
			}
			if c.work {
				h.Ended(ticket.UUID)
			}
			if c.cancel {
				h.End(ticket.UUID)
			}
			out, err := h.Exports.Wait(ctx, ticket.UUID)
			if err != nil {
				t.Fatal(err)
			}
			if c.refuse == nil && !c.cancel {
				if out.Err != nil || out.Count != c.count {
					t.Errorf("outcome %+v, want %d rows and no error", out, c.count)
				}
				return
			}
			e := errs.As(out.Err)
			if e == nil || e.Kind != c.kind || (e.RetryAfter > 0) != c.retryAfter || e.Message == "" || !out.Ended {
				t.Errorf("outcome %+v with %+v, want %v", out, e, c.kind)
			}
		})
	}
}
