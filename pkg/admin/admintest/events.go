package admintest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
)

// Events is an admin.Events that keeps what was raised and published. Its zero value is ready
// for use.
type Events struct {
	Reactions map[admin.Event]admin.Reaction // to what is raised; set before anything can be

	mu        sync.Mutex
	raised    map[admin.Event][]any
	published map[string][]string
	tries     int
	refusal   error
	away      error
}

var _ admin.Events = (*Events)(nil)

// Raise implements admin.Events. It records the event even when its transaction is rolled back
// later; tests of rollbacks look at the database instead.
func (e *Events) Raise(ctx context.Context, tx *database.Tx, event admin.Event, data any) error {
	e.mu.Lock()
	refusal := e.refusal
	if refusal == nil {
		if e.raised == nil {
			e.raised = map[admin.Event][]any{}
		}
		e.raised[event] = append(e.raised[event], data)
	}
	e.mu.Unlock()
	// Not under the lock: a reaction may publish, which takes it.
	if react := e.Reactions[event]; refusal == nil && react != nil {
		return react(ctx, tx, data)
	}
	return refusal
}

// Refuse makes Raise fail from now on; nil makes it work again.
func (e *Events) Refuse(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refusal = err
}

// Raised returns the data that an event was raised with, in order; what is of another type than
// T is left out.
func Raised[T any](e *Events, event admin.Event) []T {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []T
	for _, data := range e.raised[event] {
		if v, ok := data.(T); ok {
			all = append(all, v)
		}
	}
	return all
}

// Publish implements admin.Events.
func (e *Events) Publish(_ context.Context, channel string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tries++; e.away != nil {
		return e.away
	}
	e.note(channel, string(text))
	return nil
}

// GoAway makes Publish fail from now on, as with an unreachable bus; nil makes it work again.
func (e *Events) GoAway(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.away = err
}

// Tries is the number of calls of Publish, failed ones included.
func (e *Events) Tries() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tries
}

// Note records text as published on a channel. The engine's events come in this way, since they do
// not pass Publish.
func (e *Events) Note(channel, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.note(channel, text)
}

func (e *Events) note(channel, text string) {
	if e.published == nil {
		e.published = map[string][]string{}
	}
	e.published[channel] = append(e.published[channel], text)
}

// On returns what was published on a channel, as JSON, in order.
func (e *Events) On(channel string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.published[channel])
}
