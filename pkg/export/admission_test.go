package export_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
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
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

const (
	textActive    = "当前用户已经有导出任务排队或执行,请稍后再试"
	textDaily     = "该用户已经超过当日导出最大次数50,当前任务不允许执行"
	textForbidden = "你没有应用导出的权限"
)

// wantRefusal checks an error's kind, code and literal text.
func wantRefusal(t *testing.T, err error, kind errs.Kind, code, message string) *errs.Error {
	t.Helper()
	e := errs.As(err)
	if e == nil || e.Kind != kind || e.Code != code || e.Message != message {
		t.Fatalf("got %v (code %s), want %v %s %q", err, errs.CodeOf(err), kind, code, message)
	}
	return e
}

func TestOfTwoHundredAtOnceOneIsAccepted(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{})
		ctx, _ := h.Person("racer", auth.Staff)
		const n = 200
		tickets := make([]dataset.Ticket, n)
		failures := make([]error, n)
		start := make(chan struct{})
		var wait sync.WaitGroup
		for i := range n {
			wait.Go(func() {
				<-start
				tickets[i], failures[i] = h.Exports.Queue(ctx, exporttest.Request())
			})
		}
		close(start)
		wait.Wait()
		var accepted string
		for i, err := range failures {
			if err == nil {
				if accepted != "" {
					t.Fatalf("accepted %s and %s", accepted, tickets[i].UUID)
				}
				accepted = tickets[i].UUID
				continue
			}
			e := wantRefusal(t, err, errs.Conflict, export.CodeActive, textActive)
			if e.RetryAfter <= 0 || !strings.HasPrefix(e.Location, "/api/exports/") {
				t.Fatalf("refusal without a hint: %+v", e)
			}
		}
		if accepted == "" {
			t.Fatal("none was accepted")
		}
		h.Balanced()
	})
}

func TestTheDaysLimitAndMidnight(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{Limits: export.Limits{Active: 100, Daily: 50}})
		ctx, p := h.Person("busy", auth.Staff)
		shanghai := time.FixedZone("UTC+8", 8*3600)
		h.Clock.Set(time.Date(2026, 3, 1, 23, 59, 0, 0, shanghai))
		for i := range 50 {
			header := http.Header{}
			if _, err := h.Exports.Queue(httpapi.WithHeader(ctx, header), exporttest.Request()); err != nil {
				t.Fatalf("export %d of the day: %v", i+1, err)
			}
			if got := header.Get("RateLimit-Remaining"); got != strconv.Itoa(49-i) {
				t.Fatalf("after export %d: RateLimit-Remaining = %q", i+1, got)
			}
		}
		header := http.Header{}
		_, err := h.Exports.Queue(httpapi.WithHeader(ctx, header), exporttest.Request())
		e := wantRefusal(t, err, errs.Quota, export.CodeDailyLimit, textDaily)
		if e.RetryAfter != time.Minute {
			t.Errorf("retry after %s, want the minute until midnight", e.RetryAfter)
		}
		if header.Get("RateLimit-Remaining") != "0" || header.Get("RateLimit-Limit") != "50" || header.Get("RateLimit-Reset") != "60" {
			t.Errorf("headers of the refusal: %v", header)
		}

		// Midnight: the day is new, the running jobs still count as active.
		h.Clock.Set(time.Date(2026, 3, 2, 0, 0, 0, 0, shanghai))
		ticket, err := h.Exports.Queue(ctx, exporttest.Request())
		if err != nil {
			t.Fatalf("the first of the new day: %v", err)
		}
		if got := h.Count("SELECT active FROM export_slots WHERE user_id = ?", p.UserID); got != 51 {
			t.Errorf("active = %d, want yesterday's 50 and today's", got)
		}
		h.End(ticket.UUID) // never started: its place is free again
		if got := h.Count("SELECT used FROM export_days WHERE user_id = ? AND quota_day = '2026-03-02'", p.UserID); got != 0 {
			t.Errorf("used today = %d, want 0 after a cancel before the start", got)
		}
		h.Balanced()
	})
}

// Midnight while a job is running: the day is new, and the running job still counts as active.
func TestMidnightDoesNotFreeTheSlot(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{Work: true, Limits: export.Limits{Active: 1, Daily: 1}})
		h.Fill(3)
		ctx, p := h.Person("late", auth.Staff)
		running, finish := make(chan struct{}), make(chan struct{})
		h.Store.Refuse = func(int) error {
			close(running)
			<-finish
			return nil
		}
		h.Clock.Set(time.Date(2026, 3, 1, 15, 59, 59, 0, time.UTC))
		ticket, err := h.Exports.Queue(ctx, exporttest.Request())
		if err != nil {
			t.Fatal(err)
		}
		<-running
		h.Clock.Advance(2 * time.Second) // past midnight in TIMEZONE
		_, err = h.Exports.Queue(ctx, exporttest.Request())
		e := wantRefusal(t, err, errs.Conflict, export.CodeActive, textActive)
		if e.Location != "/api/exports/"+ticket.UUID {
			t.Errorf("Location = %q, want the job in the way", e.Location)
		}
		h.Store.SetRefuse(nil)
		close(finish)
		if j := h.Ended(ticket.UUID); j.State != job.StateSuccess {
			t.Fatalf("ended %s: %+v", j.State, j.Failure)
		}
		if _, err := h.Exports.Queue(ctx, exporttest.Request()); err != nil {
			t.Errorf("the first of the new day: %v", err)
		}
		for day, want := range map[string]int{"2026-03-01": 1, "2026-03-02": 1} {
			if got := h.Count("SELECT used FROM export_days WHERE user_id = ? AND quota_day = ?", p.UserID, day); got != want {
				t.Errorf("used on %s = %d, want %d", day, got, want)
			}
		}
	})
}

func TestIfBothLimitsAreExceededTheActiveOneIsReported(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Limits: export.Limits{Active: 1, Daily: 1}})
	ctx, _ := h.Person("both", auth.Staff)
	if _, err := h.Exports.Queue(ctx, exporttest.Request()); err != nil {
		t.Fatal(err)
	}
	_, err := h.Exports.Queue(ctx, exporttest.Request())
	wantRefusal(t, err, errs.Conflict, export.CodeActive, textActive)
}

func TestLimitsOfARoleAndOfAPerson(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	ctx, p := h.Person("special", auth.Staff)
	h.Exec("INSERT INTO export_limits (subject, subject_id, max_active, max_daily) VALUES ('role', 2, 2, 3)")
	h.Exec("INSERT INTO export_limits (subject, subject_id, max_active) VALUES ('person', ?, 3)", p.UserID)
	for i := range 3 {
		if _, err := h.Exports.Queue(ctx, exporttest.Request()); err != nil {
			t.Fatalf("export %d: %v", i+1, err)
		}
	}
	_, err := h.Exports.Queue(ctx, exporttest.Request())
	wantRefusal(t, err, errs.Conflict, export.CodeActive, textActive)
	_, other := h.Person("chief", auth.Administrator)
	adminCtx := auth.With(t.Context(), other)
	if _, err := h.Exports.Queue(adminCtx, exporttest.Request()); err != nil {
		t.Fatal(err)
	}
	_, err = h.Exports.Queue(adminCtx, exporttest.Request())
	wantRefusal(t, err, errs.Conflict, export.CodeActive, textActive)
}

func TestRefusedRequests(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	staff, _ := h.Person("staff", auth.Staff)
	reader, _ := h.Person("reader", auth.Correspondent)
	many := make([]int64, 10_001)
	for name, c := range map[string]struct {
		ctx     context.Context
		request dataset.Request
		kind    errs.Kind
		field   string
	}{
		"a stranger":                       {t.Context(), exporttest.Request(), errs.Unauthenticated, ""},
		"without the permission":           {reader, exporttest.Request(), errs.Forbidden, ""},
		"an unknown list":                  {staff, dataset.Request{Dataset: "secrets"}, errs.Invalid, "dataset"},
		"an unknown format":                {staff, dataset.Request{Dataset: "thing", Format: "pdf"}, errs.Invalid, "format"},
		"an unknown column":                {staff, dataset.Request{Dataset: "thing", Columns: []string{"id", "password"}}, errs.Invalid, "columns"},
		"a column they may not see":        {staff, dataset.Request{Dataset: "thing", Columns: []string{"phone"}}, errs.Invalid, "columns"},
		"the same column twice":            {staff, dataset.Request{Dataset: "thing", Columns: []string{"id", "id"}}, errs.Invalid, "columns"},
		"too many ticked rows":             {staff, dataset.Request{Dataset: "thing", IDs: many}, errs.Invalid, "ids"},
		"a name that leaves its directory": {staff, dataset.Request{Dataset: "thing", Filename: "../../etc/passwd"}, errs.Invalid, "filename"},
		"a name with a line break":         {staff, dataset.Request{Dataset: "thing", Filename: "a\r\nSet-Cookie: x"}, errs.Invalid, "filename"},
		"a hidden name":                    {staff, dataset.Request{Dataset: "thing", Filename: ".bashrc"}, errs.Invalid, "filename"},
		"a name without end":               {staff, dataset.Request{Dataset: "thing", Filename: strings.Repeat("名", 101)}, errs.Invalid, "filename"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Exports.Queue(c.ctx, c.request)
			e := errs.As(err)
			if e == nil || e.Kind != c.kind {
				t.Fatalf("got %v, want %v", err, c.kind)
			}
			if c.field != "" && (len(e.Fields) != 1 || e.Fields[0].Name != c.field || e.Fields[0].Reason == "") {
				t.Errorf("got fields %v, want %s named", e.Fields, c.field)
			}
			if c.kind == errs.Forbidden && (e.Message != textForbidden || e.Code != export.CodeForbidden) {
				t.Errorf("got %q (%s)", e.Message, e.Code)
			}
		})
	}
	if n := h.Count("SELECT COUNT(*) FROM jobs"); n != 0 {
		t.Errorf("%d jobs were made by refused requests", n)
	}
	h.Balanced()
}

type never struct{}

func (never) Allow(context.Context, string) (bool, time.Duration) { return false, 7 * time.Second }

func TestRateIsRefusedWithItsWait(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Rate: never{}})
	ctx, _ := h.Person("fast", auth.Staff)
	_, err := h.Exports.Queue(ctx, exporttest.Request())
	if e := errs.As(err); e == nil || e.Kind != errs.TooMany || e.RetryAfter != 7*time.Second {
		t.Errorf("got %v", err)
	}
}

// A job that was not admitted is not run, even with a task for it.
func TestWorkersRunOnlyWhatWasAdmitted(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	_, p := h.Person("forger", auth.Staff)
	kind := h.Exports.Kind().(*job.Definition[record.Args, record.Detail, record.File])
	n, err := kind.New(p.UserID, record.Args{Dataset: "thing"})
	if err != nil {
		t.Fatal(err)
	}
	var forged job.Job
	err = h.DB.Write(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		forged, err = h.Engine.Enqueue(ctx, tx, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	j := h.Ended(forged.UUID)
	if j.State != job.StateFailure || !j.StartedAt.IsZero() {
		t.Errorf("state %s, started %v; want a failure that never started", j.State, j.StartedAt)
	}
	h.Balanced()
}
