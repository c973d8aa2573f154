package auth

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

// waitFor waits until n calls wait for a slot; a test of what is asked next needs them in the
// queue.
func waitFor(t *testing.T, f *fairSlots, n int) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.waiting == n
	}, "%d waiting calls", n)
}

// However many calls of one network wait, one of another network is served next but one.
func TestHashingSlotsAreSharedByNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		attacker func(i int) string
		honest   string
		after    int // how many of the attacker are served before the honest one
	}{
		"one IPv4 address":  {func(int) string { return "192.0.2.66" }, "192.0.2.1", 1},
		"one /64":           {func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) }, "2001:db8:1::1", 1},
		"many /64 of a /48": {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i+1) }, "2001:db8:1::1", 1},
		"the neighbour":     {func(int) string { return "2001:db8:0:1::1" }, "2001:db8:0:2::1", 1},
		"IPv4 beside IPv6":  {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i+1) }, "192.0.2.1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFairSlots(1, 1000)
			hold, err := f.take(t.Context(), netip.Addr{})
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan bool, 101)
			var wg sync.WaitGroup
			call := func(addr string, honest bool) {
				wg.Go(func() {
					release, err := f.take(t.Context(), netip.MustParseAddr(addr))
					if err != nil {
						t.Error(err)
						return
					}
					served <- honest
					release()
				})
			}
			for i := range 100 {
				call(c.attacker(i), false)
			}
			waitFor(t, f, 100)
			call(c.honest, true)
			waitFor(t, f, 101)
			hold()
			wg.Wait()
			close(served)
			before := 0
			for honest := range served {
				if honest {
					break
				}
				before++
			}
			if before > c.after {
				t.Errorf("%d of the attacker's 100 calls were served first, want at most %d", before, c.after)
			}
			if f.free != 1 || f.waiting != 0 || f.wide.order.Len() != 0 || len(f.wide.at) != 0 {
				t.Errorf("left behind: %d free, %d waiting, %d networks", f.free, f.waiting, f.wide.order.Len())
			}
		})
	}
}

// A full queue puts out the newest of the largest network, not the newcomer.
func TestAFullQueuePutsOutItsLargestNetwork(t *testing.T) {
	f := newFairSlots(1, 10)
	hold, err := f.take(t.Context(), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	attacker, honest := netip.MustParseAddr("192.0.2.66"), netip.MustParseAddr("192.0.2.1")
	results := make(chan error, 11)
	take := func(from netip.Addr, got chan<- error) {
		release, err := f.take(t.Context(), from)
		got <- err
		if err == nil {
			release()
		}
	}
	for range 10 {
		go take(attacker, results)
	}
	waitFor(t, f, 10)
	honestly := make(chan error, 1)
	go take(honest, honestly)
	if err := <-results; !errs.Is(err, errs.Unavailable) {
		t.Errorf("the newest of the largest network: %v, want it put out", err)
	}
	if _, err := f.take(t.Context(), attacker); !errs.Is(err, errs.Unavailable) {
		t.Errorf("one more of the largest network: %v", err)
	}
	hold()
	if err := <-honestly; err != nil {
		t.Errorf("the honest call: %v", err)
	}
	for range 9 {
		if err := <-results; err != nil {
			t.Errorf("a call that waited: %v", err)
		}
	}
}

func TestALeavingCallerLosesNoSlot(t *testing.T) {
	f := newFairSlots(2, 100)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%2 == 0 {
				go cancel()
			}
			release, err := f.take(ctx, netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 7)}))
			if err == nil {
				release()
			}
		})
	}
	wg.Wait()
	if f.free != 2 || f.waiting != 0 || f.wide.order.Len() != 0 {
		t.Errorf("%d of 2 slots free, %d waiting, %d networks", f.free, f.waiting, f.wide.order.Len())
	}
}

func TestTries(t *testing.T) {
	clock := testkit.NewClock(tokenTime)
	tr := newTries(6, clock.Now)
	addr := netip.MustParseAddr
	allowed := func(from string, want int) {
		t.Helper()
		for n := range want {
			if _, err := tr.take(addr(from)); err != nil {
				t.Fatalf("try %d of %s: %v", n, from, err)
			}
		}
		if _, err := tr.take(addr(from)); !errs.Is(err, errs.TooMany) || errs.As(err).RetryAfter <= 0 {
			t.Fatalf("try %d of %s: %v, want TooMany", want, from, err)
		}
	}
	allowed("192.0.2.66", 6)
	allowed("192.0.2.1", 6)
	clock.Advance(10 * time.Second)
	allowed("192.0.2.66", 1)
	// Four times as many for the whole /48, whatever its /64.
	for i := range 4 {
		allowed(fmt.Sprintf("2001:db8:0:%x::1", i), 6)
	}
	allowed("2001:db8:0:ff::1", 0)
	allowed("2001:db8:1::1", 6)
	// What was no wrong password is taken back.
	clock.Advance(time.Hour)
	for range 100 {
		undo, err := tr.take(addr("192.0.2.1"))
		if err != nil {
			t.Fatal(err)
		}
		undo()
	}
	for i := range maxTriers + 1000 {
		_, _ = tr.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(tr.ahead) > maxTriers {
		t.Errorf("%d networks are counted, want at most %d", len(tr.ahead), maxTriers)
	}
	off := newTries(-1, clock.Now)
	for range 1000 {
		if _, err := off.take(addr("192.0.2.1")); err != nil {
			t.Fatal(err)
		}
	}
}

// A flood from one address is refused before the database and before hashing, and another address
// logs in meanwhile.
func TestAFloodOfTriesCostsNothing(t *testing.T) {
	clock := testkit.NewClock(tokenTime)
	db := dbtest.SQLite(t, Migrations)
	s, err := New(Options{DB: db, Secret: newSecret, Cost: testCost, Now: clock.Now, LoginRate: 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := s.EnsurePerson(ctx, Person{Account: "staff", Role: Staff}, "the right one"); err != nil {
		t.Fatal(err)
	}
	attacker := netip.MustParseAddr("192.0.2.66")
	// All slots are taken, so a try that got as far as hashing would wait.
	var held []func()
	for range s.hasher.slots.free {
		release, err := s.hasher.slots.take(ctx, attacker)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, release)
	}
	for range 20 {
		if _, err := s.tries.take(attacker); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		if _, _, err := s.Login(ctx, fmt.Sprint("unknown", i), "guess", attacker); !errs.Is(err, errs.TooMany) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	rows := 0
	err = db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM login_failures`).Scan(&rows)
	})
	if err != nil || rows != 0 {
		t.Errorf("%d rows are left behind (%v), want none", rows, err)
	}
	for _, release := range held {
		release()
	}
	for range 50 { // right passwords are never counted
		if _, _, err := s.Login(ctx, "staff", "the right one", netip.MustParseAddr("192.0.2.1")); err != nil {
			t.Fatalf("honest login beside the flood: %v", err)
		}
	}
}
