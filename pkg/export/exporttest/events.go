package exporttest

import (
	"context"
	"encoding/json"
	"sync"

	"exporthub/pkg/event"
	"exporthub/pkg/export/record"
)

// Recorder is a publisher that keeps everything that is published.
type Recorder struct {
	mu     sync.Mutex
	events []event.Event
}

// Publish implements event.Publisher.
func (r *Recorder) Publish(_ context.Context, e event.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return nil
}

// Of returns the events of one job, in the order in which they were published.
func (r *Recorder) Of(uuid string) []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []event.Event
	for _, e := range r.events {
		if e.Key == uuid {
			found = append(found, e)
		}
	}
	return found
}

// Event is what subscribers read of an event.
type Event struct {
	Status   record.Status `json:"status"`
	FileURL  *string       `json:"file_url"`
	Progress int           `json:"progress"`
	Service  string        `json:"service"`
	UUID     string        `json:"uuid"`
	Count    *int64        `json:"count"`
	FileSize *int64        `json:"file_size"`
	Seq      uint64        `json:"seq"`
	Attempt  int           `json:"attempt"`
	Upload   int           `json:"upload_attempt"`
	Filename string        `json:"filename"`
	Error    *struct {
		Code, Message string
	} `json:"error"`
	Replayed bool `json:"replayed"`
}

// Published returns the events of one job.
func (h *Hub) Published(uuid string) []Event {
	h.T.Helper()
	var all []Event
	for _, e := range h.Events.Of(uuid) {
		var v Event
		if err := json.Unmarshal(e.Data, &v); err != nil {
			h.T.Fatal(err)
		}
		if v.Seq != e.Seq {
			h.T.Errorf("event says seq %d, its envelope %d", v.Seq, e.Seq)
		}
		all = append(all, v)
	}
	return all
}

// Settled waits until the final event is published, which follows the row.
func (h *Hub) Settled(uuid string) []Event {
	h.T.Helper()
	h.Eventually(func() bool {
		events := h.Events.Of(uuid)
		return len(events) > 0 && events[len(events)-1].Final
	})
	return h.Published(uuid)
}
