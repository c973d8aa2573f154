package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/database"
)

// pairKey names a person (or the account that was tried) and an address. IPv6 counts by /64, which
// is what one host has at its free use. It is a hash so that its length is bounded whatever was
// typed.
func pairKey(who string, from netip.Addr) string {
	if from.Is6() {
		if p, err := from.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	sum := sha256.Sum256([]byte(from.String() + "\x00" + who))
	return hex.EncodeToString(sum[:])
}

// attempt is one place among the wrong passwords of a pair, taken before the password is verified:
// guesses that race can't get more places than there are. A right password gives all of them back;
// one that is being verified on another replica in this very moment still holds its place.
type attempt struct {
	pair  string
	at    int64         // microseconds
	until time.Duration // how much longer the pair is locked; 0 is a place taken
	last  bool          // it is the last one: when the password is wrong, the pair is locked
}

// take takes a place, or says for how long there is none.
func (s *Service) take(ctx context.Context, tx *database.Tx, pair string, now time.Time) (attempt, error) {
	wrong, locked, err := s.lockPair(ctx, tx, pair, now)
	if err != nil {
		return attempt{}, err
	}
	at := database.Micros(now)
	if locked > at {
		return attempt{pair: pair, until: time.Duration(locked-at) * time.Microsecond}, nil
	}
	var kept []int64
	for _, w := range wrong {
		// A lock that is over has served for the guesses that led to it.
		if locked == 0 && at-w < s.opts.LockWindow.Microseconds() {
			kept = append(kept, w)
		}
	}
	kept, locked = append(kept, at), 0
	if len(kept) >= s.opts.LockAfter {
		locked = at + s.opts.LockFor.Microseconds()
	}
	return attempt{pair: pair, at: at, last: locked > 0}, storeAttempts(ctx, tx, pair, kept, locked)
}

// giveBack returns a place that was taken for a password that was never verified.
func (s *Service) giveBack(ctx context.Context, tx *database.Tx, a attempt) error {
	wrong, _, err := s.lockPair(ctx, tx, a.pair, database.Time(a.at))
	if err != nil {
		return err
	}
	for i, w := range wrong {
		if w == a.at {
			return storeAttempts(ctx, tx, a.pair, append(wrong[:i:i], wrong[i+1:]...), 0)
		}
	}
	return nil
}

// lockPair reads the row of a pair, which it makes where missing, and keeps it locked until the
// transaction ends.
func (s *Service) lockPair(ctx context.Context, tx *database.Tx, pair string, now time.Time) (wrong []int64, locked int64, err error) {
	expires := database.Micros(now.Add(s.opts.LockWindow + s.opts.LockFor))
	// The overwriting insert locks the row on every engine, so that nobody deletes it before the
	// SELECT.
	_, err = tx.Exec(ctx, `INSERT INTO login_failures (pair, wrong_at, locked_until, expires_at) VALUES (?, '', 0, ?)`+
		tx.OnConflictSet("pair", "expires_at"), pair, expires)
	if err != nil {
		return nil, 0, err
	}
	var list string
	err = tx.QueryRow(ctx, `SELECT wrong_at, locked_until FROM login_failures WHERE pair = ?`+tx.ForUpdate(), pair).
		Scan(&list, &locked)
	return parseTimes(list), locked, err
}

func storeAttempts(ctx context.Context, tx *database.Tx, pair string, wrong []int64, locked int64) error {
	_, err := tx.Exec(ctx, `UPDATE login_failures SET wrong_at = ?, locked_until = ? WHERE pair = ?`,
		formatTimes(wrong), locked, pair)
	return err
}

// clearAttempts deletes the wrong passwords of a pair.
func clearAttempts(ctx context.Context, tx *database.Tx, pair string) error {
	_, err := tx.Exec(ctx, `DELETE FROM login_failures WHERE pair = ?`, pair)
	return err
}

func formatTimes(micros []int64) string {
	texts := make([]string, len(micros))
	for i, m := range micros {
		texts[i] = strconv.FormatInt(m, 36) // 11 characters with the comma
	}
	return strings.Join(texts, ",")
}

func parseTimes(list string) []int64 {
	var micros []int64
	for _, text := range strings.Split(list, ",") {
		if m, err := strconv.ParseInt(text, 36, 64); err == nil {
			micros = append(micros, m)
		}
	}
	return micros
}
