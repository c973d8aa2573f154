package releases

import (
	"testing"

	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
