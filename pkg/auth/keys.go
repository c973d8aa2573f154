package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
	"strings"
)

// Purposes of derived keys. A key made for one can't be used for another.
const (
	PurposeTokens       = "tokens"
	PurposeCapabilities = "capabilities"
	PurposeFiles        = "files"
)

// keySize is 256 bits, what HMAC-SHA-256 can make use of.
const keySize = 32

// DeriveKeys makes the keys of one purpose from the installation's secrets (HKDF-SHA-256, RFC
// 5869). The first is the one to sign with; all of them verify. Empty previous secrets are left
// out. It panics on an empty secret, with which anybody could sign.
func DeriveKeys(secret string, previous []string, purpose string) [][]byte {
	if secret == "" {
		panic("auth: keys from an empty secret")
	}
	keys := [][]byte{deriveKey(secret, purpose)}
	for _, p := range previous {
		if strings.TrimSpace(p) != "" {
			keys = append(keys, deriveKey(p, purpose))
		}
	}
	return keys
}

func deriveKey(secret, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "exporthub/"+purpose, keySize)
	if err != nil {
		panic("auth: derive key: " + err.Error()) // only for a size HKDF can't make
	}
	return key
}
