package wire

import (
	"encoding/json"
	"testing"

	"exporthub/pkg/bayeux"
)

// FuzzExtToken reads the token of what strangers send as a message's ext. What is no token is
// refused or absent, and never identifies anybody.
func FuzzExtToken(f *testing.F) {
	for _, ext := range []string{`{"access_token":"a.b.c"}`, `{"access_token":7}`, `{"access_token":""}`, `[]`, `{"ACCESS_TOKEN":"x"}`, `{`} {
		f.Add([]byte(ext))
	}
	f.Fuzz(func(t *testing.T, ext []byte) {
		text, explicit, err := token(bayeux.Request{Ext: json.RawMessage(ext)})
		if err != nil && (text != "" && !explicit) || text != "" && !json.Valid(ext) {
			t.Errorf("%q: %q, %v, %v", ext, text, explicit, err)
		}
	})
}
