package wire

import (
	"encoding/json"

	"exporthub/pkg/bayeux"
	"exporthub/pkg/event"
)

// realtimeEvent is an event as the Bayeux server takes it. That server knows nothing of jobs, so
// what it needs of one is read here: its phase is the status within the attempt, of which a slow
// client misses none, while it may miss percentages within one.
func realtimeEvent(e event.Event) bayeux.Event {
	var stage struct {
		Status  string
		Attempt json.Number
	}
	phase := ""
	if e.Key != "" && json.Unmarshal(e.Data, &stage) == nil && stage.Status != "" {
		phase = stage.Attempt.String() + " " + stage.Status
	}
	return bayeux.Event{
		Streams: e.Streams,
		Key:     e.Key,
		Phase:   phase,
		Seq:     e.Seq,
		Final:   e.Final,
		Data:    e.Data,
	}
}
