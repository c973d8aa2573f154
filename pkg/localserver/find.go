package localserver

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// places are where the programs live when they are not in PATH: Debian keeps PostgreSQL's per
// version, Homebrew keeps versioned packages unlinked.
var places = []string{
	"/usr/sbin",
	"/usr/local/sbin",
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/*/bin",
	"/usr/local/opt/*/bin",
}

// Find returns the path of a server's program, of the newest version where there are several. Its
// error names the packages that have it and the target that installs them.
func Find(name, packages string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, place := range places {
		// A pattern that matches nothing is no error, so an unknown system just finds nothing.
		paths, err := filepath.Glob(filepath.Join(place, name))
		if err != nil || len(paths) == 0 {
			continue
		}
		return slices.MaxFunc(paths, func(a, b string) int { return versionIn(a) - versionIn(b) }), nil
	}
	return "", fmt.Errorf("%s is not installed: install %s, or run \"make deps\"", name, packages)
}

// versionIn is the number in a path such as /usr/lib/postgresql/15/bin. Compared as texts, 9 would
// come after 15.
func versionIn(path string) int {
	for part := range strings.SplitSeq(path, "/") {
		digits := strings.TrimLeftFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if n, err := strconv.Atoi(digits); err == nil {
			return n
		}
	}
	return 0
}
