package errs

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestKindOf(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Kind
	}{
		"unclassified is internal":       {errors.New("boom"), Internal},
		"direct":                         {New(NotFound, "没有这条记录"), NotFound},
		"wrapped":                        {fmt.Errorf("load job: %w", New(Conflict, "x")), Conflict},
		"outermost of two wins":          {Wrap(Unavailable, "稍后再试", New(NotFound, "x")), Unavailable},
		"a deadline is unavailable":      {fmt.Errorf("query: %w", context.DeadlineExceeded), Unavailable},
		"a cancelled caller is internal": {context.Canceled, Internal},
	} {
		t.Run(name, func(t *testing.T) {
			if got := KindOf(c.err); got != c.want {
				t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
			}
		})
	}
	if Is(nil, Internal) {
		t.Error("Is(nil, Internal) = true")
	}
}

func TestErrorTextNamesFieldsAndCause(t *testing.T) {
	err := Invalidf("page", "必须是整数")
	err.Cause = errors.New("strconv")
	if got, want := err.Error(), "invalid [page: 必须是整数]: strconv"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got := CodeOf(fmt.Errorf("x: %w", &Error{Kind: Quota, Code: "daily_limit"})); got != "daily_limit" {
		t.Errorf("CodeOf = %q", got)
	}
	if got := CodeOf(New(Gone, "")); got != "gone" {
		t.Errorf("CodeOf = %q", got)
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.String()] || k.String() == "" {
			t.Errorf("kind %d has no name of its own: %q", k, k)
		}
		seen[k.String()] = true
	}
	if Kind(200).String() != "internal" {
		t.Error("an unknown kind must read as internal")
	}
}
