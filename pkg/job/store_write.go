package job

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/database"
)

// insertJob writes a new row as queued and due now. Times come from the database.
func insertJob(ctx context.Context, tx *database.Tx, j Job) error {
	now := tx.NowMicros() // the same instant wherever it stands in one statement
	_, err := tx.Exec(ctx, "INSERT INTO jobs (uuid, kind, owner_id, state, stage, attempt, failures, takeovers, step,"+
		" progress, payload, detail, failure, wait_reason, cancel_requested, lease_owner, run_at, created_at, updated_at)"+
		" VALUES (?, ?, ?, ?, '', ?, 0, 0, ?, ?, ?, ?, '', '', FALSE, '', "+now+", "+now+", "+now+")",
		j.UUID, j.Kind, j.OwnerID, stateColumn(j.State, j.Stage), j.Attempt, j.Step, j.Progress,
		string(j.args), string(j.detail))
	return err
}

// move says how a transition meets the clock; everything else it writes stands in the job it leads
// to.
type move struct {
	delay time.Duration // to queued: how long until it is due
	lease time.Duration // to running: how long it is held from now on
	// only narrows the compare-and-set further; it is SQL of this package without arguments.
	only string
}

// moveJob writes the row of to if it still says what from says: same attempt, same state and stage.
// It reports whether it did, and the row as written.
func moveJob(ctx context.Context, tx *database.Tx, from, to Job, m move) (Job, bool, error) {
	now := tx.NowMicros()
	failure, err := failureText(to.Failure)
	if err != nil {
		return Job{}, false, err
	}
	set := "state = ?, stage = ?, attempt = ?, failures = ?, takeovers = ?, step = ?, progress = ?, detail = ?," +
		" failure = ?, wait_reason = ?, lease_owner = ?, updated_at = " + laterThan(from, now)
	args := []any{
		stateColumn(to.State, to.Stage), string(to.Stage), to.Attempt, to.Failures, to.Takeovers, to.Step, to.Progress,
		string(to.detail), failure, to.Waiting, to.LeaseOwner,
	}
	switch {
	case to.State == StateQueued:
		set += ", lease_until = NULL, started_at = NULL, run_at = " + now + " + ?"
		args = append(args, m.delay.Microseconds())
	case to.State.Ended():
		set += ", lease_until = NULL, finished_at = " + now + ", job_end = ?"
		args = append(args, string(to.end))
	default:
		set += ", lease_until = " + now + " + ?"
		args = append(args, m.lease.Microseconds())
		if from.State == StateQueued {
			set += ", started_at = " + now
		}
	}
	where := "uuid = ? AND attempt = ? AND state = ?"
	args = append(args, from.UUID, from.Attempt, cmp.Or(from.column, stateColumn(from.State, from.Stage)))
	if m.only != "" {
		where += " AND " + m.only
	}
	n, err := tx.Exec(ctx, "UPDATE jobs SET "+set+" WHERE "+where, args...)
	if err != nil || n == 0 {
		return Job{}, false, err
	}
	written, err := getJob(ctx, tx, from.UUID)
	return written, err == nil, err
}

// laterThan is the SQL of now, or of the smallest time after a job's last event where the clock has
// not got there: no two events of a job have one time, and SQLite's clock counts milliseconds.
func laterThan(j Job, now string) string {
	after := strconv.FormatInt(database.Micros(j.UpdatedAt)+1, 10)
	return "CASE WHEN " + now + " < " + after + " THEN " + after + " ELSE " + now + " END"
}

// maxWaiting is the length of the column wait_reason, in bytes.
const maxWaiting = 200

// postponeJob leaves a queued job queued, due after the given time, if it is still in that attempt.
func postponeJob(ctx context.Context, tx *database.Tx, uuid string, attempt int, reason string, after time.Duration) error {
	if len(reason) > maxWaiting {
		reason = strings.ToValidUTF8(reason[:maxWaiting], "") // the cut may go through a character
	}
	now := tx.NowMicros()
	_, err := tx.Exec(ctx, "UPDATE jobs SET wait_reason = ?, run_at = "+now+" + ?, updated_at = "+now+
		" WHERE uuid = ? AND attempt = ? AND state = 'queued'",
		reason, after.Microseconds(), uuid, attempt)
	if err != nil {
		return fmt.Errorf("postpone job %s: %w", uuid, err)
	}
	return nil
}

// renewJob extends the lease of an attempt that its owner holds, and stores how far it has come. It
// reports whether the attempt is still held, and whether its cancellation was requested. The time
// of the row stays that of the event it tells of.
func renewJob(ctx context.Context, tx *database.Tx, j Job, lease time.Duration) (held, cancel bool, err error) {
	n, err := tx.Exec(ctx, "UPDATE jobs SET step = ?, progress = ?, detail = ?, updated_at = ?, lease_until = "+tx.NowMicros()+" + ?"+
		" WHERE uuid = ? AND attempt = ? AND lease_owner = ? AND state IN "+runningStates,
		j.Step, j.Progress, string(j.detail), database.Micros(j.UpdatedAt), lease.Microseconds(), j.UUID, j.Attempt, j.LeaseOwner)
	if err != nil || n == 0 {
		return false, false, err
	}
	err = tx.QueryRow(ctx, "SELECT cancel_requested FROM jobs WHERE uuid = ?", j.UUID).Scan(&cancel)
	return err == nil, cancel, err
}

// requestCancel asks the worker that holds the attempt to end it.
func requestCancel(ctx context.Context, tx *database.Tx, j Job) (bool, error) {
	n, err := tx.Exec(ctx, "UPDATE jobs SET cancel_requested = TRUE WHERE uuid = ? AND attempt = ? AND state IN "+runningStates,
		j.UUID, j.Attempt)
	return n > 0, err
}

func failureText(f *Failure) (string, error) {
	if f == nil {
		return "", nil
	}
	text, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encode failure: %w", err)
	}
	return string(text), nil
}

// oldJob is a job that has ended, as Purge passes it.
type oldJob struct {
	uuid     string
	finished int64
}

// oldJobs returns jobs that ended longer ago than age, after the given one, the oldest first.
func oldJobs(ctx context.Context, tx *database.Tx, after oldJob, age time.Duration, limit int) ([]oldJob, error) {
	rows, err := database.All(ctx, tx, func(row database.Scanner) (o oldJob, err error) {
		return o, row.Scan(&o.uuid, &o.finished)
	}, "SELECT uuid, finished_at FROM jobs WHERE finished_at < "+tx.NowMicros()+" - ?"+
		" AND (finished_at > ? OR (finished_at = ? AND uuid > ?)) ORDER BY finished_at, uuid LIMIT ?",
		age.Microseconds(), after.finished, after.finished, after.uuid, limit)
	if err != nil {
		return nil, fmt.Errorf("find old jobs: %w", err)
	}
	return rows, nil
}

func deleteJob(ctx context.Context, tx *database.Tx, uuid string) error {
	_, err := tx.Exec(ctx, "DELETE FROM jobs WHERE uuid = ?", uuid)
	return err
}
