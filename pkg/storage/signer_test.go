package storage

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/errs"
)

var (
	oldKey  = bytes.Repeat([]byte("o"), 32)
	newKey  = bytes.Repeat([]byte("n"), 32)
	expires = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
)

func signer(t testing.TB, keys ...[]byte) *Signer {
	t.Helper()
	s, err := NewSigner(keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestALinkIsGoodUntilItExpires(t *testing.T) {
	s := signer(t, newKey)
	signature := s.Sign("/export/a.xlsx", expires)
	if len(signature) != 54 || url.QueryEscape(signature) != signature {
		t.Errorf("signature %q is not 54 characters that may stand in a URL", signature)
	}
	for at, want := range map[time.Duration]bool{-8 * 24 * time.Hour: true, -time.Nanosecond: true, 0: false, time.Hour: false} {
		err := s.Verify("/export/a.xlsx", signature, expires.Add(at))
		if (err == nil) != want || err != nil && !errs.Is(err, errs.Gone) {
			t.Errorf("%v from the expiry: %v", at, err)
		}
	}
}

func TestForgeriesAreForbidden(t *testing.T) {
	s := signer(t, newKey)
	path, now := "/export/a.xlsx", expires.Add(-time.Hour)
	good := s.Sign(path, expires)
	for name, c := range map[string]struct{ path, signature string }{
		"no signature":          {path, ""},
		"not base64":            {path, strings.Repeat("!", 54)},
		"too short":             {path, good[:53]},
		"too long":              {path, good + "A"},
		"padded":                {path, good + "=="},
		"line break":            {path, good[:20] + "\n" + good[20:]},
		"another path":          {"/export/b.xlsx", good},
		"path in another case":  {"/export/A.xlsx", good},
		"path with more":        {path + "/", good},
		"another key":           {path, signer(t, oldKey).Sign(path, expires)},
		"another expiry":        {path, s.Sign(path, expires.Add(time.Hour))[:11] + good[11:]},
		"expired and forged":    {"/export/b.xlsx", s.Sign(path, now.Add(-time.Hour))},
		"another last bit":      {path, otherSpelling(t, good)},
		"zeros":                 {path, strings.Repeat("A", 54)},
		"path moved to the end": {"x" + path, good},
	} {
		if err := s.Verify(c.path, c.signature, now); !errs.Is(err, errs.Forbidden) {
			t.Errorf("%s: %v, want forbidden", name, err)
		}
	}
	if err := s.Verify(path, good, now); err != nil {
		t.Errorf("the original: %v", err)
	}
}

// otherSpelling changes the two bits of the last character that encode nothing.
func otherSpelling(t *testing.T, signature string) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, signature[len(signature)-1])
	return signature[:len(signature)-1] + string(alphabet[last^1])
}

func TestEveryChangedCharacterIsForbidden(t *testing.T) {
	s := signer(t, newKey)
	good := s.Sign("/export/a.xlsx", expires)
	for i := range good {
		changed := []byte(good)
		if changed[i]++; changed[i] == good[i] {
			t.Fatal("nothing was changed")
		}
		if err := s.Verify("/export/a.xlsx", string(changed), expires.Add(-time.Hour)); !errs.Is(err, errs.Forbidden) {
			t.Errorf("character %d changed: %v", i, err)
		}
	}
}

func TestKeysCanBeChanged(t *testing.T) {
	before, during, after := signer(t, oldKey), signer(t, newKey, oldKey), signer(t, newKey)
	now := expires.Add(-time.Hour)
	out := before.Sign("/a", expires)
	if err := during.Verify("/a", out, now); err != nil {
		t.Errorf("a link that is out: %v", err)
	}
	if err := after.Verify("/a", out, now); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a link of a key that is gone: %v", err)
	}
	if err := after.Verify("/a", during.Sign("/a", expires), now); err != nil {
		t.Errorf("the first key does not sign: %v", err)
	}
}

func TestSignerRefusesWeakKeys(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"none": nil, "empty": {{}}, "short": {[]byte("15 bytes, alas.")}, "second short": {newKey, []byte("x")},
	} {
		if s, err := NewSigner(keys); err == nil || s != nil {
			t.Errorf("%s: NewSigner took them", name)
		}
	}
}

func TestTheCallersKeyIsCopied(t *testing.T) {
	key := bytes.Clone(newKey)
	s := signer(t, key)
	signature := s.Sign("/a", expires)
	clear(key)
	if err := s.Verify("/a", signature, expires.Add(-time.Hour)); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("/a", "")
	f.Add("/a", strings.Repeat("A", 54))
	f.Fuzz(func(t *testing.T, path, signature string) {
		if err := signer(t, newKey).Verify(path, signature, time.Unix(0, 0)); !errs.Is(err, errs.Forbidden) {
			t.Errorf("Verify(%q, %q) = %v", path, signature, err)
		}
	})
}
