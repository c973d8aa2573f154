package testkit

import (
	"os/exec"
	"testing"
)

// Python returns a python3 that has a module, for reading our files with a library that is not
// ours. The one in PATH may belong to a version manager and not see the system's packages, so the
// system's is tried too.
func Python(t testing.TB, module string) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	t.Fatalf("testkit: no python3 with %s: install python3-%[1]s (apt), or run \"make test\", which does that first", module)
	return ""
}
