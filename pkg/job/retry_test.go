package job

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

func TestEveryErrorKindHasARule(t *testing.T) {
	for _, k := range errs.Kinds() {
		if r, ok := DefaultRules[k]; !ok || r.Message == "" {
			t.Errorf("%s has no rule or no words", k)
		}
	}
	if len(DefaultRules) != len(errs.Kinds()) {
		t.Errorf("%d rules for %d kinds", len(DefaultRules), len(errs.Kinds()))
	}
}

func TestRetriesGolden(t *testing.T) { testkit.Golden(t, "retries.md", RetryPolicy{}.Table()) }

func TestAKindsTableComesFirst(t *testing.T) {
	p := RetryPolicy{
		Codes: map[string]Rule{
			"unreadable_row": {Again: false, Message: "数据中有无法读取的记录"},
			CodePanic:        {Again: true, Message: "换一种说法"},
		},
		Kinds: map[errs.Kind]Rule{errs.Conflict: {Again: true, Message: "稍后再试"}},
	}
	for name, c := range map[string]struct {
		err   error
		again bool
		words string
	}{
		"a code":            {&errs.Error{Kind: errs.Internal, Code: "unreadable_row"}, false, "数据中有无法读取的记录"},
		"a kind":            {errs.New(errs.Conflict, ""), true, "稍后再试"},
		"anything else":     {errs.New(errs.Forbidden, ""), false, DefaultRules[errs.Forbidden].Message},
		"the engine's code": {&errs.Error{Kind: errs.Internal, Code: CodePanic}, false, "换一种说法"},
	} {
		if again, f := p.judge(c.err); again != c.again || f.Message != c.words {
			t.Errorf("%s: again %v, %q; want %v, %q", name, again, f.Message, c.again, c.words)
		}
	}
	if f := p.engineFailure(CodePanic); f.Message != "换一种说法" || f.Kind != "internal" {
		t.Errorf("a panic fails with %+v", f)
	}
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		again bool
		want  Failure
	}{
		"unclassified":     {errors.New("boom"), true, Failure{"internal", "internal", DefaultRules[errs.Internal].Message}},
		"words of its own": {fmt.Errorf("x: %w", errs.New(errs.Invalid, "第 3 行有误")), false, Failure{"invalid", "invalid", "第 3 行有误"}},
		"code of its own": {&errs.Error{Kind: errs.Unavailable, Code: "disk_full", Message: "磁盘已满"}, true,
			Failure{"unavailable", "disk_full", "磁盘已满"}},
		"deadline": {context.DeadlineExceeded, true, Failure{"unavailable", "unavailable", DefaultRules[errs.Unavailable].Message}},
		"refused":  {errs.New(errs.Forbidden, ""), false, Failure{"forbidden", "forbidden", DefaultRules[errs.Forbidden].Message}},
	} {
		t.Run(name, func(t *testing.T) {
			again, f := RetryPolicy{}.judge(c.err)
			if again != c.again || *f != c.want {
				t.Errorf("judge(%v) = %v, %+v; want %v, %+v", c.err, again, *f, c.again, c.want)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 2, 1: 2, 2: 4, 5: 32, 6: 60, 1000: 60} {
		want *= time.Second
		for range 100 {
			if d := retryDelay(2*time.Second, n); d < want*4/5 || d > want*6/5+1 {
				t.Fatalf("retryDelay(2 s, %d) = %s, want %s give or take a fifth", n, d, want)
			}
		}
	}
}
