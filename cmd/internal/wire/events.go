package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/event"
	"exporthub/pkg/export"
)

// events brings what happens in one system to the others, and to subscribers.
type events struct {
	publisher event.Publisher
	// reactions are registered before the program serves, and only read from then on.
	reactions map[admin.Event][]admin.Reaction
}

var _ admin.Events = (*events)(nil)

func newEvents(p event.Publisher) *events {
	return &events{publisher: p, reactions: map[admin.Event][]admin.Reaction{}}
}

// register adds the reactions of a module. They run in the order in which modules are registered.
func (e *events) register(m admin.Module) {
	for name, react := range m.On {
		e.reactions[name] = append(e.reactions[name], react)
	}
}

// publishTimeout is how long a transaction's caller waits for the bus after the commit.
const publishTimeout = time.Second

// Publish implements admin.Events.
func (e *events) Publish(ctx context.Context, channel string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("event on %s: %w", channel, err)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return e.publisher.Publish(ctx, channelEvent(channel, text))
}

// Raise implements admin.Events.
func (e *events) Raise(ctx context.Context, tx *database.Tx, name admin.Event, data any) error {
	for _, react := range e.reactions[name] {
		if err := react(ctx, tx, data); err != nil {
			return fmt.Errorf("react to %s: %w", name, err)
		}
	}
	return nil
}

// exportEnded raises the end of an export to the systems, by the title that people know its list
// by.
func (e *events) exportEnded(registry *dataset.Registry) func(context.Context, *database.Tx, export.Ended) error {
	return func(ctx context.Context, tx *database.Tx, end export.Ended) error {
		title := end.Service
		if set, ok := registry.Get(end.Dataset); ok {
			title = set.Title
		}
		return e.Raise(ctx, tx, admin.ExportEnded, admin.Export{
			UUID:     end.UUID,
			OwnerID:  end.OwnerID,
			Status:   end.Status,
			Title:    title,
			Filename: end.Filename,
			Count:    end.Count,
			Reason:   end.Reason,
			Changed:  end.Changed,
		})
	}
}
