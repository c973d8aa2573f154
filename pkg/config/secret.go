package config

import (
	"math"
	"strings"
)

const (
	// minSecret is how many bytes a secret needs: as many as the HMAC key it becomes.
	minSecret = 32
	// minEntropy is how many bits it must hold by the estimate below. 32 random hexadecimal digits
	// come to about 115, what people type seldom to 80.
	minEntropy = 80
)

// wellKnown are parts of examples and of what hands type: they are guessed first, so they count for
// nothing in the estimate.
var wellKnown = []string{
	"changeme", "change-me", "change_me", "default", "example", "password", "passw0rd", "secret", "exporthub",
	"qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx", "letmein", "0123456789", "1234567890", "abcdefghijklmnopqrstuvwxyz",
	"abcdef", "deadbeef", "cafebabe", "your-", "replace", "openssl", "rand-hex", "please",
}

// examples are words that no secret of one's own holds: with one of them the whole is a copy.
var examples = []string{"changeme", "change-me", "change_me", "default", "example", "password"}

// weakSecret reports whether a secret is short, a copied example, or too regular to be random.
func weakSecret(s string) bool {
	lower := strings.ToLower(s)
	for _, word := range examples {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return len(s) < minSecret || entropy(s) < minEntropy
}

// entropy estimates the bits in a secret, never far above what a guesser who knows people's habits
// would need: a repetition counts once, known words and runs such as 12345 or aaaaa count as one
// character, and the rest by how evenly its characters are spread. It is an estimate of text alone;
// nothing can see that a random-looking value was published.
func entropy(s string) float64 {
	s = unit(s)
	lower := strings.ToLower(s)
	for _, word := range wellKnown {
		lower = strings.ReplaceAll(lower, word, "\x00")
	}
	// Case is a bit for each letter at most, and people use it in patterns; the estimate leaves it
	// out except where nothing was replaced, so that base64 keeps its six bits.
	if !strings.Contains(lower, "\x00") {
		lower = s
	}
	kept := withoutRuns(lower)
	counts := map[byte]int{}
	for _, c := range kept {
		counts[c]++
	}
	bits := 0.0
	for _, n := range counts {
		bits -= float64(n) * math.Log2(float64(n)/float64(len(kept)))
	}
	return bits
}

// unit returns what s repeats: "ab" for "ababab" and "ababa".
func unit(s string) string {
	for size := 1; size < len(s); size++ {
		if s[size:] == s[:len(s)-size] {
			return s[:size]
		}
	}
	return s
}

// withoutRuns drops each character that continues a run: the same step as the one before it, as in
// aaaa, 1234 and 9753.
func withoutRuns(s string) []byte {
	var kept []byte
	for i := range len(s) {
		if i >= 2 && s[i]-s[i-1] == s[i-1]-s[i-2] {
			continue
		}
		kept = append(kept, s[i])
	}
	return kept
}
