package invitation

import (
	"context"
	"fmt"
	"time"

	"github.com/huandu/go-sqlbuilder"

	"exporthub/pkg/database"
)

// undecided is the SQL condition of an invitation that may be claimed. The job's column counts, and
// not the decision, since a released invitation has its decision cleared together with its job.
const undecided = "approve_status = 'applying' AND decision_job IS NULL"

// claim records a decision and its job on undecided invitations and returns how many rows it took.
// The condition is in the UPDATE itself: of two transactions that claim a row, the second waits for
// the first one's lock and then matches no row.
func claim(ctx context.Context, tx *database.Tx, ids []int64, d decision, decider int64, job string, now time.Time) (int64, error) {
	args := []any{string(d.Status), null(d.Reason), decider, database.Micros(now), job}
	for _, id := range ids {
		args = append(args, id)
	}
	n, err := tx.Exec(ctx, `UPDATE invitations SET decision = ?, approve_description = ?, decided_by = ?, decided_at = ?,
		decision_job = ? WHERE `+undecided+` AND id IN `+database.In(len(ids)), args...)
	if err != nil {
		return 0, fmt.Errorf("claim invitations: %w", err)
	}
	return n, nil
}

// lockUndecided returns the invitations that may be claimed and locks them until the transaction
// ends. All callers lock in the order of ids: two bulk decisions about the same rows then wait for
// one another instead of deadlocking.
func lockUndecided(ctx context.Context, tx *database.Tx, ids []int64) ([]int64, error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	free, err := database.All(ctx, tx, database.Scalar[int64], "SELECT id FROM invitations WHERE "+undecided+
		" AND id IN "+database.In(len(ids))+" ORDER BY id"+tx.ForUpdate(), args...)
	if err != nil {
		return nil, fmt.Errorf("lock invitations: %w", err)
	}
	return free, nil
}

// applyDecision gives the new state to the invitations that a job has claimed and that are still
// applying. It returns how many rows changed; 0 means another attempt did it.
func applyDecision(ctx context.Context, tx *database.Tx, job string, ids []int64, status Status) (int64, error) {
	args := []any{string(status), job}
	for _, id := range ids {
		args = append(args, id)
	}
	n, err := tx.Exec(ctx, `UPDATE invitations SET approve_status = ? WHERE decision_job = ? AND approve_status = 'applying'
		AND id IN `+database.In(len(ids)), args...)
	if err != nil {
		return 0, fmt.Errorf("apply decision: %w", err)
	}
	return n, nil
}

// claimedFor returns the invitations that were claimed for a job, applied or not, newest first.
func claimedFor(ctx context.Context, tx *database.Tx, job string) ([]Invitation, error) {
	q := query{where: func(b *sqlbuilder.SelectBuilder) { b.Where(b.Equal("i.decision_job", job)) }}
	return scan(ctx, tx, q.rows(), nil)
}

// release makes the invitations of a job that are not applied undecided again and returns them.
// It runs in the transaction that ends the job, so no attempt can apply them afterwards.
func release(ctx context.Context, tx *database.Tx, job string) ([]Invitation, error) {
	q := query{where: func(b *sqlbuilder.SelectBuilder) {
		b.Where(b.Equal("i.decision_job", job), b.Equal("i.approve_status", string(Applying)))
	}}
	left, err := scan(ctx, tx, q.rows(), nil)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `UPDATE invitations SET decision = NULL, approve_description = NULL, decided_by = NULL,
		decided_at = NULL, decision_job = NULL WHERE decision_job = ? AND approve_status = 'applying'`, job)
	if err != nil {
		return nil, fmt.Errorf("release invitations: %w", err)
	}
	return left, nil
}

// invitationByID returns an invitation, or NotFound.
func invitationByID(ctx context.Context, tx *database.Tx, id int64) (Invitation, error) {
	q := query{where: func(b *sqlbuilder.SelectBuilder) { b.Where(b.Equal("i.id", id)) }}
	found, err := scan(ctx, tx, q.rows(), nil)
	if err != nil {
		return Invitation{}, err
	}
	if len(found) == 0 {
		return Invitation{}, notFound(nil)
	}
	return found[0], nil
}
