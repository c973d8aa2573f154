package protocol

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestChannelGrammar(t *testing.T) {
	for _, name := range []string{"/a", "/a/b", "/-_!~()$@", "/export/1f0c", "/0/1/2/3"} {
		if !ValidName(name) || ValidPattern(name) {
			t.Errorf("%q is a name", name)
		}
	}
	for _, name := range []string{"", "/", "a", "//", "/a/", "/a//b", "/a.b", "/a:b", "/a%20", "/ä", "/a b", "/a*", "a/b"} {
		if ValidName(name) || ValidPattern(name) {
			t.Errorf("%q is neither name nor pattern", name)
		}
	}
	for _, pattern := range []string{"/*", "/**", "/a/*", "/a/b/**"} {
		if ValidName(pattern) || !ValidPattern(pattern) {
			t.Errorf("%q is a pattern", pattern)
		}
	}
	for _, pattern := range []string{"*", "/***", "/a*", "/*/b", "/**/b", "/a/**/*", "a/*", "//*"} {
		if ValidPattern(pattern) {
			t.Errorf("%q is no pattern", pattern)
		}
	}
	if got, want := PatternsOf(nil, "/a/b/c"), []string{"/a/b/*", "/a/b/**", "/a/**", "/**"}; !reflect.DeepEqual(got, want) {
		t.Errorf("patterns of /a/b/c: %v, want %v", got, want)
	}
}

func TestClientShortensTheHold(t *testing.T) {
	const most = 45 * time.Second
	for advice, want := range map[string]time.Duration{
		``: most, `,"advice":{}`: most, `,"advice":{"timeout":0}`: 0, `,"advice":{"timeout":500}`: 500 * time.Millisecond,
		`,"advice":{"timeout":-1}`: most, `,"advice":{"timeout":"0"}`: most, `,"advice":{"timeout":null}`: most,
		`,"advice":{"timeout":1e300}`: most, `,"advice":{"timeout":50000}`: most, `,"advice":7`: most, `,"advice":{"Timeout":0}`: most,
	} {
		m := parseMessage(json.RawMessage(`{"channel":"/meta/connect"` + advice + `}`))
		if got := m.Hold(most); got != want {
			t.Errorf("%s: held for %v, want %v", advice, got, want)
		}
	}
}
