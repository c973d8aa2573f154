package main

import (
	"bytes"
	"strings"
	"testing"
)

// The command runs this package's own tests: these two, by name.
func TestSample(t *testing.T) { t.Log("a line of the sample") }

func TestSampleSkipped(t *testing.T) { t.Skip("never runs") }

func BenchmarkSample(b *testing.B) {
	for b.Loop() {
		_ = strings.Repeat("x", 10)
	}
}

func TestAPatternWithoutATestFails(t *testing.T) {
	goTest := []string{"--", "go", "test", "-count=1", "."}
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
	}{
		"one that ran":                  {append([]string{"Sample"}, append(goTest, "-run", "^TestSample$")...), 0, "ok"},
		"with its output":               {append([]string{"Sample"}, append(goTest, "-run", "^TestSample$", "-v")...), 0, "a line of the sample"},
		"one of two ran":                {append([]string{"Sample", "Golden"}, append(goTest, "-run", "^TestSample$")...), 1, `no test matches "Golden"`},
		"none ran":                      {append([]string{"Nothing"}, append(goTest, "-run", "Nothing")...), 1, `no test matches "Nothing"`},
		"one that was skipped":          {append([]string{"Sample"}, append(goTest, "-run", "^TestSampleSkipped$")...), 1, `no test matches "Sample"`},
		"a benchmark":                   {append([]string{"Benchmark"}, append(goTest, "-run", "^$", "-bench", "Sample", "-benchtime", "1x")...), 0, "BenchmarkSample"},
		"a package that does not build": {[]string{"x", "--", "go", "test", "./nowhere"}, 1, "nowhere"},
		"no pattern":                    {goTest, 2, "usage"},
		"no command":                    {[]string{"x", "--"}, 2, "usage"},
		"a pattern that is none":        {append([]string{"("}, goTest...), 2, "missing closing"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(c.args, &out, &errs)
			if text := out.String() + errs.String(); code != c.code || !strings.Contains(text, c.out) {
				t.Errorf("exit code %d, want %d, and %q in:\n%s", code, c.code, c.out, text)
			}
		})
	}
}
