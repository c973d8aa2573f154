package storage

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"exporthub/pkg/errs"
)

// minSecret is how many bytes a signing key has at least.
const minSecret = 16

// purpose keeps these signatures from being good for anything else that is signed with the same
// keys.
const purpose = "exporthub file link 1\x00"

// Signer makes and checks the signatures of links that are good by themselves until they expire. It
// is safe for concurrent use.
type Signer struct{ keys [][]byte }

// NewSigner returns a Signer. The first key signs, all verify, so that a new key can be put in
// front of the old one without breaking the links that are out. No key, and one under 16 bytes, are
// refused.
func NewSigner(keys [][]byte) (*Signer, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("storage: a signer needs a key")
	}
	s := &Signer{}
	for i, key := range keys {
		if len(key) < minSecret {
			return nil, fmt.Errorf("storage: signing key %d has %d bytes, want at least %d", i+1, len(key), minSecret)
		}
		// Cloned, since the caller may wipe its copy after start.
		s.keys = append(s.keys, slices.Clone(key))
	}
	return s, nil
}

// strict refuses a second spelling of the same signature.
var strict = base64.RawURLEncoding.Strict()

// A signature is its expiry, in seconds since 1970, and the code.
const (
	expiryBytes = 8
	signedBytes = expiryBytes + sha256.Size
)

// Sign returns a signature of exactly this path that is good until expires, cut to the second: 54
// characters, all of which may stand in a URL.
func (s *Signer) Sign(path string, expires time.Time) string {
	signed := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	return strict.EncodeToString(append(signed, sum(s.keys[0], signed, path)...))
}

// Verify reports whether the signature is ours and of exactly this path (else Forbidden) and now is
// before its expiry (else Gone).
func (s *Signer) Verify(path, signature string, now time.Time) error {
	signed, err := strict.DecodeString(signature)
	// The length of the text counts too: the decoder skips line breaks.
	if err != nil || len(signed) != signedBytes || len(signature) != strict.EncodedLen(signedBytes) {
		return errs.New(errs.Forbidden, "链接的签名无效")
	}
	expiry, given := signed[:expiryBytes], signed[expiryBytes:]
	// All keys are tried, also after one fits: the time an answer takes must not say which key
	// signed.
	ours := false
	for _, key := range s.keys {
		ours = hmac.Equal(given, sum(key, expiry, path)) || ours
	}
	if !ours {
		return errs.New(errs.Forbidden, "链接的签名无效")
	}
	// After the signature: an expiry that was changed must read as forged, not as expired.
	if now.Unix() >= int64(binary.BigEndian.Uint64(expiry)) {
		return errs.New(errs.Gone, "链接已过期，文件不再保留")
	}
	return nil
}

// sum is the code of a path and an expiry. The expiry has a fixed length, so no two pairs read the
// same.
func sum(key, expiry []byte, path string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose))
	h.Write(expiry)
	h.Write([]byte(path))
	return h.Sum(nil)
}
