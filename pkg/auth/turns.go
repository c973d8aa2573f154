package auth

import (
	"context"
	"sync"
	"time"

	"exporthub/pkg/errs"
)

// maxTurns bounds how many calls may wait for the same key.
const maxTurns = 64

// turns lets one call at a time work on a key, so that simultaneous right passwords of one person
// are not counted against each other.
type turns struct {
	mu   sync.Mutex
	keys map[string]*turn
}

type turn struct {
	token chan struct{} // holds one token while the key is free
	users int           // under turns.mu
}

// take waits for the key's turn. When too many wait already, the answer is TooMany.
func (t *turns) take(ctx context.Context, key string) (release func(), err error) {
	t.mu.Lock()
	if t.keys == nil {
		t.keys = map[string]*turn{}
	}
	k := t.keys[key]
	if k == nil {
		k = &turn{token: make(chan struct{}, 1)}
		k.token <- struct{}{}
		t.keys[key] = k
	}
	if k.users >= maxTurns {
		t.mu.Unlock()
		return nil, &errs.Error{Kind: errs.TooMany, Code: "login_rate", RetryAfter: time.Second}
	}
	k.users++
	t.mu.Unlock()
	select {
	case <-k.token:
		return func() { k.token <- struct{}{}; t.leave(key, k) }, nil
	case <-ctx.Done():
		t.leave(key, k)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(key string, k *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k.users--
	if k.users == 0 {
		delete(t.keys, key)
	}
}
