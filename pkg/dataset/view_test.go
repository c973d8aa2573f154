package dataset

import (
	"strings"
	"testing"

	"exporthub/pkg/errs"
)

// guarded is a list with a plain, a masked and a hidden column.
func guarded() Dataset {
	d := complete()
	d.Columns[1].Permission = "invitation.notes" // phone becomes the hidden one
	d.Columns[2].Mask = Mask{Permission: "invitation.company", Head: 1, Tail: 1}
	return d
}

func holds(permissions ...string) func(string) bool {
	return func(p string) bool { return strings.Contains(" "+strings.Join(permissions, " ")+" ", " "+p+" ") }
}

func TestAViewShowsWhatTheFileHolds(t *testing.T) {
	for name, c := range map[string]struct {
		can            func(string) bool
		phone, company string
		sees           bool
	}{
		"all":       {holds("invitation.notes", "invitation.company"), "13800000001", "星河电子", true},
		"masked":    {holds("invitation.notes"), "13800000001", "星****子", true},
		"hidden":    {holds("invitation.company"), "", "星河电子", false},
		"both":      {holds(), "", "星****子", false},
		"no viewer": {nil, "", "星****子", false},
	} {
		t.Run(name, func(t *testing.T) {
			v := guarded().View(c.can)
			if v.Sees("phone") != c.sees || !v.Sees("id") || !v.Sees("company") || v.Sees("salary") {
				t.Errorf("sees phone %v, id %v, company %v, salary %v", v.Sees("phone"), v.Sees("id"), v.Sees("company"), v.Sees("salary"))
			}
			if got := v.Text("phone", "13800000001"); got != c.phone {
				t.Errorf("phone %q, want %q", got, c.phone)
			}
			if got := v.Text("company", "星河电子"); got != c.company {
				t.Errorf("company %q, want %q", got, c.company)
			}
			if got := v.Text("salary", "100"); got != "" {
				t.Errorf("a column there is none of shows %q", got)
			}
		})
	}
}

func TestCheckShown(t *testing.T) {
	whole := []Column{{Key: "id"}, {Key: "phone"}, {Key: "company"}}
	masked := []Column{{Key: "id"}, {Key: "company", Masked: true}}
	for name, c := range map[string]struct {
		shown []Column
		can   func(string) bool
		want  string // of the refusal; empty is none
	}{
		"as it was":               {whole, holds("invitation.notes", "invitation.company"), ""},
		"a column lost":           {whole, holds("invitation.company"), "没有查看列“手机号”的权限"},
		"a mask since":            {whole, holds("invitation.notes"), "没有查看列“公司”完整内容的权限"},
		"masked and still masked": {masked, holds(), ""},
		"masked and whole now":    {masked, holds("invitation.company"), ""},
		"nothing guarded":         {[]Column{{Key: "id"}}, nil, ""},
		"a column there was":      {[]Column{{Key: "salary"}}, holds("invitation.notes"), "没有查看列“salary”的权限"},
		"nothing":                 {nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := guarded().CheckShown(c.shown, c.can)
			if c.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if !errs.Is(err, errs.Forbidden) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want forbidden with %q", err, c.want)
			}
		})
	}
}

func TestAppendCents(t *testing.T) {
	for cents, want := range map[int64]string{
		0: "0.00", 1: "0.01", -1: "-0.01", 10: "0.10", 123456: "1234.56", -100: "-1.00",
		1<<63 - 1: "92233720368547758.07", -1 << 63: "-92233720368547758.08",
	} {
		if got := string(AppendCents([]byte("="), cents)); got != "="+want {
			t.Errorf("%d cents are %q, want %q", cents, got, "="+want)
		}
	}
}
