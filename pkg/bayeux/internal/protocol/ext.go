package protocol

import (
	"encoding/json"
	"math"
)

// maxAck is the greatest integer that a client written in JavaScript can send exactly.
const maxAck = 1 << 53

// ExtMember returns one member of ext, by its exact name, nil when there is none.
func (m *Message) ExtMember(name string) json.RawMessage {
	var ext map[string]json.RawMessage
	raw := m.Fields["ext"]
	if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &ext) != nil {
		return nil
	}
	return ext[name]
}

// AsksForAcks reports whether a handshake's ext negotiates CometD's ack extension. Its clients
// send true, or an object when they can take messages in the handshake's reply.
func (m *Message) AsksForAcks() bool {
	switch raw := m.ExtMember("ack"); string(raw) {
	case "", "null":
		return false
	case "true":
		return true
	default:
		var form map[string]json.RawMessage
		return json.Unmarshal(raw, &form) == nil && string(form["enabled"]) == "true"
	}
}

// Acknowledged is what a connect acknowledges: the number of the last batch that its client
// received. Negative means that it received none, which is also what anything but an integer says;
// nil means that the connect says nothing about it.
func (m *Message) Acknowledged() *int64 {
	raw := m.ExtMember("ack")
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var n float64
	received := int64(-1)
	if json.Unmarshal(raw, &n) == nil && n == math.Trunc(n) && math.Abs(n) <= maxAck {
		received = int64(n)
	}
	return &received
}

// ReplayOf is what a subscribe's ext.replay asks for one channel. asked says that deliveries are
// to carry their positions; after is the number after which events were missed, nil for none.
func (m *Message) ReplayOf(channel string) (asked bool, after *uint64) {
	raw := m.ExtMember("replay")
	if len(raw) > 0 && raw[0] == '{' {
		var each map[string]json.RawMessage
		if json.Unmarshal(raw, &each) != nil {
			return false, nil
		}
		raw = each[channel]
	}
	if string(raw) == "true" {
		return true, nil
	}
	var n float64
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &n) != nil {
		return false, nil
	}
	if n < 0 {
		return true, nil
	}
	at := uint64(min(n, 1<<62)) // a greater float would convert to an undefined value
	return true, &at
}

// SkippedExt is the ext with which a reply to a subscribe reports how many messages of each name
// were left out of a replay, nil for none.
func SkippedExt(skipped map[string]int) json.RawMessage {
	if len(skipped) == 0 {
		return nil
	}
	b, err := json.Marshal(map[string]any{"replay": map[string]any{"skipped": skipped}})
	if err != nil {
		panic("bayeux: names and numbers must encode: " + err.Error())
	}
	return b
}
