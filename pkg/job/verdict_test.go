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

func TestEveryErrorKindHasAVerdict(t *testing.T) {
	for _, k := range errs.Kinds() {
		if v, ok := verdicts[k]; !ok || v.message == "" {
			t.Errorf("%s has no verdict or no words", k)
		}
	}
	if len(verdicts) != len(errs.Kinds()) {
		t.Errorf("%d verdicts for %d kinds", len(verdicts), len(errs.Kinds()))
	}
}

func TestVerdictsGolden(t *testing.T) { testkit.Golden(t, "verdicts.md", Verdicts()) }

// TestOurs: a place is given back for what storage, database, disk and programs do, never for what a person asked for.
func TestOurs(t *testing.T) {
	for name, c := range map[string]struct {
		f    *Failure
		want bool
	}{
		"none":              {nil, false},
		"storage away":      {&Failure{Kind: "unavailable", Code: "storage"}, true},
		"nobody classified": {&Failure{Kind: "internal", Code: "internal"}, true},
		"a wrong filter":    {&Failure{Kind: "invalid", Code: "invalid"}, false},
		"not allowed":       {&Failure{Kind: "forbidden", Code: "export_forbidden"}, false},
		"an unknown kind":   {&Failure{Kind: "unheard_of", Code: "unheard_of"}, false},
		"a panic":           {panicked(), true},
		"workers lost":      {workerLost(), true},
		"upload failed":     {uploadFailed(), true},
	} {
		if got := c.f.Ours(); got != c.want {
			t.Errorf("%s: Ours() = %v, want %v", name, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		again bool
		want  Failure
	}{
		"unclassified":     {errors.New("boom"), true, Failure{"internal", "internal", verdicts[errs.Internal].message}},
		"words of its own": {fmt.Errorf("x: %w", errs.New(errs.Invalid, "第 3 行有误")), false, Failure{"invalid", "invalid", "第 3 行有误"}},
		"code of its own": {&errs.Error{Kind: errs.Unavailable, Code: "disk_full", Message: "磁盘已满"}, true,
			Failure{"unavailable", "disk_full", "磁盘已满"}},
		"deadline": {context.DeadlineExceeded, true, Failure{"unavailable", "unavailable", verdicts[errs.Unavailable].message}},
		"refused":  {errs.New(errs.Forbidden, ""), false, Failure{"forbidden", "forbidden", verdicts[errs.Forbidden].message}},
	} {
		t.Run(name, func(t *testing.T) {
			again, f := judge(c.err)
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
