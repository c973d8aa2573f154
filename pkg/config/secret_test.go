package config

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

func TestSecretsThatAreGuessedFirstAreRefused(t *testing.T) {
	for _, weak := range []string{
		"", "short", strings.Repeat("x", 64), strings.Repeat("ab", 32), strings.Repeat("0123456789abcdef", 4),
		"0123456789abcdef0123456789abcdef", strings.Repeat("8f3a91c0", 8), strings.Repeat("Tr0ub4dor&3", 4),
		"abcdefghijklmnopqrstuvwxyz0123456789", "qwertyuiopasdfghjklzxcvbnm1234567890", "zyxwvutsrqponmlkjihgfedcba987654",
		"changeme-changeme-changeme-changeme-1", "this-is-an-example-8f3a91c0d2b7e645", "your-secret-password-please-replace-it",
		"deadbeefdeadbeefdeadbeefcafebabe", "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccdddd", "11223344556677889900112233445566",
		"exporthub-exporthub-secret-secret-secret", "2026-11-30-2026-11-30-2026-11-30",
	} {
		if !weakSecret(weak) {
			t.Errorf("%q is taken, with an estimate of %.0f bits", weak, entropy(weak))
		}
	}
	for range 2000 {
		b := make([]byte, 32)
		rand.Read(b)
		// Half as many bytes are taken too, but for one in thousands that looks like a repetition.
		for _, good := range []string{hex.EncodeToString(b), base64.StdEncoding.EncodeToString(b),
			base64.RawURLEncoding.EncodeToString(b)} {
			if weakSecret(good) {
				t.Fatalf("%q is refused, with an estimate of %.0f bits", good, entropy(good))
			}
		}
	}
	if weakSecret("orbit velvet cactus nineteen pewter lagoon") {
		t.Error("six random words are refused")
	}
}

func TestAllowedOriginsAreWholeOrigins(t *testing.T) {
	for origin, good := range map[string]bool{
		"https://admin.example.com":      true,
		"http://localhost:8081":          true,
		"https://[2001:db8::1]:8443":     true,
		"*":                              false,
		"https://*.example.com":          false,
		"https://*":                      false,
		"https://admin.example.com/":     false,
		"https://admin.example.com/path": false,
		"https://admin.example.com?a":    false,
		"https://admin.example.com#a":    false,
		"https://user@admin.example.com": false,
		"https://Admin.example.com":      false,
		"ftp://admin.example.com":        false,
		"admin.example.com":              false,
		"null":                           false,
	} {
		_, err := Load([]string{"ALLOWED_ORIGINS=" + origin}, "", Mode{Embedded: true})
		if refused := err != nil && strings.Contains(err.Error(), "ALLOWED_ORIGINS: "+fmt.Sprintf("%q", origin)); refused == good {
			t.Errorf("%s: %v, want taken: %t", origin, err, good)
		}
	}
}
