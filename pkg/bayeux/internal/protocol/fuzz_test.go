package protocol

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Run one of these for ten minutes with
//
//	go test -run '^$' -fuzz '^FuzzMessages$' -fuzztime 10m ./pkg/bayeux/internal/protocol
//
// What a run finds is kept in testdata/fuzz and tried by every test run from then on. The bodies of
// the protocol tests of package bayeux are among the seeds there.

var (
	nameGrammar    = regexp.MustCompile(`^(/[A-Za-z0-9\-_!~()$@]+)+\z`)
	patternGrammar = regexp.MustCompile(`^(/[A-Za-z0-9\-_!~()$@]+)*/\*\*?\z`)
)

// FuzzChannel compares the grammar with the one written as regular expressions, and patterns with
// their meaning.
func FuzzChannel(f *testing.F) {
	for _, seed := range []string{"/a", "/a/b", "/a/*", "/**", "/*", "", "/", "//", "/a/", "/a.b", "/a*", "/meta/x", "/service/x", "/a/**/b", "/ü", "/a\n", "/-_!~()$@"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, pattern := ValidName(s), ValidPattern(s)
		if name != nameGrammar.MatchString(s) || pattern != patternGrammar.MatchString(s) {
			t.Fatalf("%q: name %v, pattern %v", s, name, pattern)
		}
		if name && pattern {
			t.Fatalf("%q is both", s)
		}
		if !name {
			return
		}
		if Reserved(s) != (s == "/meta" || s == "/service" || strings.HasPrefix(s, "/meta/") || strings.HasPrefix(s, "/service/")) {
			t.Fatalf("%q: reserved %v", s, Reserved(s))
		}
		patterns := PatternsOf(nil, s)
		if len(patterns) != strings.Count(s, "/")+1 {
			t.Fatalf("%q is matched by %v", s, patterns)
		}
		for _, p := range patterns {
			base, deep := strings.CutSuffix(p, "/**")
			if !deep {
				base = strings.TrimSuffix(p, "/*")
			}
			rest, under := strings.CutPrefix(s, base+"/")
			if !ValidPattern(p) || !under || !deep && strings.Contains(rest, "/") {
				t.Fatalf("%q is not matched by %q", s, p)
			}
		}
	})
}

// FuzzMessages decodes bodies as they come.
func FuzzMessages(f *testing.F) {
	for _, seed := range []string{"\v[]", `[[[[`, `{"id":1e999}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"subscription":[1,"/a",null]}`, `{"advice":{"timeout":1e300}}`,
		`{"ext":{"ack":true,"replay":{"/a":5}}}`, `{"ext":{"ack":-1,"replay":-2}}`, `{"channel":"a","channel":"b"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const limit, nesting = 10, 20
		batch, err := Parse(body, limit, nesting)
		if err != nil {
			if batch != nil {
				t.Fatal("an error and messages")
			}
			return
		}
		if !json.Valid(body) || len(batch) > refusedBatches*limit {
			t.Fatalf("%d messages of %q", len(batch), body)
		}
		for i := range batch {
			if m := &batch[i]; m.Refused == nil && (len(batch) > limit || depth(m.Fields["data"]) >= nesting) {
				t.Fatalf("a message beyond the bounds: %q", body)
			}
			checkMessage(t, &batch[i])
		}
	})
}

func checkMessage(t *testing.T, m *Message) {
	if m.ID != nil && (!json.Valid(m.ID) || len(m.Key()) > MaxMessageID) {
		t.Fatalf("id %q", m.ID)
	}
	if channel, ok := m.Text("channel"); ok != (m.Channel != "" || string(m.Fields["channel"]) == `""`) || channel != m.Channel {
		t.Fatalf("channel %q", m.Channel)
	}
	if hold := m.Hold(time.Minute); hold < 0 || hold > time.Minute {
		t.Fatalf("held for %v", hold)
	}
	if names := m.Subscriptions(); names == nil {
		if raw := bytes.TrimSpace(m.Fields["subscription"]); len(raw) == 0 || raw[0] != '[' {
			t.Fatalf("no names of %s", raw)
		}
	}
	if !json.Valid(m.SubscriptionEcho()) {
		t.Fatalf("echo %s", m.SubscriptionEcho())
	}
	m.AsksForAcks()
	m.Acknowledged()
	m.ReplayOf("/a")
	if r := (&Reply{ID: m.ID, Channel: m.Channel, Subscription: m.SubscriptionEcho()}).Fail(Invalid(m.Channel)); !json.Valid(r.Encode()) {
		t.Fatalf("reply %s", r.Encode())
	}
}
