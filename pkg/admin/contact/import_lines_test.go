package contact

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		if got := s.imported(t, `[1]`).Errors; len(got) != 1 || got[0].Reason != "第 1 行应为 JSON 对象" {
			t.Errorf("an array: %+v", got)
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
		ctx := auth.With(t.Context(), &auth.Principal{UserID: importing})
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
