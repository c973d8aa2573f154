// Package memorytest is what every bayeux.Memory has to keep to.
package memorytest

import (
	"encoding/json"
	"testing"

	"exporthub/pkg/bayeux"
)

// Bus is a bus that remembers.
type Bus interface {
	bayeux.Bus
	bayeux.Memory
}

// notes of the sessions "old", which has received the end, and "other".
func follows(session string) bayeux.Note {
	return bayeux.Note{What: bayeux.NoteSubscribed, Session: session, Audience: "person"}
}

func left(session string) bayeux.Note {
	return bayeux.Note{What: bayeux.NoteUnsubscribed, Session: session, Audience: "person"}
}

func lost(session string) bayeux.Note {
	return bayeux.Note{What: bayeux.NoteLost, Session: session}
}

func received(session string, seq uint64) bayeux.Note {
	return bayeux.Note{What: bayeux.NoteReceived, Session: session, Audience: "person", Key: "job", Seq: seq}
}

const seq = 9 // of the end

type steps struct {
	before, after []bayeux.Note // the end is published
	change        func(e *bayeux.End)
	want          bool
}

var cases = map[string]steps{
	"received by nobody":            {before: []bayeux.Note{follows("old")}},
	"received":                      {after: []bayeux.Note{received("old", seq)}, want: true},
	"received before it was":        {after: []bayeux.Note{received("old", seq-1)}},
	"a receipt that comes too late": {after: []bayeux.Note{received("old", seq), received("old", seq-1)}, want: true},
	"another person": {
		after:  []bayeux.Note{received("old", seq)},
		change: func(e *bayeux.End) { e.Audience = "stranger" },
	},
	"another job": {
		after:  []bayeux.Note{received("old", seq)},
		change: func(e *bayeux.End) { e.Key = "another" },
	},
	"another session still follows": {
		before: []bayeux.Note{follows("other")},
		after:  []bayeux.Note{received("old", seq)},
		want:   true,
	},
	"another session was lost": {
		before: []bayeux.Note{follows("other")},
		after:  []bayeux.Note{received("old", seq), lost("other")},
	},
	"another session was lost before the end": {
		before: []bayeux.Note{follows("other"), lost("other")},
		after:  []bayeux.Note{received("old", seq)},
	},
	"another session was lost and had it": {
		before: []bayeux.Note{follows("other")},
		after:  []bayeux.Note{received("old", seq), received("other", seq), lost("other")},
		want:   true,
	},
	"another session has left and was lost": {
		before: []bayeux.Note{follows("other")},
		after:  []bayeux.Note{received("old", seq), left("other"), lost("other")},
		want:   true,
	},
	"another session came after the end and was lost": {
		after: []bayeux.Note{received("old", seq), follows("other"), follows("other"), lost("other")},
		want:  true,
	},
	"another session followed again after the end and was lost": {
		before: []bayeux.Note{follows("other")},
		after:  []bayeux.Note{received("old", seq), follows("other"), lost("other")},
	},
	"another session came at an unknown time and was lost": {
		after:  []bayeux.Note{received("old", seq), follows("other"), lost("other")},
		change: func(e *bayeux.End) { e.Position = 0 },
	},
	"a session that never followed was lost": {
		after: []bayeux.Note{received("old", seq), lost("other")},
		want:  true,
	},
}

// Run checks buses that start out empty.
func Run(t *testing.T, bus func(t *testing.T) Bus) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bus(t)
			remember(t, b, c.before)
			event := bayeux.Event{
				Streams: []string{"/a"},
				Key:     "job",
				Seq:     seq,
				Final:   true,
				Data:    json.RawMessage(`{}`),
			}
			if err := b.Publish(t.Context(), event); err != nil {
				t.Fatal(err)
			}
			newest, err := b.Newest(t.Context(), []string{"job"})
			if err != nil || len(newest) != 1 || newest[0].Position == 0 {
				t.Fatalf("newest %+v, %v", newest, err)
			}
			remember(t, b, c.after)
			end := bayeux.End{Audience: "person", Key: "job", Seq: seq, Position: newest[0].Position}
			if c.change != nil {
				c.change(&end)
			}
			// Beside one that nobody has, since answers differ by their place only.
			got, err := b.Received(t.Context(), []bayeux.End{{Audience: "person", Key: "none", Seq: 1}, end})
			if err != nil || len(got) != 2 || got[0] || got[1] != c.want {
				t.Errorf("received %v, %v; want false, %t", got, err, c.want)
			}
		})
	}
}

func remember(t *testing.T, b Bus, notes []bayeux.Note) {
	t.Helper()
	if len(notes) == 0 {
		return
	}
	if err := b.Remember(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
}
