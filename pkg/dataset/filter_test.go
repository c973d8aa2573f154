package dataset

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/errs"
)

// guardedFilter filters the list of guarded: by its masked column, by its hidden one among others,
// and by one that everybody sees.
type guardedFilter struct {
	Company string `json:"company_name,omitempty" column:"company"`
	Search  string `json:"search,omitempty" column:"id,phone"`
	guardedRange
}

type guardedRange struct {
	From *int64 `json:"from,omitempty" column:"id"`
}

func filtered() Dataset {
	d := guarded()
	d.NewFilter = func() any { return new(guardedFilter) }
	return d
}

func TestAFilterIsOverTheColumnsThatItNames(t *testing.T) {
	got, err := filtered().FilterFields()
	want := []FilterField{
		{Name: "company_name", Columns: []string{"company"}},
		{Name: "search", Columns: []string{"id", "phone"}},
		{Name: "from", Columns: []string{"id"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// The name of a filter's field need not be the column's: what it is over counts. Nor need it be
// over that column alone.
func TestAFilterByWhatIsHiddenIsRefused(t *testing.T) {
	zero := int64(0)
	for name, c := range map[string]struct {
		filter guardedFilter
		can    func(string) bool
		want   string // the field that is refused; empty is none
	}{
		"masked":                      {guardedFilter{Company: "星"}, holds("invitation.notes"), "company_name"},
		"masked, with the right":      {guardedFilter{Company: "星"}, holds("invitation.company"), ""},
		"a hidden one among others":   {guardedFilter{Search: "1"}, holds("invitation.company"), "search"},
		"hidden, with the right":      {guardedFilter{Search: "1"}, holds("invitation.notes"), ""},
		"what everybody sees":         {guardedFilter{guardedRange: guardedRange{From: &zero}}, holds(), ""},
		"nothing":                     {guardedFilter{}, holds(), ""},
		"without a viewer, by a mask": {guardedFilter{Company: "星"}, nil, "company_name"},
	} {
		t.Run(name, func(t *testing.T) {
			err := filtered().CheckFilter(&c.filter, c.can)
			if c.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if e := errs.As(err); e == nil || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != c.want {
				t.Errorf("error %v, want one about %s", err, c.want)
			}
		})
	}
	if err := filtered().CheckFilter(nil, nil); err != nil {
		t.Errorf("no filter at all: %v", err)
	}
}

// A filter that does not say what it is over keeps the program from starting.
func TestFiltersThatDoNotSayWhatTheyAreOverAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		filter any
		want   string
	}{
		"no tag": {new(struct {
			Phone string `json:"phone"`
		}), `filter field "phone"`},
		"an embedded one without": {new(struct {
			untaggedFilter
		}), `filter field "from"`},
		"a column there is none of": {new(struct {
			Phone string `json:"phone" column:"phone,salary"`
		}), `names "salary"`},
		"no JSON name": {new(struct{ Phone string }), `filter field "Phone"`},
		"no struct":    {new(string), "want a pointer to a struct"},
		"no pointer":   {struct{}{}, "want a pointer to a struct"},
	} {
		t.Run(name, func(t *testing.T) {
			d := complete()
			d.NewFilter = func() any { return c.filter }
			if _, err := NewRegistry(d); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one that says %q", err, c.want)
			}
		})
	}
}

type untaggedFilter struct {
	From *int64 `json:"from"`
}
