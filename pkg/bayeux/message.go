package bayeux

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"time"
	"unicode/utf8"
)

var (
	errNotBayeux = errors.New("not a Bayeux message or array of messages")
	errBatchSize = errors.New("too many messages in one batch")
)

// maxMessageID is the length of the longest id that is kept for longer than its message is handled; the stock client's have one to four
// characters. A longer one is echoed and tells nothing.
const maxMessageID = 256

// refusedBatches is how many times the limit a batch may have for its messages to be refused one by one.
const refusedBatches = 10

// message is one entry of a request. Its members are decoded once, by their exact names, so that what was authorised and
// what is carried out can't differ: encoding/json would also take "Channel" for a field tagged channel.
type message struct {
	fields   map[string]json.RawMessage
	id       json.RawMessage // as received; nil when absent or null
	channel  string          // empty when absent or not a string
	clientID string          // empty when absent or not a string
	refused  *failure        // nil unless the message goes beyond a bound
}

// key is the id where it may be kept, to know the message by when it comes again.
func (m *message) key() json.RawMessage {
	if len(m.id) > maxMessageID {
		return nil
	}
	return m.id
}

// parseBatch decodes a body or frame: an object, an array of entries, or null, which is an empty batch. Null entries are
// left out; an entry that is no object becomes a message without members. What is nested too deep, and every message of a batch that
// is too long, is marked as refused: clients send what got another answer than a reply again for ever.
func parseBatch(body []byte, limit, nesting int) ([]message, error) {
	body = bytes.Trim(body, " \t\r\n") // what JSON takes for white space, and no more
	if len(body) == 0 || !utf8.Valid(body) {
		return nil, errNotBayeux
	}
	var entries []json.RawMessage
	switch body[0] {
	case '[', 'n':
		if err := json.Unmarshal(body, &entries); err != nil {
			return nil, errNotBayeux
		}
	case '{':
		if !json.Valid(body) {
			return nil, errNotBayeux
		}
		entries = []json.RawMessage{body}
	default:
		return nil, errNotBayeux
	}
	if len(entries) > refusedBatches*limit {
		return nil, errBatchSize
	}
	if body[0] == '[' {
		nesting--
	}
	batch := make([]message, 0, len(entries))
	for _, entry := range entries {
		if string(entry) == "null" {
			continue
		}
		m := parseMessage(entry)
		switch {
		case len(entries) > limit:
			m.refused = &failure{400, "", "Too many messages in one batch"}
		case depth(entry) > nesting:
			m.refused = &failure{400, "", "Nested too deep"}
		}
		batch = append(batch, m)
	}
	return batch, nil
}

// depth is how deep objects and arrays stand in one another in a JSON text.
func depth(text []byte) int {
	deepest, open := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"': // nothing in a string counts
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			open++
			deepest = max(deepest, open)
		case ']', '}':
			open--
		}
	}
	return deepest
}

func parseMessage(entry json.RawMessage) message {
	var m message
	if err := json.Unmarshal(entry, &m.fields); err != nil {
		return message{}
	}
	m.channel, _ = m.text("channel")
	m.clientID, _ = m.text("clientId")
	if id := m.fields["id"]; len(id) > 0 && string(id) != "null" {
		m.id = bytes.Clone(id) // it may be kept for the length of a connect, which the body must not
	}
	return m
}

// text returns a string member.
func (m *message) text(name string) (string, bool) {
	raw, ok := m.fields[name]
	if !ok || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", false
	}
	return s, true
}

// has reports whether a member is there and not null, false, 0 or an empty string, none of which counts as given.
func (m *message) has(name string) bool {
	switch raw := m.fields[name]; string(raw) {
	case "", "null", "false", "0", `""`:
		return false
	}
	return true
}

// texts returns a member that is an array; entries that are no strings become empty ones, which nothing accepts.
func (m *message) texts(name string) ([]string, bool) {
	var entries []json.RawMessage
	raw := m.fields[name]
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &entries) != nil {
		return nil, false
	}
	list := make([]string, len(entries))
	for i, entry := range entries {
		if len(entry) > 0 && entry[0] == '"' {
			_ = json.Unmarshal(entry, &list[i]) // a string in a valid document decodes
		}
	}
	return list, true
}

// subscriptions returns the channels of a subscribe or unsubscribe: a string, or an array of them.
func (m *message) subscriptions() []string {
	if list, ok := m.texts("subscription"); ok {
		return list
	}
	s, _ := m.text("subscription")
	return []string{s}
}

// hold is how long this connect may be held: the client's own advice.timeout in milliseconds, when it is a number within
// the server's.
func (m *message) hold(most time.Duration) time.Duration {
	var advice map[string]json.RawMessage
	if json.Unmarshal(m.fields["advice"], &advice) != nil {
		return most
	}
	var ms float64
	raw, ok := advice["timeout"]
	if !ok || string(raw) == "null" || json.Unmarshal(raw, &ms) != nil || ms < 0 || math.IsNaN(ms) {
		return most
	}
	if ms >= float64(most/time.Millisecond) {
		return most
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// subscriptionEcho is what a reply says of the subscription: what was asked, in the shape in which it came.
func (m *message) subscriptionEcho() json.RawMessage {
	if raw, ok := m.fields["subscription"]; ok {
		return raw
	}
	return json.RawMessage("[]")
}
