package export

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
)

// The codes of the two refusals of a request with an Idempotency-Key.
const (
	CodeKeyReused     = "idempotency_key_reused"
	CodeKeyInProgress = "idempotency_in_progress"
)

const (
	// keyWork is how long a request may take before another one with its key may go on in its
	// place: longer than a Write with all its tries, so only the end of a process leads to it.
	keyWork = 2 * time.Minute
	// keyRetry is when to ask again for a request that is at work.
	keyRetry = time.Second
	// maxKey is the longest key, in bytes.
	maxKey = 255
)

// admitOnce admits the request that a key stands for, once. The same request again gets the first
// one's ticket, whatever its client missed; another one with the same key is refused.
//
// The key is reserved in a transaction of its own, so that a second request learns at once that
// the first is at work and holds no connection; it is completed in the transaction that stores the
// export, so that there is never an export without its key.
func (a *admission) admitOnce(ctx context.Context, who *auth.Principal, args record.Args, r dataset.Request) (
	ticket dataset.Ticket, repeated bool, err error) {
	if err := checkKey(r.IdempotencyKey); err != nil {
		return ticket, false, err
	}
	k := keyRow{
		userID: who.UserID,
		key:    r.IdempotencyKey,
		// With the name that was asked for, since the same file is meant; not with one that was
		// made up here, which holds the time.
		fingerprint: record.HashOf(args.Fingerprint() + ":" + args.RetryOf + ":" + r.Filename),
		token:       uuid.NewString(),
	}
	first, err := a.reserve(ctx, k)
	if err != nil {
		return ticket, false, err
	}
	if first != "" {
		a.showLeft(ctx)
		ticket = dataset.Ticket{Channel: a.people.ExportChannel(who)}
		ticket, err = a.firstTicket(ctx, ticket, first)
		return ticket, err == nil, err
	}
	ticket, repeated, err = a.admit(ctx, who, args, false, k.complete)
	if err != nil || repeated {
		// A refusal is not kept: the client may ask again with the same key when the reason is
		// gone.
		a.releaseKey(ctx, k)
	}
	return ticket, repeated, err
}

// checkKey refuses keys that could not be compared byte by byte in every database.
func checkKey(key string) error {
	if len(key) > maxKey {
		return errs.Invalidf("Idempotency-Key", "最多 %d 个字符", maxKey)
	}
	for _, c := range []byte(key) {
		if c < 0x21 || c > 0x7e {
			return errs.Invalidf("Idempotency-Key", "只能含有可见的 ASCII 字符，不能有空格")
		}
	}
	return nil
}

// keyRow is a key as it is stored. The token tells the request that reserved it from others with
// the same key.
type keyRow struct {
	userID      int64
	key         string
	fingerprint string
	token       string
	until       time.Time
	uuid        string
	createdAt   time.Time
}

// reserve makes the key this request's, or returns the export that it stands for already.
func (a *admission) reserve(ctx context.Context, k keyRow) (first string, err error) {
	now := a.now()
	err = a.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		first = ""
		err := tx.InsertIgnore(ctx, `INSERT INTO export_requests
			(user_id, request_key, fingerprint, token, working_until, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
			k.userID, k.key, k.fingerprint, k.token, database.Micros(now.Add(keyWork)), database.Micros(now))
		if err != nil {
			return fmt.Errorf("reserve idempotency key: %w", err)
		}
		held, err := k.read(ctx, tx)
		switch {
		case err != nil:
			return err
		case held.token == k.token:
			return nil
		case now.Sub(held.createdAt) >= record.KeyFor:
		case held.fingerprint != k.fingerprint:
			return &errs.Error{
				Kind:    errs.Invalid,
				Code:    CodeKeyReused,
				Message: "这个 Idempotency-Key 已用于另一个请求，请换一个",
			}
		case held.uuid != "":
			first = held.uuid
			return nil
		case now.Before(held.until):
			return &errs.Error{
				Kind:       errs.Conflict,
				Code:       CodeKeyInProgress,
				Message:    "带有这个 Idempotency-Key 的请求正在处理，请稍后再试",
				RetryAfter: keyRetry,
			}
		}
		return k.takeOver(ctx, tx, now)
	})
	return first, err
}

// read returns the row of the key and keeps it from changing until the transaction ends.
func (k keyRow) read(ctx context.Context, tx *database.Tx) (keyRow, error) {
	held, err := database.One(ctx, tx, func(row database.Scanner) (r keyRow, err error) {
		var until, created int64
		err = row.Scan(&r.fingerprint, &r.token, &until, &r.uuid, &created)
		r.until = database.Time(until)
		r.createdAt = database.Time(created)
		return r, err
	}, `SELECT fingerprint, token, working_until, COALESCE(uuid, ''), created_at FROM export_requests
		WHERE user_id = ? AND request_key = ?`+tx.ForUpdate(), k.userID, k.key)
	if err != nil {
		return held, fmt.Errorf("read idempotency key: %w", err)
	}
	return held, nil
}

// takeOver makes a row this request's whose time is over, or whose request never ended.
func (k keyRow) takeOver(ctx context.Context, tx *database.Tx, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE export_requests
		SET fingerprint = ?, token = ?, working_until = ?, uuid = NULL, created_at = ?
		WHERE user_id = ? AND request_key = ?`,
		k.fingerprint, k.token, database.Micros(now.Add(keyWork)), database.Micros(now), k.userID, k.key)
	if err != nil {
		return fmt.Errorf("take over idempotency key: %w", err)
	}
	return nil
}

// complete records which export came of the request. It fails when another request has taken the
// key over, which undoes the export.
func (k keyRow) complete(ctx context.Context, tx *database.Tx, uuid string) error {
	n, err := tx.Exec(ctx, "UPDATE export_requests SET uuid = ? WHERE user_id = ? AND request_key = ? AND token = ?",
		uuid, k.userID, k.key, k.token)
	if err != nil {
		return fmt.Errorf("complete idempotency key: %w", err)
	}
	if n == 0 {
		return &errs.Error{
			Kind:       errs.Conflict,
			Code:       CodeKeyInProgress,
			Message:    "带有这个 Idempotency-Key 的请求正在处理，请稍后再试",
			RetryAfter: keyRetry,
		}
	}
	return nil
}

// releaseKey gives up the key of a request that was refused. Where that fails, the key is free
// again after keyWork.
func (a *admission) releaseKey(ctx context.Context, k keyRow) {
	// The refusal may be that the client has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := a.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM export_requests WHERE user_id = ? AND request_key = ? AND token = ?",
			k.userID, k.key, k.token)
		return err
	})
	if err != nil {
		a.log.Warn("an idempotency key was not released", "error", err)
	}
}
