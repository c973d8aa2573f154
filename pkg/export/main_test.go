package export_test

import (
	"testing"

	"go.uber.org/goleak"

	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testkit.Stopping(m)) }
