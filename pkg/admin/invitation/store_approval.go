package invitation

import (
	"context"
	"fmt"
	"time"

	"github.com/huandu/go-sqlbuilder"

	"exporthub/pkg/database"
)

// undecided is an invitation that may be claimed.
const undecided = "approve_status = 'applying' AND decision_job IS NULL"

// claim takes undecided invitations for a decision and its job, and returns how many.
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

// lockUndecided returns which of the invitations may be claimed, and keeps others from claiming
// them. They are locked in one order, so that two who decide about the same ones do not wait for
// each other.
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

// applyDecision gives the invitations that a job has claimed, and that are still applying, their
// new state.
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

// claimedFor returns what was claimed for a job, applied or not, in the list's order.
func claimedFor(ctx context.Context, tx *database.Tx, job string) ([]Invitation, error) {
	q := query{where: func(b *sqlbuilder.SelectBuilder) { b.Where(b.Equal("i.decision_job", job)) }}
	return scan(ctx, tx, q.rows(), nil)
}

// release gives back what a job has claimed and not applied, and returns it.
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
