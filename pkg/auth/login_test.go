package auth

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

// A password nobody came to verify is no guess.
func TestBusyHasherCountsNoGuesses(t *testing.T) {
	clock := testkit.NewClock(tokenTime)
	s, err := New(Options{DB: dbtest.SQLite(t, Migrations), Secret: newSecret, Cost: testCost, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := s.EnsurePerson(ctx, Person{Account: "staff", Role: Staff}, "the right one"); err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddr("192.0.2.1")
	slots := s.hasher.slots.free
	for range slots {
		if _, err := s.hasher.slots.take(ctx, from); err != nil {
			t.Fatal(err)
		}
	}
	limit := s.hasher.slots.limit
	s.hasher.slots.limit = 0 // as if all that may wait did
	for range 10 {
		if _, _, err := s.Login(ctx, "staff", "guess", from); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("Login while too many wait: %v", err)
		}
	}
	s.hasher.slots.limit = limit
	canceled, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, _, err := s.Login(canceled, "staff", "guess", from); err == nil {
		t.Fatal("Login without a slot")
	}
	for range slots {
		s.hasher.slots.release()
	}
	for range 4 {
		if _, _, err := s.Login(ctx, "staff", "guess", from); errs.CodeOf(err) != "credentials_wrong" {
			t.Fatalf("Login with a wrong password: %v", err)
		}
	}
	if _, _, err := s.Login(ctx, "staff", "the right one", from); err != nil {
		t.Errorf("Login with the right one: %v", err)
	}
}

func TestAttemptTimes(t *testing.T) {
	longest := make([]int64, maxLockAfter)
	for i := range longest {
		longest[i] = time.Date(9999, 1, 1, 0, 0, 0, i, time.UTC).UnixMicro()
	}
	for _, times := range [][]int64{nil, {tokenTime.UnixMicro()}, longest} {
		text := formatTimes(times)
		if got := parseTimes(text); !slices.Equal(got, times) || len(text) > 255 {
			t.Errorf("%v became %q and %v", times, text, got)
		}
	}
}

// What has ended by itself is deleted by those who come later.
func TestExpiredRowsAreDeleted(t *testing.T) {
	clock := testkit.NewClock(tokenTime)
	db := dbtest.SQLite(t, Migrations)
	s, err := New(Options{DB: db, Secret: newSecret, Cost: testCost, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := s.EnsurePerson(ctx, Person{Account: "staff", Role: Staff}, "the right one"); err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddr("192.0.2.1")
	count := func() (revoked, failures int) {
		t.Helper()
		err := db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
			return tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM revoked_tokens), (SELECT COUNT(*) FROM login_failures)`).
				Scan(&revoked, &failures)
		})
		if err != nil {
			t.Fatal(err)
		}
		return revoked, failures
	}
	session := func() {
		t.Helper()
		_, p, err := s.Login(ctx, "staff", "the right one", from)
		if err == nil {
			err = s.Logout(ctx, p)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	session()
	if _, _, err := s.Login(ctx, "nobody", "guess", from); err == nil {
		t.Fatal("nobody logged in")
	}
	if revoked, failures := count(); revoked != 1 || failures != 1 {
		t.Fatalf("%d revocations and %d failures, want one each", revoked, failures)
	}
	clock.Advance(time.Hour)
	session()
	if revoked, failures := count(); revoked != 2 || failures != 0 {
		t.Errorf("an hour later %d revocations and %d failures, want two and none", revoked, failures)
	}
	clock.Advance(26 * time.Hour)
	session()
	if revoked, _ := count(); revoked != 1 {
		t.Errorf("a day later %d revocations, want one", revoked)
	}
}
