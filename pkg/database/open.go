package database

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Options tune a DB. The zero value is right for a server.
type Options struct {
	// connections in the pool; default 20. SQLite: readers, beside one writer
	MaxConns       int
	ConnectTimeout time.Duration // for making one connection; default 5 s
	// for getting a connection from a busy pool, then Unavailable; default 10 s
	AcquireTimeout time.Duration
	WriteTimeout   time.Duration // for one Write with all its tries; default 60 s
	// for one statement, kept by the server; default 5 min. SQLite has none
	StatementTimeout time.Duration
	LockTimeout      time.Duration // for waiting on a row lock, then another try; default 10 s
	// a Write silent for so long is cut by the server (a stopped process frees its locks); default
	// 10 s. Not on MySQL 8 and SQLite
	IdleWrite time.Duration
	// the same for a Read, whose caller may be busy with a file; default 10 min
	IdleRead    time.Duration
	BusyTimeout time.Duration // SQLite: for another process's write lock; default 5 s
	AfterCommit time.Duration // for all functions of Tx.AfterCommit together; default 10 s
	// runs of a Write's function before a conflict is given up; default 12
	Tries int
	// how PostgreSQL's views name our connections; default "exporthub"
	AppName string
	Logger  *slog.Logger // default slog.Default()
}

func (o Options) withDefaults() Options {
	o.MaxConns = cmp.Or(o.MaxConns, 20)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 5*time.Second)
	o.AcquireTimeout = cmp.Or(o.AcquireTimeout, 10*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, time.Minute)
	o.StatementTimeout = cmp.Or(o.StatementTimeout, 5*time.Minute)
	o.LockTimeout = cmp.Or(o.LockTimeout, 10*time.Second)
	o.IdleWrite = cmp.Or(o.IdleWrite, 10*time.Second)
	o.IdleRead = cmp.Or(o.IdleRead, 10*time.Minute)
	o.BusyTimeout = cmp.Or(o.BusyTimeout, 5*time.Second)
	o.AfterCommit = cmp.Or(o.AfterCommit, 10*time.Second)
	o.Tries = cmp.Or(o.Tries, 12)
	o.AppName = cmp.Or(o.AppName, "exporthub")
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// DB is an open database: the only way to it is Read and Write. It is safe for concurrent use.
type DB struct {
	src     source
	opts    Options
	read    *sql.DB
	write   *sql.DB                                   // the same pool as read, except on SQLite
	kill    func(ctx context.Context, id int64) error // MySQL: ends a connection from outside
	family  *family
	retries atomic.Int64
	closed  atomic.Bool
}

// family is what a DB and its siblings share.
type family struct {
	// turn is SQLite's write lock within this process, one token. Waiting here is first come, first
	// served; SQLite's own waiting is a lottery that a small pool can lose for seconds.
	turn chan struct{}
}

// Open connects to the database of a DSN and answers only when it has spoken with it:
//
//	sqlite:./data/app.db                       the directory is made;
//	                                           ?synchronous=off|normal|full, default normal
//	postgres://user:password@host:5432/name    PostgreSQL 14 and newer; parameters as in libpq
//	mysql://user:password@host:3306/name       MySQL 8 or MariaDB 10.6 and newer;
//	                                           ?tls=true|false|skip-verify|preferred
//
// An unreachable server is an error of kind Unavailable.
func Open(ctx context.Context, dsn string, o Options) (*DB, error) {
	src, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	return open(ctx, src, o.withDefaults(), &family{turn: make(chan struct{}, 1)})
}

// Sibling opens a pool of its own, of maxConns connections, on the same database, so that work
// which must not wait (a lease's renewal) can't be starved by work that holds connections for long.
// It is closed separately.
func (db *DB) Sibling(ctx context.Context, maxConns int) (*DB, error) {
	o := db.opts
	o.MaxConns = maxConns
	return open(ctx, db.src, o, db.family)
}

func open(ctx context.Context, src source, o Options, f *family) (*DB, error) {
	db := &DB{src: src, opts: o, family: f}
	var err error
	switch src.dialect {
	case SQLite:
		db.read, db.write, err = openSQLite(ctx, src, o)
	case Postgres:
		db.read, err = openPostgres(src, o)
		db.write = db.read
	default:
		db.read, db.kill, err = openMySQL(src, o)
		db.write = db.read
	}
	if err != nil {
		return nil, fmt.Errorf("open %s database: %w", src.dialect, explain(ctx, err))
	}
	db.read.SetMaxOpenConns(o.MaxConns)
	db.read.SetMaxIdleConns(o.MaxConns)
	if src.dialect != SQLite {
		// Servers and what stands between drop old and silent connections; be first.
		db.read.SetConnMaxIdleTime(5 * time.Minute)
		db.read.SetConnMaxLifetime(30 * time.Minute)
	}
	if err := db.Ping(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s database: %w", src.dialect, err)
	}
	return db, nil
}

// Dialect returns the engine.
func (db *DB) Dialect() Dialect { return db.src.dialect }

// Ping asks the database for a sign of life, within ConnectTimeout. An unreachable one is of kind
// Unavailable.
func (db *DB) Ping(ctx context.Context) error {
	pctx, cancel := context.WithTimeout(ctx, db.opts.ConnectTimeout)
	defer cancel()
	var one int
	err := db.read.QueryRowContext(pctx, "SELECT 1").Scan(&one)
	if err != nil && ctx.Err() == nil && pctx.Err() != nil {
		return unavailable(fmt.Errorf("no answer within %s: %v", db.opts.ConnectTimeout, err))
	}
	return explain(ctx, err)
}

// CheckWrite reports whether the database takes writes now: it writes one row and commits. Ping
// can't see a full disk or a standby. An error is of kind Unavailable; see IsUnwritable.
//
// The row is one that Migrate has made, so every migrated database has it. Where another process is
// just writing it, that proves as much, and nothing is waited for.
func (db *DB) CheckWrite(ctx context.Context) error {
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		query := "SELECT id FROM " + migrationTable + " ORDER BY id LIMIT 1" + tx.SkipLocked()
		id, err := One(ctx, tx, Scalar[int64], query)
		if IsNoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		// Another value each time: MySQL does not write a row that stays the same.
		_, err = tx.Exec(ctx, "UPDATE "+migrationTable+" SET tstamp = CURRENT_TIMESTAMP WHERE id = ?", id)
		return err
	})
}

// Close closes the pools; running transactions fail. Closing twice is fine.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	err := db.read.Close()
	if db.write != db.read {
		// Last: the last connection of a SQLite file moves the log into it.
		err = errors.Join(err, db.write.Close())
	}
	return err
}

// Stats is a look at the pools, for metrics.
type Stats struct {
	Max     int           // connections allowed, SQLite's writer included
	Open    int           // connections there are
	InUse   int           // of those, busy
	Waits   int64         // times a connection was waited for, since Open
	Waited  time.Duration // how long in all
	Retries int64         // times a Write ran again after a conflict
}

// Stats returns the present numbers.
func (db *DB) Stats() Stats {
	pools := []*sql.DB{db.read}
	if db.write != db.read {
		pools = append(pools, db.write)
	}
	s := Stats{Retries: db.retries.Load()}
	for _, pool := range pools {
		p := pool.Stats()
		s.Max += p.MaxOpenConnections
		s.Open += p.OpenConnections
		s.InUse += p.InUse
		s.Waits += p.WaitCount
		s.Waited += p.WaitDuration
	}
	return s
}
