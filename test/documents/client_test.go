package documents

import (
	"testing"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// client is a running system, with what the pages of the documents ask of it.
type client struct {
	*program.App
	dir string // of an embedded system's data
}

// start starts the embedded system.
func start(t testing.TB, environ ...string) *client {
	t.Helper()
	e := program.StartEmbedded(t, environ...)
	return &client{App: e.App, dir: e.Dir}
}
