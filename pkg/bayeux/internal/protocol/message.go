package protocol

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

// MaxMessageID is the length in bytes of the longest id that is kept for longer than its message
// is handled; the stock client's have one to four characters. A longer one is echoed, and nothing
// is recognised by it.
const MaxMessageID = 256

// refusedBatches is how many times the limit a batch may have for its messages to be refused one
// by one. A still longer batch is refused as a whole, since its replies would cost too much.
const refusedBatches = 10

// Message is one entry of a request. Its members are decoded once, by their exact names, so that
// what is authorised and what is carried out can't differ: encoding/json would also take "Channel"
// for a field tagged channel, and the last of two members with one name.
type Message struct {
	Fields   map[string]json.RawMessage
	ID       json.RawMessage // as received; nil when absent or null
	Channel  string          // empty when absent or not a string
	ClientID string          // empty when absent or not a string
	Refused  *Failure        // nil unless the message is beyond a bound; it is then only answered
}

// Key is the id where it may be kept, to recognise the message when the client sends it again.
func (m *Message) Key() json.RawMessage {
	if len(m.ID) > MaxMessageID {
		return nil
	}
	return m.ID
}

// Parse decodes a body or frame: an object, an array of entries, or null, which is an empty batch.
// Null entries are left out; an entry that is no object becomes a message without members, which
// the server answers with 402. Messages nested too deep, and every message of a batch that is too
// long, are marked as refused instead of failing the whole body: the stock client repeats for ever
// what is not answered by a reply.
func Parse(body []byte, limit, nesting int) ([]Message, error) {
	body = bytes.Trim(body, " \t\r\n") // JSON's white space only: TrimSpace would also take \v
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
		nesting-- // the array around the messages counts as a level
	}
	batch := make([]Message, 0, len(entries))
	for _, entry := range entries {
		if string(entry) == "null" {
			continue
		}
		m := parseMessage(entry)
		switch {
		case len(entries) > limit:
			m.Refused = &Failure{400, "", "Too many messages in one batch"}
		case depth(entry) > nesting:
			m.Refused = &Failure{400, "", "Nested too deep"}
		case loneSurrogate(entry):
			m.Refused = &Failure{400, "", "Unpaired surrogate in a text"}
		}
		batch = append(batch, m)
	}
	return batch, nil
}

// depth is how deep objects and arrays stand in one another in a valid JSON text. It counts
// brackets instead of decoding, so that a deep text costs no stack.
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

func parseMessage(entry json.RawMessage) Message {
	var m Message
	if err := json.Unmarshal(entry, &m.Fields); err != nil {
		return Message{}
	}
	m.Channel, _ = m.Text("channel")
	m.ClientID, _ = m.Text("clientId")
	if id := m.Fields["id"]; len(id) > 0 && string(id) != "null" {
		// A copy: it may be kept for the length of a connect, and must not keep the whole body
		// alive.
		m.ID = bytes.Clone(id)
	}
	return m
}

// Text returns a string member, and false when the member is missing or of another type.
func (m *Message) Text(name string) (string, bool) {
	raw, ok := m.Fields[name]
	if !ok || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", false
	}
	return s, true
}

// Has reports whether a member is there and not null, false, 0 or an empty string. Faye tests its
// members for truth, so none of these counts as given.
func (m *Message) Has(name string) bool {
	switch raw := m.Fields[name]; string(raw) {
	case "", "null", "false", "0", `""`:
		return false
	}
	return true
}

// Texts returns a member that is an array. Entries that are no strings become empty strings, which
// nothing accepts, so that the number of entries and the answer to them stay right.
func (m *Message) Texts(name string) ([]string, bool) {
	var entries []json.RawMessage
	raw := m.Fields[name]
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

// Subscriptions returns the channels of a subscribe or unsubscribe: a string, or an array of them.
func (m *Message) Subscriptions() []string {
	if list, ok := m.Texts("subscription"); ok {
		return list
	}
	s, _ := m.Text("subscription")
	return []string{s}
}

// SubscriptionEcho is what a reply says of the subscription: what was asked, in the shape in which
// it came, since the client compares it with its own.
func (m *Message) SubscriptionEcho() json.RawMessage {
	if raw, ok := m.Fields["subscription"]; ok {
		return raw
	}
	return json.RawMessage("[]")
}

// Hold is how long this connect may be held: the client's own advice.timeout in milliseconds when
// it is a number from 0 to the server's, else the server's.
func (m *Message) Hold(most time.Duration) time.Duration {
	var advice map[string]json.RawMessage
	if json.Unmarshal(m.Fields["advice"], &advice) != nil {
		return most
	}
	var ms float64
	raw, ok := advice["timeout"]
	if !ok || string(raw) == "null" || json.Unmarshal(raw, &ms) != nil {
		return most
	}
	if ms < 0 || math.IsNaN(ms) || ms >= float64(most/time.Millisecond) {
		return most // compared as a float: 1e300 would not fit a Duration
	}
	return time.Duration(ms * float64(time.Millisecond))
}
