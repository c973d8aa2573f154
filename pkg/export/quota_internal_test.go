package export

import (
	"testing"
	"time"
)

// A day ends at its last second, whatever the clocks do at midnight.
func TestUntilMidnight(t *testing.T) {
	for _, c := range []struct {
		zone string
		at   string // UTC
		want time.Duration
	}{
		{"Asia/Shanghai", "2026-03-01T15:59:00Z", time.Minute},
		{"Asia/Shanghai", "2026-03-01T16:00:00Z", 24 * time.Hour},
		{"UTC", "2026-03-01T23:59:59.5Z", 500 * time.Millisecond},
		// Clocks go from 00:00 to 01:00, so the day begins at 01:00.
		{"America/Havana", "2026-03-08T04:30:00Z", 30 * time.Minute},
		{"America/Santiago", "2026-09-06T03:30:00Z", 30 * time.Minute},
		{"America/Asuncion", "2023-10-01T03:30:00Z", 30 * time.Minute},
		{"America/Sao_Paulo", "2018-11-04T02:59:00Z", time.Minute},
		{"Asia/Beirut", "2026-03-28T21:30:00Z", 30 * time.Minute},
		// Clocks go from 24:00 back to 23:00, so the last hour of the day comes twice.
		{"America/Santiago", "2026-04-05T02:30:00Z", 90 * time.Minute},
		{"America/Santiago", "2026-04-05T03:30:00Z", 30 * time.Minute},
		{"America/Asuncion", "2023-03-26T03:30:00Z", 30 * time.Minute},
		{"Asia/Beirut", "2026-10-24T20:30:00Z", 90 * time.Minute},
		// A whole day is left out: the 30th did not exist.
		{"Pacific/Apia", "2011-12-30T09:30:00Z", 30 * time.Minute},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		a := admission{location: zone}
		if got := a.untilMidnight(at); got != c.want {
			t.Errorf("%s at %s: %s left, want %s", c.zone, c.at, got, c.want)
		}
	}
}

// At no time of a year is a day over already, in any zone.
func TestUntilMidnightIsNeverOver(t *testing.T) {
	for _, name := range []string{
		"America/Havana", "America/Santiago", "America/Asuncion", "Asia/Beirut", "Asia/Gaza",
		"America/St_Johns", "Pacific/Apia", "Africa/Cairo", "America/Scoresbysund",
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		a := admission{location: zone}
		for at := time.Date(2011, 1, 1, 0, 7, 0, 0, time.UTC); at.Year() < 2012; at = at.Add(47 * time.Minute) {
			if got := a.untilMidnight(at); got <= 0 || got > longestDay/2+time.Hour {
				t.Fatalf("%s at %s: %s left", name, at, got)
			}
		}
	}
}
