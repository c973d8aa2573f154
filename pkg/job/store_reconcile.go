package job

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
)

// expired narrows to held jobs whose lease is over by the database's clock.
func expired(tx *database.Tx) string {
	return "lease_until < " + tx.NowMicros() + " AND state IN " + runningStates
}

// expiredJobs returns jobs whose workers have been silent for a lease, the longest silent first.
func expiredJobs(ctx context.Context, tx *database.Tx, limit int) ([]Job, error) {
	jobs, err := database.All(ctx, tx, scanJob, "SELECT "+jobColumns(tx)+" FROM jobs WHERE "+expired(tx)+
		" ORDER BY lease_until LIMIT ?", limit)
	if err != nil {
		return nil, fmt.Errorf("find expired leases: %w", err)
	}
	return jobs, nil
}

// waiting is a queued job as the reconciler sees it.
type waiting struct {
	uuid    string
	attempt int
	runAt   int64
}

// waitingJobs returns queued jobs that are due and have not been touched for age, after the given
// one, in the order in which they are due.
func waitingJobs(ctx context.Context, tx *database.Tx, after waiting, age time.Duration, limit int) ([]waiting, error) {
	now := tx.NowMicros()
	rows, err := database.All(ctx, tx, func(row database.Scanner) (w waiting, err error) {
		return w, row.Scan(&w.uuid, &w.attempt, &w.runAt)
	}, "SELECT uuid, attempt, run_at FROM jobs WHERE state = 'queued' AND run_at <= "+now+" AND updated_at <= "+now+" - ?"+
		" AND (run_at > ? OR (run_at = ? AND uuid > ?)) ORDER BY run_at, uuid LIMIT ?",
		age.Microseconds(), after.runAt, after.runAt, after.uuid, limit)
	if err != nil {
		return nil, fmt.Errorf("find waiting jobs: %w", err)
	}
	return rows, nil
}

// leadName is the reconciler's row in leases.
const leadName = "reconciler"

// takeLead takes or keeps a lead for owner and reports whether owner has it.
func takeLead(ctx context.Context, tx *database.Tx, name, owner string, lease time.Duration) (bool, error) {
	now := tx.NowMicros()
	n, err := tx.Exec(ctx, "UPDATE leases SET owner = ?, until = "+now+" + ? WHERE name = ? AND (owner = ? OR until < "+now+")",
		owner, lease.Microseconds(), name, owner)
	if err != nil {
		return false, fmt.Errorf("take the lead of %s: %w", name, err)
	}
	return n > 0, nil
}

// dropLead gives a lead up: no process has it for rest, then the first that comes.
func dropLead(ctx context.Context, tx *database.Tx, name, owner string, rest time.Duration) error {
	_, err := tx.Exec(ctx, "UPDATE leases SET owner = '', until = "+tx.NowMicros()+" + ? - 1 WHERE name = ? AND owner = ?",
		rest.Microseconds(), name, owner)
	return err
}

// makeLead makes a lead's row where it is missing.
func makeLead(ctx context.Context, tx *database.Tx, name string) error {
	return tx.InsertIgnore(ctx, "INSERT INTO leases (name, owner, until) VALUES (?, '', 0)", name)
}
