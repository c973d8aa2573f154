package database_test

import (
	"context"
	"log/slog"
	"testing"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
)

// A process that was stopped within a transaction keeps its table. A change of that table waits,
// and what others do with it goes on meanwhile.
func TestAMigrationWaitsForATableWithoutHoldingUpOthers(t *testing.T) {
	// Two statements: the first stays where the second has to be tried again, on MySQL.
	widen := migrations("20260105000000_widen.sql", "ALTER TABLE one ADD COLUMN x BIGINT;\nALTER TABLE four ADD COLUMN y BIGINT;")
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		waits := make(chan struct{}, 1)
		db := openBare(t, dsn, slog.New(&firstWarning{slog.DiscardHandler, waits}))
		if err := database.Migrate(t.Context(), db, contended); err != nil {
			t.Fatal(err)
		}
		held, release := make(chan struct{}), make(chan struct{})
		holder := start(func() error {
			return db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				if _, err := database.All(ctx, tx, database.Scalar[int64], "SELECT id FROM four"); err != nil {
					return err
				}
				close(held)
				<-release
				return nil
			})
		})
		<-held
		migrator := start(func() error { return database.Migrate(t.Context(), db, contended, widen) })
		if db.Dialect() != database.SQLite { // where readers are in nobody's way
			<-waits
			execute(t, db, "INSERT INTO four (id) VALUES (7)")
			select {
			case err := <-migrator:
				t.Fatalf("the migration ended with %v while its table was held", err)
			default:
			}
		}
		close(release)
		if err := <-holder; err != nil {
			t.Error(err)
		}
		if err := <-migrator; err != nil {
			t.Error(err)
		}
		count(t, db, "SELECT COUNT(x) FROM one")
		count(t, db, "SELECT COUNT(y) FROM four")
	})
}

// start runs fn in a goroutine and hands its error over when it ends.
func start(fn func() error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- fn() }()
	return ended
}

// firstWarning tells when something is logged as a warning.
type firstWarning struct {
	slog.Handler
	seen chan<- struct{}
}

func (h *firstWarning) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (h *firstWarning) Handle(context.Context, slog.Record) error {
	select {
	case h.seen <- struct{}{}:
	default:
	}
	return nil
}
