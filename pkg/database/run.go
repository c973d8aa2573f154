package database

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"

	"exporthub/pkg/backoff"
)

// scope marks the contexts that Read and Write give to their functions.
type scope struct {
	db    *DB
	write bool
	outer *scope
}

type scopeKey struct{}

// enter refuses a transaction that would wait for the one it runs in, or not see what that one
// wrote. Inside a Write that is any of the same family; inside a Read (an export that stores its
// progress) a Sibling may be used, since its pool is another.
func (db *DB) enter(ctx context.Context, write bool) (context.Context, error) {
	outer, _ := ctx.Value(scopeKey{}).(*scope)
	for s := outer; s != nil; s = s.outer {
		if s.db == db || s.write && s.db.family == db.family {
			return nil, ErrNested
		}
	}
	return context.WithValue(ctx, scopeKey{}, &scope{db, write, outer}), nil
}

// Read runs fn once in a read-only transaction that sees one state of the database: what was
// committed when Read began, however late fn asks. It blocks no writer and is blocked by none. fn
// must use the context it is given.
func (db *DB) Read(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	inner, err := db.enter(ctx, false)
	if err != nil {
		return err
	}
	tx, err := db.run(ctx, inner, false, fn)
	if err != nil {
		return explainRead(ctx, err)
	}
	db.runAfter(ctx, tx.after)
	return nil
}

// Write runs fn in a READ COMMITTED transaction and commits it when fn returns nil. It runs fn
// again, in a new transaction and after a pause, when the database broke it off for another's sake
// (deadlock, serialization, lock timeout) or the connection broke before COMMIT was sent: fn must
// not change anything but the database and variables it sets afresh. fn must use the context it is
// given.
//
// On SQLite writes come one after another. When the connection breaks during COMMIT, the outcome is
// unknown and the error's code is CodeCommitUnknown; everything else that is returned as an error
// was rolled back.
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	inner, err := db.enter(ctx, true)
	if err != nil {
		return err
	}
	inner, cancel := context.WithTimeout(inner, db.opts.WriteTimeout)
	defer cancel()
	for try := 1; ; try++ {
		tx, err := db.run(ctx, inner, true, fn)
		switch {
		case err == nil:
			db.runAfter(ctx, tx.after)
			return nil
		case inner.Err() != nil && ctx.Err() == nil && wasInterrupted(err):
			return busy(fmt.Errorf("write not done within %s: %v", db.opts.WriteTimeout, err))
		case inner.Err() != nil || try >= db.opts.Tries || !db.again(tx, err, try):
			return explain(ctx, err)
		}
		db.retries.Add(1)
		db.opts.Logger.DebugContext(ctx, "write tried again", "try", try, "error", err)
		if !pause(inner, try) {
			return explain(ctx, err)
		}
	}
}

// again reports whether another try is worth it. A lost connection is, twice, when there was one:
// after a restart of the server the pool may be full of dead ones. A refused one is not: the caller
// should know soon.
func (db *DB) again(tx *Tx, err error, try int) bool {
	if isCommitUnknown(err) {
		return false
	}
	if tx != nil && tx.failed != nil {
		err = tx.failed // fn may have returned an error of its own
	}
	return isConflict(err) || tx != nil && try <= 2 && isUnreachable(err)
}

// run is one try: a connection, a transaction, fn, the end. The Tx is nil when no transaction
// began. outer is the caller's context and inner the one for fn.
func (db *DB) run(outer, inner context.Context, write bool, fn func(context.Context, *Tx) error) (tx *Tx, err error) {
	if write && db.src.dialect == SQLite {
		select {
		case db.family.turn <- struct{}{}:
			defer func() { <-db.family.turn }()
		case <-inner.Done():
			return nil, inner.Err()
		}
	}
	// The transaction's own context ends with the caller's until fn is done and not during COMMIT,
	// whose outcome an interruption would make unknown.
	life, end := context.WithCancel(context.WithoutCancel(outer))
	defer end()
	attached := context.AfterFunc(inner, end)
	conn, sqlTx, err := db.begin(inner, life, write)
	if err != nil {
		attached()
		if inner.Err() != nil {
			err = fmt.Errorf("%w: %v", inner.Err(), err)
		}
		return nil, err
	}
	defer conn.Close()
	defer func() {
		if write && tx != nil && meaningOf(cmp.Or(tx.failed, err)) == readOnly {
			dropConn(conn)
		}
	}()
	if db.kill != nil {
		defer db.killAbandoned(inner, conn)()
	}
	defer sqlTx.Rollback() // does nothing after a commit; also for panics
	tx = &Tx{db: db, tx: sqlTx, write: write}
	err = fn(inner, tx)
	if err == nil {
		err = tx.failed
	}
	interrupted := !attached()
	switch {
	case err != nil:
		if interrupted && errors.Is(err, sql.ErrTxDone) {
			err = fmt.Errorf("%w: %v", inner.Err(), err)
		}
		return tx, err
	case interrupted:
		return tx, inner.Err()
	case !write:
		return tx, nil
	}
	guard := time.AfterFunc(db.opts.WriteTimeout, end)
	defer guard.Stop()
	return tx, commit(sqlTx)
}

// killAbandoned returns what is to be done at the end of a transaction on MySQL: when the caller's
// context ended while a statement ran, the server is asked to stop it and to free its locks.
func (db *DB) killAbandoned(ctx context.Context, conn *sql.Conn) func() {
	id, err := mysqlID(conn)
	return func() {
		if err != nil || ctx.Err() == nil || !isBroken(conn) {
			return
		}
		kctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := db.kill(kctx, id); err != nil {
			// The server's own limit, StatementTimeout, remains.
			db.opts.Logger.WarnContext(ctx, "cancelled statement may still run in the database", "connection", id, "error", err)
		}
	}
}

// dropConn takes a connection out of its pool. One to a server that has become a standby stays good
// for reading, so the pool would keep it, and every write would go to a server that refuses it. A
// new connection finds the new primary, where the name or the list of hosts leads to it.
func dropConn(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// commit distinguishes a refusal by the server, after which nothing is stored, from silence, after
// which the outcome is unknown.
func commit(tx *sql.Tx) error {
	err := tx.Commit()
	switch {
	case err != nil && meaningOf(err) == unknown:
		return commitUnknown(err)
	case err == nil, postgresCode(err) != "", mysqlCode(err) != 0, sqliteCode(err) != 0,
		errors.Is(err, sql.ErrTxDone), errors.Is(err, pgx.ErrTxCommitRollback),
		errors.Is(err, driver.ErrBadConn): // the last: COMMIT was not sent
		return err
	}
	// Here pgconn.SafeToRetry can't be asked: for a COMMIT whose answer was cut off it says yes.
	return commitUnknown(err)
}

// begin gets a connection and starts the transaction. Connections that died in the pool are passed
// over.
func (db *DB) begin(ctx, life context.Context, write bool) (*sql.Conn, *sql.Tx, error) {
	for try := 1; ; try++ {
		conn, err := db.acquire(ctx, write)
		if err != nil {
			return nil, nil, err
		}
		tx, err := db.start(life, conn, write)
		if err == nil {
			return conn, tx, nil
		}
		conn.Close()
		if try == 3 || ctx.Err() != nil || !isUnreachable(err) {
			return nil, nil, err
		}
	}
}

// acquire gets a connection from the pool, within AcquireTimeout.
func (db *DB) acquire(ctx context.Context, write bool) (*sql.Conn, error) {
	if db.closed.Load() {
		return nil, unavailable(errors.New("database is closed"))
	}
	pool := db.read
	if write {
		pool = db.write
	}
	actx, cancel := context.WithTimeout(ctx, db.opts.AcquireTimeout)
	defer cancel()
	conn, err := pool.Conn(actx)
	switch {
	case err == nil:
		return conn, nil
	case db.closed.Load():
		return nil, unavailable(err)
	case ctx.Err() == nil && actx.Err() != nil:
		return nil, busy(fmt.Errorf("no free connection within %s (%d in the pool): %v", db.opts.AcquireTimeout, db.opts.MaxConns, err))
	}
	return nil, err
}

// start begins the transaction on a connection; a Read's snapshot is fixed when it returns.
func (db *DB) start(life context.Context, conn *sql.Conn, write bool) (*sql.Tx, error) {
	var options *sql.TxOptions
	var pin string
	switch {
	case write && db.src.dialect == SQLite: // one writer: any level is serializable
	case write:
		options = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	case db.src.dialect == SQLite:
		// BEGIN alone fixes nothing; the first page read does.
		options, pin = &sql.TxOptions{ReadOnly: true}, "SELECT 1 FROM sqlite_schema LIMIT 1"
	case db.src.dialect == Postgres:
		// The first SELECT fixes the snapshot; this one also allows for a caller who is busy with a
		// file.
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
		pin = "SELECT set_config('idle_in_transaction_session_timeout', '" + millis(db.opts.IdleRead) + "', true)"
	default:
		// The driver has no words for a snapshot fixed at the start: this ends its empty
		// transaction and begins ours.
		options, pin = &sql.TxOptions{ReadOnly: true}, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
	}
	tx, err := conn.BeginTx(life, options)
	if err != nil || pin == "" {
		return tx, err
	}
	if _, err := tx.ExecContext(life, pin); err != nil {
		if errors.Is(err, driver.ErrBadConn) {
			return nil, err
		}
		return nil, errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx, nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// runAfter runs the functions of AfterCommit.
func (db *DB) runAfter(ctx context.Context, after []func(context.Context)) {
	if len(after) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.opts.AfterCommit)
	defer cancel()
	for _, fn := range after {
		db.runOne(ctx, fn)
	}
}

func (db *DB) runOne(ctx context.Context, fn func(context.Context)) {
	defer func() {
		if p := recover(); p != nil {
			db.opts.Logger.ErrorContext(ctx, "panic after commit", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	fn(ctx)
}

// pause waits before another try: a random part of a time that doubles up to a quarter of a second,
// so that those who collided do not meet again. It reports false when ctx ended first.
func pause(ctx context.Context, try int) bool {
	return backoff.Sleep(ctx, backoff.Below(backoff.Doubling(4*time.Millisecond, 250*time.Millisecond, try+1)))
}
