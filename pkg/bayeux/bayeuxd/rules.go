package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"

	"exporthub/pkg/bayeux"
)

// everyone admits clients that have the token, or all clients where there is none, to every
// channel.
type everyone struct{ token string }

// speakers is everyone where clients may publish.
type speakers struct {
	everyone
	each bool // every message has to carry the token
}

var (
	_ bayeux.Matcher   = everyone{}
	_ bayeux.Publisher = speakers{}
)

func (c config) rules() bayeux.Authorizer {
	all := everyone{c.token}
	if c.publish == "none" {
		return all
	}
	return speakers{everyone: all, each: c.publish == "token"}
}

// carries reports what a message's ext.access_token is worth: whether there is one, and whether it
// is the right one.
func (e everyone) carries(r bayeux.Request) (given, right bool) {
	var ext map[string]json.RawMessage // by exact name
	if json.Unmarshal(r.Ext, &ext) != nil || ext["access_token"] == nil {
		return false, false
	}
	var token string
	if json.Unmarshal(ext["access_token"], &token) != nil {
		return true, false
	}
	// So that not even the length shows in the time.
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(e.token))
	return true, subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// Handshake implements bayeux.Authorizer.
func (e everyone) Handshake(_ context.Context, r bayeux.Request) (bayeux.Principal, error) {
	if _, right := e.carries(r); e.token != "" && !right {
		return bayeux.Principal{}, &bayeux.Refusal{Text: "access_token is missing or wrong"}
	}
	return bayeux.Principal{}, nil
}

// Matches implements bayeux.Matcher.
func (e everyone) Matches(_ context.Context, r bayeux.Request, _ bayeux.Principal) bool {
	if e.token == "" {
		return true
	}
	given, right := e.carries(r)
	return right || !given
}

// Subscribe implements bayeux.Authorizer.
func (everyone) Subscribe(context.Context, bayeux.Principal, string) (bayeux.Grant, error) {
	return bayeux.Grant{}, nil
}

// Alive implements bayeux.Authorizer.
func (everyone) Alive(context.Context, bayeux.Principal) bool { return true }

// Publish implements bayeux.Publisher.
func (s speakers) Publish(_ context.Context, _ bayeux.Principal, m bayeux.Publication) error {
	if _, right := s.carries(m.Request); s.each && !right {
		return &bayeux.Refusal{}
	}
	return nil
}
