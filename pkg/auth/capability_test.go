package auth_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

var channelForm = regexp.MustCompile(`^/export/[1-9][0-9]*-[0-9a-f]{32}$`)

func TestExportChannel(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		clock := testkit.NewClock(start)
		s, replica := newService(t, db, clock), newService(t, db, clock)
		id := mustPerson(t, s, "staff", "", auth.Staff)
		ctx := t.Context()
		channel := func() string {
			t.Helper()
			p, err := s.Person(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return s.ExportChannel(p)
		}
		first := channel()
		if !channelForm.MatchString(first) || channel() != first {
			t.Fatalf("channel %q, then %q", first, channel())
		}
		if got, err := replica.CheckExportChannel(ctx, first); got != id || err != nil {
			t.Errorf("CheckExportChannel = %d, %v, want %d", got, err, id)
		}
		if !replica.ExportChannelAlive(ctx, first) {
			t.Error("not alive")
		}

		cases := map[string]string{
			"none": "", "another stream": "/message/1", "no signature": "/export/1", "wildcard": "/export/*",
			"forged": first[:len(first)-1] + flip(first[len(first)-1]), "longer": first + "0", "shorter": first[:len(first)-1],
			"upper case": strings.ToUpper(first), "another's": strings.Replace(first, "/export/", "/export/9", 1),
			"leading zero": strings.Replace(first, "/export/", "/export/0", 1),
		}
		for name, c := range cases {
			_, err := s.CheckExportChannel(ctx, c)
			wantKind(t, err, errs.Forbidden, "channel_forbidden")
			if s.ExportChannelAlive(ctx, c) {
				t.Errorf("%s: %q is alive", name, c)
			}
		}

		// At once with the person's tokens.
		if err := s.SetStatus(ctx, id, auth.Disabled); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		_, err := replica.CheckExportChannel(ctx, first)
		wantKind(t, err, errs.Forbidden)
		if replica.ExportChannelAlive(ctx, first) {
			t.Error("alive after the person was disabled")
		}
		if err := s.SetStatus(ctx, id, auth.Enabled); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CheckExportChannel(ctx, first); !errs.Is(err, errs.Forbidden) {
			t.Errorf("good again: %v", err)
		}
		if _, err := s.CheckExportChannel(ctx, channel()); err != nil {
			t.Errorf("the new one: %v", err)
		}
	})
}

func TestExportChannelChangesWeekly(t *testing.T) {
	clock := testkit.NewClock(start)
	db := dbtest.SQLite(t, auth.Migrations)
	s := newService(t, db, clock)
	id := mustPerson(t, s, "staff", "", auth.Staff)
	p, err := s.Person(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	first := s.ExportChannel(p)
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	cases := []struct {
		at      time.Time
		changed bool
		good    bool
	}{
		{monday.Add(-time.Second), false, true},
		{monday, true, true},
		{monday.Add(7*24*time.Hour - time.Second), true, true},
		{monday.Add(7 * 24 * time.Hour), true, false},
		// A replica whose clock is a little behind the one that made it.
		{monday.Add(-7*24*time.Hour - 30*time.Second), true, true},
		{monday.Add(-7*24*time.Hour - 2*time.Minute), true, false},
	}
	for _, c := range cases {
		clock.Set(c.at)
		if got := s.ExportChannel(p) != first; got != c.changed {
			t.Errorf("%s: changed %t, want %t", c.at, got, c.changed)
		}
		if _, err := s.CheckExportChannel(t.Context(), first); (err == nil) != c.good {
			t.Errorf("%s: %v, good should be %t", c.at, err, c.good)
		}
		if s.ExportChannelAlive(t.Context(), first) != c.good {
			t.Errorf("%s: alive should be %t", c.at, c.good)
		}
	}

	// A changed secret leaves it good while the previous one is known.
	clock.Set(start)
	turned := newService(t, db, clock, func(o *auth.Options) { o.Secret, o.PreviousSecrets = "another secret", []string{secret} })
	if _, err := turned.CheckExportChannel(t.Context(), first); err != nil {
		t.Errorf("after a change of the secret: %v", err)
	}
	gone := newService(t, db, clock, func(o *auth.Options) { o.Secret = "another secret" })
	if _, err := gone.CheckExportChannel(t.Context(), first); !errs.Is(err, errs.Forbidden) {
		t.Errorf("without the previous secret: %v", err)
	}
}

func flip(digit byte) string {
	if digit == '0' {
		return "1"
	}
	return "0"
}
