package wire

import (
	"bytes"
	"encoding/json"
	"regexp"

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

// capabilityChannel matches the channels that need no token, and the
// person whose exports they carry.
var capabilityChannel = regexp.MustCompile(`^/export/([1-9][0-9]*)-[0-9a-f]{32}$`)

// audience is the person for whom a session receives on a channel. Pages that follow a capability
// have none of our code and download on every success they see, so they get an end once.
func audience(bp bayeux.Principal, channel string) (person string, endsOnce bool) {
	if m := capabilityChannel.FindStringSubmatch(channel); m != nil {
		return m[1], true
	}
	return bp.ID, false
}

// repeated marks the data of a message that may have arrived before: the member replayed is the
// last, as in what a late subscriber gets. Data that is no object stays as it is.
func repeated(data json.RawMessage) json.RawMessage {
	data = bytes.TrimSpace(data)
	inside, isObject := bytes.CutSuffix(data, []byte("}"))
	if !isObject || len(inside) < 2 || bytes.HasSuffix(inside, []byte(`"replayed":true`)) {
		return data
	}
	return append(bytes.Clone(inside), `,"replayed":true}`...)
}

// channelEvent is an event of a system on a channel. What names a thing by its uuid and has a
// status, such as the progress of an approval, may be replaced by a later one of that status;
// anything else, such as a message, stands for itself.
func channelEvent(channel string, data json.RawMessage) event.Event {
	var about struct{ UUID, Status string }
	e := event.Event{Streams: []string{channel}, Data: data}
	if json.Unmarshal(data, &about) == nil && about.UUID != "" && about.Status != "" {
		e.Key = about.UUID // its phase is read when the event goes to the bus
	}
	return e
}
