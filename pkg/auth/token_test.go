package auth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/errs"
)

const (
	oldSecret = "the secret of last year, long enough as well"
	newSecret = "the secret of this year, long enough as well"
)

var tokenTime = time.Date(2026, 11, 18, 10, 0, 0, 0, time.UTC)

func testTokens(secret string, previous ...string) *tokens {
	return newTokens(DeriveKeys(secret, previous, PurposeTokens), "test", func() time.Time { return tokenTime })
}

func mustIssue(t testing.TB, tk *tokens, userID, epoch int64, session string) Token {
	t.Helper()
	token, err := tk.issue(userID, epoch, session)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenClaims(t *testing.T) {
	token := mustIssue(t, testTokens(newSecret), 303, 4, "SESSION")
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Value, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	jti, _ := got["jti"].(string)
	if !strings.HasPrefix(jti, "SESSION.") || len(jti) < len("SESSION.")+8 {
		t.Errorf("jti %q, want SESSION. and something random", jti)
	}
	delete(got, "jti")
	want := map[string]any{
		"aud": 303.0, "iss": "exporthub-test", "sub": "exporthub_user", "epoch": 4.0,
		"iat": float64(tokenTime.Unix()), "exp": float64(tokenTime.Add(24 * time.Hour).Unix()),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if !token.Expires.Equal(tokenTime.Add(24 * time.Hour)) {
		t.Errorf("expires %s", token.Expires)
	}
}

// signed makes a token of any claims, with any method and key.
func signed(t testing.TB, method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
	t.Helper()
	c := jwt.MapClaims{
		"aud": 7, "iss": "exporthub-test", "sub": "exporthub_user", "iat": tokenTime.Unix(),
		"exp": tokenTime.Add(time.Hour).Unix(), "jti": "S.T", "epoch": 0,
	}
	change(c)
	token, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokensThatAreNoGood(t *testing.T) {
	tk := testTokens(newSecret)
	key := tk.keys[0]
	good := signed(t, jwt.SigningMethodHS256, key, func(jwt.MapClaims) {})
	if c, err := tk.parse(good); err != nil || c.Audience != 7 || c.ID != "S.T" {
		t.Fatalf("the good twin: %+v, %v", c, err)
	}
	with := func(name string, value any) string {
		return signed(t, jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c[name] = value })
	}
	without := func(name string) string {
		return signed(t, jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { delete(c, name) })
	}
	parts := strings.Split(good, ".")
	bad := map[string]string{
		"empty":               "",
		"no token":            "undefined",
		"two parts":           parts[0] + "." + parts[1],
		"unsigned":            parts[0] + "." + parts[1] + ".",
		"another's signature": parts[0] + "." + strings.Split(with("aud", 8), ".")[1] + "." + parts[2],
		"alg none":            signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, func(jwt.MapClaims) {}),
		"HS512":               signed(t, jwt.SigningMethodHS512, key, func(jwt.MapClaims) {}),
		"other key":           signed(t, jwt.SigningMethodHS256, testTokens(oldSecret).keys[0], func(jwt.MapClaims) {}),
		"key of capabilities": signed(t, jwt.SigningMethodHS256, DeriveKeys(newSecret, nil, PurposeCapabilities)[0], func(jwt.MapClaims) {}),
		"the secret itself":   signed(t, jwt.SigningMethodHS256, []byte(newSecret), func(jwt.MapClaims) {}),
		"expired":             with("exp", tokenTime.Add(-time.Minute).Unix()),
		"endless":             without("exp"),
		"of the future":       with("iat", tokenTime.Add(time.Minute).Unix()),
		"no iat":              without("iat"),
		"aud as text":         with("aud", "7"),
		"aud as list":         with("aud", []int{7}),
		"aud as fraction":     with("aud", 7.5),
		"no aud":              without("aud"),
		"negative aud":        with("aud", -7),
		"other environment":   with("iss", "exporthub-production"),
		"no issuer":           without("iss"),
		"other subject":       with("sub", "somebody"),
		"no jti":              without("jti"),
		"endless text":        with("jti", strings.Repeat("x", maxTokenLen)),
		"trailing bits":       good[:len(good)-1] + "+",
	}
	for name, token := range bad {
		if c, err := tk.parse(token); !errs.Is(err, errs.Unauthenticated) || errs.CodeOf(err) != "token_invalid" {
			t.Errorf("%s: parse = %+v, %v", name, c, err)
		}
	}
}

func TestSecretIsChangedWithoutLoggingAnybodyOut(t *testing.T) {
	before := mustIssue(t, testTokens(oldSecret), 7, 0, "")
	during := testTokens(newSecret, oldSecret, " ")
	if _, err := during.parse(before.Value); err != nil {
		t.Errorf("a token of the previous secret: %v", err)
	}
	fresh := mustIssue(t, during, 7, 0, "")
	after := testTokens(newSecret)
	if _, err := after.parse(fresh.Value); err != nil {
		t.Errorf("during the change the old secret signs: %v", err)
	}
	if _, err := after.parse(before.Value); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("the old secret is good for ever: %v", err)
	}
}

func TestDeriveKeys(t *testing.T) {
	keys := DeriveKeys("a", []string{"b", "", "c"}, "x")
	if len(keys) != 3 {
		t.Fatalf("%d keys, want 3", len(keys))
	}
	seen := map[string]string{}
	for _, purpose := range []string{PurposeTokens, PurposeFiles, PurposeCapabilities} {
		for _, secret := range []string{"a", "b"} {
			key := string(DeriveKeys(secret, nil, purpose)[0])
			if len(key) != 32 || seen[key] != "" {
				t.Errorf("key of %s and %s: %d bytes, also of %q", secret, purpose, len(key), seen[key])
			}
			seen[key] = secret + " and " + purpose
		}
	}
	if string(keys[1]) != string(DeriveKeys("b", nil, "x")[0]) {
		t.Error("a key depends on its place")
	}
	defer func() {
		if recover() == nil {
			t.Error("keys of an empty secret")
		}
	}()
	DeriveKeys("", nil, "x")
}

// What parses is exactly what was signed: no text that differs from a token of ours is one.
func FuzzToken(f *testing.F) {
	tk := testTokens(newSecret)
	// the same in every process that fuzzes
	good := signed(f, jwt.SigningMethodHS256, tk.keys[0], func(jwt.MapClaims) {})
	none := signed(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, func(jwt.MapClaims) {})
	for _, seed := range []string{good, good + "A", good[:len(good)-1], none, "", good[:len(good)-9] + "\n" + good[len(good)-9:], good + "\r", "..", "a.b.c", strings.ReplaceAll(good, ".", ".."), "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjFlOTk5fQ.AA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := tk.parse(token)
		switch {
		case err == nil && token != good:
			t.Errorf("parse(%q) = %+v", token, c)
		case err != nil && !errs.Is(err, errs.Unauthenticated):
			t.Errorf("parse(%q) failed with %v", token, err)
		}
	})
}

func FuzzExportChannel(f *testing.F) {
	for _, seed := range []string{
		"/export/7-" + strings.Repeat("0a", 16), "/export/07-" + strings.Repeat("0a", 16), "/export/7-" + strings.Repeat("0A", 16),
		"/export/-7-" + strings.Repeat("0a", 16), "/export/7", "/export/*", "/export/7-" + strings.Repeat("0a", 15) + "\xff\xff", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, channel string) {
		id, signature, ok := parseExportChannel(channel)
		if ok && fmt.Sprintf("/export/%d-%x", id, signature) != channel {
			t.Errorf("%q parses as %d and %x", channel, id, signature)
		}
		if ok && (id <= 0 || len(signature) != signatureSize) {
			t.Errorf("%q parses as %d and %d bytes", channel, id, len(signature))
		}
	})
}
