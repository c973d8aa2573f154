package job

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// Migrations make the tables jobs and leases.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Store reads jobs. Only the engine writes them.
type Store struct{ db *database.DB }

// NewStore returns the store of a database.
func NewStore(db *database.DB) *Store { return &Store{db: db} }

// maxList bounds every list of jobs.
const maxList = 1000

// Get returns a job, or an error of kind NotFound.
func (s *Store) Get(ctx context.Context, uuid string) (Job, error) {
	var j Job
	err := s.db.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		j, err = getJob(ctx, tx, uuid)
		return err
	})
	return j, err
}

// ListQuery narrows a list of a person's jobs.
type ListQuery struct {
	OwnerID int64
	Kind    string // empty is every kind
	// Before, when set, is the last job of the page before this one.
	Before *Job
	Limit  int // 0 is 20; at most 1,000
}

// List returns a person's jobs, newest first.
func (s *Store) List(ctx context.Context, q ListQuery) ([]Job, error) {
	if q.Limit <= 0 {
		q.Limit = 20
	}
	where, args := "owner_id = ?", []any{q.OwnerID}
	if q.Kind != "" {
		where, args = where+" AND kind = ?", append(args, q.Kind)
	}
	if q.Before != nil {
		at := database.Micros(q.Before.CreatedAt)
		where, args = where+" AND (created_at < ? OR (created_at = ? AND uuid < ?))", append(args, at, at, q.Before.UUID)
	}
	var jobs []Job
	err := s.db.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		jobs, err = database.All(ctx, tx, scanJob, "SELECT "+jobColumns(tx)+" FROM jobs WHERE "+where+
			" ORDER BY created_at DESC, uuid DESC LIMIT ?", append(args, min(q.Limit, maxList))...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list jobs of %d: %w", q.OwnerID, err)
	}
	return jobs, nil
}

// Recent returns a person's jobs that are queued or running, and those that ended within the given
// time by the database's clock, oldest first: what a new subscriber has to receive. More than 1,000
// are cut.
func (s *Store) Recent(ctx context.Context, ownerID int64, endedWithin time.Duration) ([]Job, error) {
	var jobs []Job
	err := s.db.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		jobs, err = database.All(ctx, tx, scanJob, "SELECT "+jobColumns(tx)+" FROM jobs WHERE owner_id = ?"+
			" AND (finished_at IS NULL OR finished_at >= "+tx.NowMicros()+" - ?) ORDER BY created_at, uuid LIMIT ?",
			ownerID, endedWithin.Microseconds(), maxList)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("recent jobs of %d: %w", ownerID, err)
	}
	return jobs, nil
}

// Ahead returns how many queued jobs of all kinds are due before this one. Their tasks are taken in
// about that order.
func (s *Store) Ahead(ctx context.Context, j Job) (n int, err error) {
	at := database.Micros(j.RunAt)
	err = s.db.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		n, err = database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM jobs WHERE state = ?"+
			" AND (run_at < ? OR (run_at = ? AND uuid < ?))", string(StateQueued), at, at, j.UUID)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count the jobs ahead of %s: %w", j.UUID, err)
	}
	return n, nil
}

// jobColumns are what scanJob scans. The end is the newest column, and empty in rows that a process
// of the release before has ended. The last one is whether the lease is over.
func jobColumns(tx *database.Tx) string {
	return storedColumns + ", COALESCE(lease_until < " + tx.NowMicros() + ", FALSE)"
}

const storedColumns = "uuid, kind, owner_id, state, stage, attempt, failures, takeovers, step, progress, payload, detail," +
	" COALESCE(job_end, ''), failure, wait_reason, cancel_requested, run_at, lease_owner, lease_until, created_at," +
	" started_at, finished_at, updated_at"

func getJob(ctx context.Context, tx *database.Tx, uuid string) (Job, error) {
	return loadJob(ctx, tx, uuid, "")
}

// ByIDs returns those of the jobs that exist, in no particular order, within the caller's
// transaction.
func ByIDs(ctx context.Context, tx *database.Tx, uuids []string) ([]Job, error) {
	if len(uuids) == 0 {
		return nil, nil // "IN ()" is no SQL
	}
	args := make([]any, len(uuids))
	for i, id := range uuids {
		args[i] = id
	}
	jobs, err := database.All(ctx, tx, scanJob,
		"SELECT "+jobColumns(tx)+" FROM jobs WHERE uuid IN "+database.In(len(uuids)), args...)
	if err != nil {
		return nil, fmt.Errorf("load %d jobs: %w", len(uuids), err)
	}
	return jobs, nil
}

// lockJob keeps the row from changing until the transaction ends. A transaction that locks other
// rows too locks the job first, so that no two wait for each other.
func lockJob(ctx context.Context, tx *database.Tx, uuid string) (Job, error) {
	return loadJob(ctx, tx, uuid, tx.ForUpdate())
}

func loadJob(ctx context.Context, tx *database.Tx, uuid, lock string) (Job, error) {
	j, err := database.One(ctx, tx, scanJob, "SELECT "+jobColumns(tx)+" FROM jobs WHERE uuid = ?"+lock, uuid)
	if database.IsNoRows(err) {
		return Job{}, errs.Wrap(errs.NotFound, "没有这个任务", err)
	}
	if err != nil {
		return Job{}, fmt.Errorf("load job %s: %w", uuid, err)
	}
	return j, nil
}

func scanJob(row database.Scanner) (Job, error) {
	var (
		j                           Job
		state, stage, end           string
		args, detail, failure       string
		runAt, created, updated     int64
		leaseUntil, started, finish database.NullTime
		over                        bool
	)
	err := row.Scan(&j.UUID, &j.Kind, &j.OwnerID, &state, &stage, &j.Attempt, &j.Failures, &j.Takeovers, &j.Step,
		&j.Progress, &args, &detail, &end, &failure, &j.Waiting, &j.CancelRequested, &runAt, &j.LeaseOwner, &leaseUntil,
		&created, &started, &finish, &updated, &over)
	if err != nil {
		return Job{}, err
	}
	j.column = state
	j.State, j.Stage = readState(state, stage)
	j.Lost = over && j.State == StateRunning
	j.args = rawJSON(args)
	j.detail = rawJSON(detail)
	j.end = rawJSON(end)
	if failure != "" {
		if err := json.Unmarshal([]byte(failure), &j.Failure); err != nil {
			return Job{}, fmt.Errorf("failure of job %s: %w", j.UUID, err)
		}
	}
	j.RunAt = database.Time(runAt)
	j.CreatedAt = database.Time(created)
	j.UpdatedAt = database.Time(updated)
	j.LeaseUntil = leaseUntil.Time
	j.StartedAt = started.Time
	j.FinishedAt = finish.Time
	return j, nil
}

// rawJSON is a stored text as JSON; the empty text is none.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}
