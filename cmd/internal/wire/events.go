package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/bayeux"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
)

// jobQueue is the job engine as systems see it; they are made before it.
type jobQueue struct{ engine *job.Engine }

// Enqueue implements admin.Jobs.
func (q *jobQueue) Enqueue(ctx context.Context, tx *database.Tx, kind string, payload any) (string, error) {
	who := auth.From(ctx)
	if who == nil {
		return "", errs.New(errs.Unauthenticated, "")
	}
	j, err := q.engine.Enqueue(ctx, tx, job.New{Kind: kind, OwnerID: who.UserID, Payload: payload})
	return j.UUID, err
}

// events brings what happens in one system to the others, and to followers.
type events struct {
	bus       bayeux.Bus
	reactions map[admin.Event][]admin.Reaction // set once every module is there, before anything can happen
}

var _ admin.Events = (*events)(nil)

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
	return e.bus.Publish(ctx, bayeux.Event{Streams: []string{channel}, Data: text})
}

// Raise implements admin.Events.
func (e *events) Raise(ctx context.Context, tx *database.Tx, event admin.Event, data any) error {
	for _, react := range e.reactions[event] {
		if err := react(ctx, tx, data); err != nil {
			return fmt.Errorf("react to %s: %w", event, err)
		}
	}
	return nil
}

// listen collects the modules' reactions.
func (e *events) listen(modules []admin.Module) {
	e.reactions = map[admin.Event][]admin.Reaction{}
	for _, m := range modules {
		for event, react := range m.On {
			e.reactions[event] = append(e.reactions[event], react)
		}
	}
}

// tellingEnds is the kind of exports with the end of each raised as an event, in the transaction that ends it.
func tellingEnds(kind job.Kind, registry *dataset.Registry, raise admin.Events) job.Kind {
	ended := kind.Ended
	kind.Ended = func(ctx context.Context, tx *database.Tx, j job.Job) error {
		if err := ended(ctx, tx, j); err != nil {
			return err
		}
		e, err := endedExport(kind, registry, j)
		if err != nil {
			return err
		}
		return raise.Raise(ctx, tx, admin.ExportEnded, e)
	}
	return kind
}

// endedExport reads an export's end from what its followers are told.
func endedExport(kind job.Kind, registry *dataset.Registry, j job.Job) (admin.Export, error) {
	var told struct {
		Status   string
		Service  string
		Filename string
		Count    *int64
		Changed  string
		Error    *struct{ Message string }
	}
	data, _ := kind.Render(j)
	if err := json.Unmarshal(data, &told); err != nil {
		return admin.Export{}, fmt.Errorf("event of export %s: %w", j.UUID, err)
	}
	e := admin.Export{
		UUID: j.UUID, OwnerID: j.OwnerID, Status: told.Status, Title: told.Service, Filename: told.Filename, Count: told.Count,
		Changed: told.Changed,
	}
	if told.Error != nil {
		e.Reason = told.Error.Message
	}
	for _, set := range registry.All() {
		if set.Service == told.Service {
			e.Title = set.Title
		}
	}
	return e, nil
}
