package attempt_test

import (
	"testing"

	"go.uber.org/goleak"

	"exporthub/pkg/database"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testkit.Stopping(m)) }

// hub is the engine with this package's own helpers.
type hub struct{ *exporttest.Hub }

func newHub(t testing.TB, db *database.DB, o exporttest.Options) *hub {
	t.Helper()
	return &hub{exporttest.New(t, db, o)}
}
