package redisbus

import (
	"encoding/json"
	"errors"
	"fmt"

	"exporthub/pkg/bayeux"
)

// wire is an event as it travels. Members that a newer publisher adds are ignored, and members that
// an older one leaves out are zero, so that a release and the one before it understand each other.
type wire struct {
	Streams []string `json:"s"`
	Key     string   `json:"k,omitempty"`
	Phase   string   `json:"g,omitempty"`
	Seq     uint64   `json:"n,omitempty"`
	Final   bool     `json:"f,omitempty"`
	// Position is put in front of the other members by Redis, which counts for all publishers.
	Position uint64          `json:"p,omitempty"`
	Data     json.RawMessage `json:"d"`
}

var (
	errNoStreams = errors.New("event belongs to no stream")
	errNoData    = errors.New("event without data")
)

func encode(e bayeux.Event) ([]byte, error) {
	if len(e.Streams) == 0 {
		return nil, errNoStreams
	}
	if e.Data == nil {
		return nil, errNoData
	}
	e.Position = 0 // another bus's, if it has one
	b, err := json.Marshal(wire(e))
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return b, nil
}

func decode(payload string) (bayeux.Event, error) {
	var w wire
	if err := json.Unmarshal([]byte(payload), &w); err != nil {
		return bayeux.Event{}, fmt.Errorf("decode event: %w", err)
	}
	if len(w.Streams) == 0 {
		return bayeux.Event{}, errNoStreams
	}
	if w.Data == nil {
		return bayeux.Event{}, errNoData
	}
	return bayeux.Event(w), nil
}
