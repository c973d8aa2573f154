package auth

import (
	"context"
	"errors"
	"sync"
	"time"
)

// loadTimeout bounds one load. Beyond it the database counts as away.
const loadTimeout = 3 * time.Second

// cache keeps what was loaded for a short while and loads a key once at a time, however many ask
// for it. What get returns was read from the database at most ttl before get was called.
//
// It holds at most max entries; when it is full, entries older than keep go first and then any.
type cache[K comparable, V any] struct {
	load func(ctx context.Context, key K) (V, error)
	now  func() time.Time
	ttl  time.Duration // how old an answer may be
	keep time.Duration // how long entries stay for last
	max  int

	mu      sync.Mutex
	entries map[K]entry[V]
	flights map[K]*flight[V]
}

type entry[V any] struct {
	value   V
	started time.Time // when its load began: what it may have missed came later
}

type flight[V any] struct {
	done    chan struct{}
	started time.Time
	value   V
	err     error
}

func newCache[K comparable, V any](ttl, keep time.Duration, max int, now func() time.Time,
	load func(context.Context, K) (V, error)) *cache[K, V] {
	return &cache[K, V]{
		load:    load,
		now:     now,
		ttl:     ttl,
		keep:    keep,
		max:     max,
		entries: map[K]entry[V]{},
		flights: map[K]*flight[V]{},
	}
}

// get returns the value of key. The load is the first caller's work and everyone's result, so it
// goes on when that caller's context ends, for loadTimeout at most.
func (c *cache[K, V]) get(ctx context.Context, key K) (V, error) {
	arrived := c.now()
	c.mu.Lock()
	if e, ok := c.entries[key]; ok && arrived.Sub(e.started) < c.ttl {
		c.mu.Unlock()
		return e.value, nil
	}
	// A flight older than ttl may have read the database before a change this caller knows of, so
	// it is overtaken by a new one instead of being joined.
	if f := c.flights[key]; f != nil && arrived.Sub(f.started) < c.ttl {
		c.mu.Unlock()
		select {
		case <-f.done:
			return f.value, f.err
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
	}
	// The error stands until the load has returned: a load that panics must not leave a zero value
	// that the waiting callers take for an answer.
	f := &flight[V]{done: make(chan struct{}), started: arrived, err: errors.New("auth: load aborted")}
	c.flights[key] = f
	c.mu.Unlock()
	c.fly(key, f)
	return f.value, f.err
}

func (c *cache[K, V]) fly(key K, f *flight[V]) {
	defer c.land(key, f) // also when load panics: the others must not wait for ever
	// Not from the caller's context: the load may be asked for inside a transaction of theirs,
	// which is none of its.
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	f.value, f.err = c.load(ctx, key)
}

func (c *cache[K, V]) land(key K, f *flight[V]) {
	c.mu.Lock()
	if c.flights[key] == f { // a flight that was overtaken or dropped stores nothing
		delete(c.flights, key)
		if f.err == nil {
			if _, known := c.entries[key]; !known {
				c.makeRoomLocked()
			}
			c.entries[key] = entry[V]{value: f.value, started: f.started}
		}
	}
	c.mu.Unlock()
	close(f.done)
}

func (c *cache[K, V]) makeRoomLocked() {
	if len(c.entries) < c.max {
		return
	}
	// First what last would not return any more; only then entries somebody may still need.
	oldest := c.now().Add(-c.keep)
	for k, e := range c.entries {
		if e.started.Before(oldest) {
			delete(c.entries, k)
		}
	}
	for k := range c.entries {
		// room for a while, so that not every load looks at all entries
		if len(c.entries) < c.max*9/10 {
			return
		}
		delete(c.entries, k)
	}
}

// last returns what was known of key not longer than keep ago.
func (c *cache[K, V]) last(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	return e.value, ok && c.now().Sub(e.started) < c.keep
}

// drop removes the keys that match, and what is being loaded for them: a load under way may have
// read the state from before the change that made the caller drop the key.
func (c *cache[K, V]) drop(match func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.entries {
		if match(k) {
			delete(c.entries, k)
		}
	}
	for k := range c.flights {
		if match(k) {
			delete(c.flights, k)
		}
	}
}
