package trail

import (
	"context"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
)

// Row is an entry of the audit.
type Row struct {
	ID        int64
	At        time.Time
	ActorID   int64  // 0 is nobody known
	ActorName string // what they are called now
	Action    string
	Subject   string
	Address   string // of rows that are counted by network, the network
	Detail    string
	Times     int64 // how often it happened within its minute; 1 for what is not counted
}

// service reads the audit.
type service struct{ admin.Deps }

// page returns up to limit rows before a cursor, newest first, and where the next page begins; the
// zero cursor when there is none.
func (s *service) page(ctx context.Context, f Filter, after cursor, limit int) (rows []Row, next cursor, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		// One more than wanted says whether there is another page.
		rows, err = newQuery(f, nil, s.Location).after(ctx, tx, after, limit+1, nil)
		return err
	})
	if err != nil || len(rows) <= limit {
		return rows, cursor{}, err
	}
	rows = rows[:limit]
	return rows, cursorOf(rows[limit-1]), nil
}
