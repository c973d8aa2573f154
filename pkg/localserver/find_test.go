package localserver

import (
	"strings"
	"testing"
)

func TestAMissingServerIsNamedWithItsPackage(t *testing.T) {
	_, err := Find("no-such-server", "some-package (apt)")
	if err == nil || !strings.Contains(err.Error(), "some-package (apt)") || !strings.Contains(err.Error(), "make deps") {
		t.Errorf("the error is %v", err)
	}
}

func TestNewestVersion(t *testing.T) {
	for path, want := range map[string]int{
		"/usr/lib/postgresql/9/bin/postgres":         9,
		"/usr/lib/postgresql/15/bin/postgres":        15,
		"/opt/homebrew/opt/postgresql@17/bin/initdb": 17,
		"/opt/homebrew/opt/postgresql/bin/initdb":    0,
		"/usr/pgsql-16/bin/postgres":                 16,
		"/usr/sbin/redis-server":                     0,
	} {
		if got := versionIn(path); got != want {
			t.Errorf("versionIn(%q) = %d, want %d", path, got, want)
		}
	}
}

func TestAFreePortIsNotGivenTwice(t *testing.T) {
	taken := map[string]bool{}
	for range 200 {
		before := len(taken)
		if _, err := FreeAddress(taken); err != nil || len(taken) != before+1 {
			t.Fatalf("%d addresses, then %v", before, err)
		}
	}
}
