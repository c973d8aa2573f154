package wire

import (
	"context"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
)

// People are identified while every connection of the ordinary pool is held, as a hundred exports
// asked for at once do it: a request in that moment is not answered "can't confirm your login".
func TestIdentifiedWhileThePoolIsHeld(t *testing.T) {
	c := startCluster(t, dbtest.PostgresURL(t))
	parts := c.replicas[0].Parts
	token, err := parts.Auth.Renew(c.people["ann"])
	if err != nil {
		t.Fatal(err)
	}
	ctx, release := context.WithCancel(t.Context())
	var holding, inside sync.WaitGroup
	t.Cleanup(func() { release(); holding.Wait() })
	for range parts.Config.DatabasePool {
		inside.Add(1)
		holding.Go(func() {
			_ = parts.DB.Read(ctx, func(ctx context.Context, _ *database.Tx) error {
				inside.Done()
				<-ctx.Done()
				return ctx.Err()
			})
		})
	}
	inside.Wait()

	full, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = parts.DB.Read(full, func(context.Context, *database.Tx) error { return nil })
	if err == nil {
		t.Fatal("the pool still has a connection: nothing is shown")
	}
	who, err := parts.Auth.Identify(t.Context(), token.Value)
	if err != nil || who.UserID != c.people["ann"].UserID {
		t.Errorf("identified as %v, %v", who, err)
	}
}
