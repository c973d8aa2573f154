// Package database is the one way to the database: SQLite, PostgreSQL, and MySQL or MariaDB behind
// one API, one SQL dialect as far as they share it, and one set of promises. A suite runs over all
// three to hold them.
//
// # Use
//
//	db, err := database.Open(ctx, "sqlite:./data/app.db", database.Options{})
//	err = database.Migrate(ctx, db, people.Migrations, job.Migrations)
//
//	err = db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
//		n, err := tx.Exec(ctx,
//			"UPDATE slots SET active = active + 1 WHERE user_id = ? AND active < ?", user, limit)
//		if err != nil || n == 0 {
//			return cmp.Or(err, errFull)
//		}
//		id, err := tx.Insert(ctx,
//			"INSERT INTO jobs (uuid, created_at) VALUES (?, "+tx.NowMicros()+")", uuid)
//		tx.AfterCommit(func(ctx context.Context) { queue.Enqueue(ctx, id) })
//		return err
//	})
//
// Read sees one snapshot from its beginning to its end, on every engine, and neither blocks a
// writer nor waits for one; a long export is one Read. Write is READ COMMITTED and runs its
// function again after a deadlock. Count with conditional updates of rows that exist, as above,
// never with a SELECT before the UPDATE.
//
// # Writing SQL for three engines
//
// Placeholders are ?. "name" is an identifier, 'text' a literal in which a backslash is a
// backslash, || joins text, TRUE and FALSE are written so. Two texts are equal when their bytes
// are, in tables made with the migrations' {{table}}; how PostgreSQL sorts them is its database's
// choice. LIKE distinguishes case; LOWER on both sides ignores it for ASCII. Times are BIGINT
// microseconds (Micros, Time, NullTime), money is BIGINT cents. VARCHAR lengths are not kept by
// SQLite: check them before. What the engines say differently is on Tx: NowMicros, Insert,
// InsertIgnore, OnConflictSet, ForUpdate, SkipLocked.
//
// # Errors
//
// IsNoRows, IsUnique and IsForeignKey know their conditions on every engine. A database that can't
// be reached, is too busy, or was lost during COMMIT is an *errs.Error of kind Unavailable; its
// code tells which. Where the caller's context ended, errors.Is finds its error.
//
// # Concurrency
//
// A DB is safe for concurrent use; a Tx belongs to the function it was given to and to one
// goroutine at a time. Opening a transaction inside another is refused with ErrNested where it
// would deadlock.
package database
