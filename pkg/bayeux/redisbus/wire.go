package redisbus

import (
	"encoding/json"
	"errors"
	"fmt"

	"exporthub/pkg/bayeux"
)

// wire is an event as it travels. Members that a newer publisher adds are ignored.
type wire struct {
	Streams []string        `json:"s"`
	Key     string          `json:"k,omitempty"`
	Phase   string          `json:"g,omitempty"`
	Seq     uint64          `json:"n,omitempty"`
	Final   bool            `json:"f,omitempty"`
	Data    json.RawMessage `json:"d"`
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
