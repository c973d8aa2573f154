package contact

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
)

// names are those of all records in the list's order.
func (s *service) names(t *testing.T, f Filter) []string {
	t.Helper()
	var all []string
	for n := 1; ; n++ {
		result, err := s.list(t.Context(), f, page.Of(n, page.MaxSize, 0))
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Items) == 0 {
			return all
		}
		for _, v := range result.Items {
			all = append(all, v.Name)
		}
	}
}

// What a file holds is listed as if its lines had come one after the other: newest first, so the
// last line first. The contacts are no help: their order is another.
func TestImportedRecordsAreListedInTheOrderOfTheirLines(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		s.Now = func() time.Time { return at }
		const lines = 2*importChunk + 30
		for _, created := range []string{"", `,"created_at":"2026-01-02 03:04:05"`} {
			var body strings.Builder
			var want []string
			for i := range lines {
				name := fmt.Sprintf("第%d行%d", i, len(created))
				fmt.Fprintf(&body, `{"name":"%s","contact":"%05d-%d"%s}`+"\n", name, i*7919%lines, len(created), created)
				want = append(want, name)
			}
			slices.Reverse(want)
			s.imported(t, body.String())
			if diff := cmp.Diff(want, s.names(t, Filter{Search: fmt.Sprintf("行%d", len(created))})); diff != "" {
				t.Errorf("created %q (-want +got):\n%s", created, diff)
			}
		}
	})
}

// Some of what is wrong is found only when a line's chunk is stored; it is reported where the line
// stands.
func TestBadLinesAreReportedInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		var body strings.Builder
		for i := range 150 {
			if i%2 == 0 {
				fmt.Fprintf(&body, `{"contact":"133%08d"}`+"\n", i) // a new record without a name
			} else {
				body.WriteString("not json\n")
			}
		}
		got := s.imported(t, body.String())
		if got.Failed != 150 || len(got.Errors) != importErrors {
			t.Fatalf("%d failed, %d listed", got.Failed, len(got.Errors))
		}
		for i, e := range got.Errors {
			want := lineError{Line: i + 1, Field: "name", Reason: "不能为空"}
			if i%2 == 1 {
				want = lineError{Line: i + 1, Reason: fmt.Sprintf("第 %d 行不是有效的 JSON", i+1)}
			}
			if e != want {
				t.Fatalf("error %d is %+v, want %+v", i, e, want)
			}
		}
		good := `{"name":"某人","contact":"13300000001"}`
		if got := s.imported(t, good+"\n[1]").Errors; len(got) != 1 || got[0].Reason != "第 2 行应为 JSON 对象" {
			t.Errorf("an array: %+v", got)
		}
	})
}

// What is no file of JSON Lines fails once, by its first line, stores nothing and sends no message.
func TestOtherFilesAreRefusedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		good := `{"name":"某人","contact":"13300000001"}`
		for name, body := range map[string]string{
			"CSV":            "姓名,联系方式\n某人,13300000001\n",
			"CSV, quoted":    "\"name\",\"contact\"\n",
			"an array":       "[" + good + "," + good + "]",
			"a long array":   "[\n" + good + ",\n" + good + "\n]",
			"a workbook":     "PK\x03\x04" + strings.Repeat("\x00\n", 200),
			"UTF-16":         "\xff\xfe{\x00\"\x00",
			"a long line":    strings.Repeat("x", 3*lineBytes),
			"many numbers":   strings.Repeat("1\n", 2<<20),
			"blanks, a text": "\n\n \nnull\n" + good,
		} {
			_, err := s.tryImport(t.Context(), strings.NewReader(body))
			if e := errs.As(err); e == nil || e.Kind != errs.Invalid || e.Message != notLines {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := s.all(t, Filter{}).Total; n != 0 || len(s.ended()) != 0 {
			t.Errorf("%d records, %d messages", n, len(s.ended()))
		}
	})
}

// An import stops soon after too many bad lines, wherever they are found, and keeps the good
// ones before.
func TestAnImportStopsAfterTooManyBadLines(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		good := `{"name":"某人","contact":"13300000001"}` + "\n"
		for name, bad := range map[string]string{"unreadable": "1\n", "without a name": `{"contact":"13300000009"}` + "\n"} {
			s.Events = &admintest.Events{}
			body := &counting{Reader: strings.NewReader(good + strings.Repeat(bad, 2<<20/len(bad)))}
			_, err := s.tryImport(t.Context(), body)
			if e := errs.As(err); e == nil || e.Kind != errs.Invalid || !strings.Contains(e.Message, "第 2 行:") {
				t.Errorf("%s: %v", name, err)
			}
			// A chunk's lines are found out together, and the reader reads ahead.
			if limit := (maxBadLines+2*importChunk)*len(bad) + 2*lineBytes; body.n > limit {
				t.Errorf("%s: %d bytes were read, want at most %d", name, body.n, limit)
			}
			got := s.ended()
			if len(got) != 1 || got[0].Created+got[0].Unchanged != 1 || got[0].Reason == "" || got[0].Failed <= maxBadLines {
				t.Errorf("%s: raised %+v", name, got)
			}
		}
	})
}

// counting counts what is read of a body.
type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// Imports count against their person's limits: how many a minute, and how many at once.
func TestImportsAreLimited(t *testing.T) {
	s := &service{}
	var ends []func()
	for range importsAtOnce {
		end, err := s.begin(t.Context(), importing)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	if _, err := s.begin(t.Context(), importing); !errs.Is(err, errs.TooMany) || errs.CodeOf(err) != "import_active" {
		t.Errorf("one more at once: %v", err)
	}
	if end, err := s.begin(t.Context(), importing+1); err != nil {
		t.Errorf("another person: %v", err)
	} else {
		end()
	}
	for _, end := range ends {
		end()
	}
	if len(s.running) != 0 {
		t.Errorf("still counted: %v", s.running)
	}
	s.ImportRate = full{}
	if _, err := s.begin(t.Context(), importing); !errs.Is(err, errs.TooMany) || errs.As(err).RetryAfter != time.Minute {
		t.Errorf("over the rate: %v", err)
	}
}

// full is a rate that is used up.
type full struct{}

func (full) Allow(context.Context, string) (bool, time.Duration) { return false, time.Minute }

// Who may not see notes can neither write them nor find out by an import what they are.
func TestHiddenNotesAreNeitherWrittenNorGuessed(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		seen := s.add(t, Contact{Name: "某人", Contact: "13300000001", Notes: "秘密"})
		blind := &auth.Principal{UserID: importing}
		for _, guess := range []string{`"秘密"`, `"别的"`, `null`} {
			got, err := s.importAs(t.Context(), blind, strings.NewReader(`{"contact":"13300000001","notes":`+guess+`}`))
			want := importReport{Total: 1, Failed: 1, Errors: []lineError{{Line: 1, Field: notes, Reason: "没有查看备注的权限，不能填写或修改"}}}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", guess, err, diff)
			}
		}
		ctx := auth.With(t.Context(), blind)
		_, err := s.handleCreate(ctx, createIn{Name: "新", Contact: "13300000002", Details: Details{Notes: httpapi.Some("记")}})
		named(t, "POST", err, notes, false)
		_, err = s.handleChange(ctx, changeIn{ID: seen.ID, Details: Details{Notes: httpapi.Some("秘密")}})
		named(t, "PUT", err, notes, false)
		if all := s.all(t, Filter{}).Items; len(all) != 1 || all[0] != seen {
			t.Errorf("records %+v", all)
		}
		// What they may write, they may, and an empty text says nothing.
		got, err := s.importAs(t.Context(), blind, strings.NewReader(`{"contact":"13300000001","notes":"","position":"岗"}`))
		if err != nil || got.Updated != 1 {
			t.Errorf("without notes: %+v, %v", got, err)
		}
	})
}

func TestAnEmptyImportSendsNoMessage(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		for _, body := range []string{"", "\n\n  \n", "\ufeff"} {
			if got := s.imported(t, body); got.Total != 0 {
				t.Errorf("%q: %+v", body, got)
			}
		}
		if got := s.ended(); len(got) != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// Lists and files have four digits for a year, and the zero time stands for none.
func TestTimesThatCantBeShownAreRefused(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		ctx := seeing(t.Context())
		seen := s.add(t, Contact{Name: "某人", Contact: "13300000000"})
		for _, c := range []struct {
			at   string
			fits bool
		}{
			{"0001-01-01T00:00:00Z", false}, {"0001-01-01T00:00:00.000001Z", true}, {"0000-12-31T23:59:59Z", false},
			{"9999-12-31T15:59:59Z", true}, {"9999-12-31T16:00:00Z", false}, {"9999-12-31T23:59:59-08:00", false},
			{"9999-12-31 23:59:59", true}, {"10000-01-01", false}, {"2026-01-02", true}, {"", true},
		} {
			var fresh createIn
			err := httpapi.DecodeValues(fmt.Appendf(nil, `{"name":"某人","contact":"%s","contacted_at":"%[1]s"}`, c.at+" "), &fresh)
			if err == nil {
				_, err = s.handleCreate(ctx, fresh)
			}
			if c.at != "" {
				named(t, "POST "+c.at, err, "contacted_at", c.fits)
			}
			var change changeIn
			err = httpapi.DecodeValues(fmt.Appendf(nil, `{"id":%d,"contacted_at":"%s"}`, seen.ID, c.at), &change)
			if err == nil {
				_, err = s.handleChange(ctx, change)
			}
			named(t, "PUT "+c.at, err, "contacted_at", c.fits)
			for _, field := range []string{"contacted_at", "created_at"} {
				got := s.imported(t, fmt.Sprintf(`{"name":"某人","contact":"%s","%s":"%s"}`, field+c.at, field, c.at))
				if c.fits != (got.Created == 1) || !c.fits && (len(got.Errors) != 1 || got.Errors[0].Field != field) {
					t.Errorf("imported with %s %q: %+v", field, c.at, got)
				}
			}
		}
	})
}

func named(t *testing.T, what string, err error, field string, fits bool) {
	t.Helper()
	e := errs.As(err)
	if fits && err != nil || !fits && (e == nil || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != field) {
		t.Errorf("%s: %v", what, err)
	}
}
