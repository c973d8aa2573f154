package testkit

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

// Golden compares got with the file at path, relative to the package's folder. With the flag
// -update it writes the file instead; a missing file fails otherwise, so that none stays
// uncommitted.
func Golden[T string | []byte](t testing.TB, path string, got T) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	// A missing file is no reason to write one: in CI it would pass and be lost.
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("golden file: %v (make it with: go test -run '^%s$' -update)", err, t.Name())
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); if the change is meant, run with -update:\n%s", path, diff)
	}
}
