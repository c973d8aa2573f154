package bayeux_test

import (
	"testing"

	"exporthub/pkg/bayeux"
	"exporthub/pkg/bayeux/internal/memorytest"
)

func TestMemoryWithinAProcess(t *testing.T) {
	memorytest.Run(t, func(*testing.T) memorytest.Bus { return &bayeux.LocalBus{} })
}
