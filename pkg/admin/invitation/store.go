package invitation

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/huandu/go-sqlbuilder"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/page"
)

// columns are the columns of an Invitation, in the order in which scanOne reads them.
const columns = `i.id, i.created_at, i.approve_status, COALESCE(i.approve_description, ''),
	u.id, u.phone, COALESCE(u.company_name, ''), COALESCE(u.department, ''), COALESCE(u.position, ''), COALESCE(u.area, ''),
	r.id, r.phone, COALESCE(r.person_id, 0), e.id, e.name, COALESCE(i.decision, ''), COALESCE(i.decided_by, 0),
	COALESCE(NULLIF(p.name, ''), NULLIF(p.nickname, ''), p.account, ''), i.decided_at`

// query is the WHERE clause of a selection of invitations. The list, its count and the export share
// it, so that a file holds what the list shows. It is a function because each of the three builds
// its own statement around it, with its own arguments.
type query struct {
	where func(b *sqlbuilder.SelectBuilder)
}

// query narrows by filter and by ids; no ids narrow nothing.
func (s *service) query(f Filter, ids []int64) query {
	return query{where: func(b *sqlbuilder.SelectBuilder) {
		if f.ExhibitionID != nil {
			b.Where(b.Equal("i.exhibition_id", *f.ExhibitionID))
		}
		// Phones are unique, so each narrows to one user. As a subquery instead of a join, the
		// index over (user_id, created_at) serves both the filter and the order. A phone is looked
		// for in the form in which it is stored, whichever way it was typed or copied.
		if f.UserPhone != "" {
			b.Where("i.user_id = (SELECT id FROM exhibition_users WHERE phone = " + b.Var(admin.Key(f.UserPhone)) + ")")
		}
		if f.RecommendUserPhone != "" {
			b.Where("i.recommend_user_id = (SELECT id FROM exhibition_users WHERE phone = " + b.Var(admin.Key(f.RecommendUserPhone)) + ")")
		}
		if f.CreatedFrom != nil {
			b.Where(b.GreaterEqualThan("i.created_at", database.Micros(f.CreatedFrom.From(s.Location))))
		}
		if f.CreatedUntil != nil {
			b.Where(b.LessThan("i.created_at", database.Micros(f.CreatedUntil.Until(s.Location))))
		}
		if f.Status != "" {
			b.Where(b.Equal("i.approve_status", string(f.Status)))
		}
		if len(ids) > 0 {
			b.Where(b.In("i.id", sqlbuilder.List(ids)))
		}
	}}
}

// build renders with ? placeholders, which package database rewrites for PostgreSQL.
func build(b *sqlbuilder.SelectBuilder) (string, []any) { return b.BuildWithFlavor(sqlbuilder.MySQL) }

// count counts what matches, stopping at limit when limit is not 0.
func count(ctx context.Context, tx *database.Tx, q query, limit int) (int, error) {
	b := sqlbuilder.NewSelectBuilder()
	b.Select("1").From("invitations i")
	q.where(b)
	if limit > 0 {
		b.Limit(limit)
	}
	text, args := build(b)
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM ("+text+") AS matching", args...)
	if err != nil {
		return 0, fmt.Errorf("count invitations: %w", err)
	}
	return n, nil
}

// rows selects whole invitations, newest first. The people join is LEFT because a decider may
// be missing or deleted.
func (q query) rows() *sqlbuilder.SelectBuilder {
	b := sqlbuilder.NewSelectBuilder()
	b.Select(columns).From("invitations i").
		Join("exhibition_users u", "u.id = i.user_id").
		Join("exhibition_users r", "r.id = i.recommend_user_id").
		Join("exhibitions e", "e.id = i.exhibition_id").
		JoinWithOption(sqlbuilder.LeftJoin, "people p", "p.id = i.decided_by")
	q.where(b)
	return b.OrderBy("i.created_at DESC", "i.id DESC")
}

// listPage returns one page of the list. It finds the page's ids in an index first, so that a page
// far behind joins only its own rows and not all rows before it.
func listPage(ctx context.Context, tx *database.Tx, q query, w page.Window) ([]Invitation, error) {
	if w.Limit == 0 {
		return nil, nil
	}
	ids := sqlbuilder.NewSelectBuilder()
	ids.Select("i.id").From("invitations i")
	q.where(ids)
	ids.OrderBy("i.created_at "+w.Order(), "i.id "+w.Order()).Limit(w.Limit).Offset(w.Offset)
	b := query{where: func(b *sqlbuilder.SelectBuilder) {
		// The second SELECT is for MariaDB, which refuses LIMIT directly inside IN.
		b.Where("i.id IN (SELECT id FROM (" + b.Var(ids) + ") AS paged)")
	}}.rows()
	return scan(ctx, tx, b, make([]Invitation, 0, w.Limit))
}

// after appends the rows that follow last in the list's order, at most limit; nil is the start. The
// bound on created_at alone looks redundant, but without it the planners of MariaDB and SQLite read
// the index from its beginning for every page.
func after(ctx context.Context, tx *database.Tx, q query, last *Invitation, limit int, into []Invitation) ([]Invitation, error) {
	b := q.rows()
	if last != nil {
		at := database.Micros(last.CreatedAt)
		b.Where(b.LessEqualThan("i.created_at", at), b.Or(b.LessThan("i.created_at", at), b.LessThan("i.id", last.ID)))
	}
	b.Limit(limit)
	return scan(ctx, tx, b, into)
}

// scan appends the invitations that b selects.
func scan(ctx context.Context, tx *database.Tx, b *sqlbuilder.SelectBuilder, into []Invitation) ([]Invitation, error) {
	text, args := build(b)
	into, err := database.Append(ctx, tx, into, scanOne, text, args...)
	if err != nil {
		return into, fmt.Errorf("read invitations: %w", err)
	}
	return into, nil
}

// scanOne reads the columns of one row.
func scanOne(row database.Scanner) (v Invitation, err error) {
	var created int64
	var decided database.NullTime
	err = row.Scan(&v.ID, &created, &v.Status, &v.ApproveDescription,
		&v.User.ID, &v.User.Phone, &v.User.CompanyName, &v.User.Department, &v.User.Position, &v.User.Area,
		&v.RecommendUser.ID, &v.RecommendUser.Phone, &v.RecommendUser.PersonID, &v.Exhibition.ID, &v.Exhibition.Name,
		&v.Decision, &v.DecidedBy.ID, &v.DecidedBy.Name, &decided)
	v.CreatedAt, v.DecidedAt = database.Time(created), decided.Time
	return v, err
}

// exhibitionByID returns an exhibition. An unknown id is Invalid and not NotFound, because it comes
// from a field of the request and not from its path.
func exhibitionByID(ctx context.Context, tx *database.Tx, id int64) (Exhibition, error) {
	e := Exhibition{ID: id}
	err := tx.QueryRow(ctx, "SELECT name FROM exhibitions WHERE id = ?", id).Scan(&e.Name)
	if database.IsNoRows(err) {
		return e, errs.Invalidf("exhibition_id", "展会不存在")
	}
	if err != nil {
		return e, fmt.Errorf("read exhibition: %w", err)
	}
	return e, nil
}

// ensureUser returns the user with that phone, adding one when there is none. When two requests add
// the same phone at once, the losing insert is ignored and the SELECT finds the winner's row.
func ensureUser(ctx context.Context, tx *database.Tx, u User, now time.Time) (User, error) {
	err := tx.InsertIgnore(ctx, `INSERT INTO exhibition_users
		(phone, company_name, department, position, area, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		u.Phone, null(u.CompanyName), null(u.Department), null(u.Position), null(u.Area), database.Micros(now))
	if err != nil {
		return u, fmt.Errorf("add exhibition user: %w", err)
	}
	u, err = database.One(ctx, tx, scanUser, `SELECT id, phone, COALESCE(company_name, ''), COALESCE(department, ''),
		COALESCE(position, ''), COALESCE(area, '') FROM exhibition_users WHERE phone = ?`, u.Phone)
	if err != nil {
		return u, fmt.Errorf("read exhibition user: %w", err)
	}
	return u, nil
}

func scanUser(row database.Scanner) (u User, err error) {
	err = row.Scan(&u.ID, &u.Phone, &u.CompanyName, &u.Department, &u.Position, &u.Area)
	return u, err
}

// insertInvitation adds an invitation and returns its id. Its error satisfies database.IsUnique
// when this inviter has invited this user to this exhibition before.
func insertInvitation(ctx context.Context, tx *database.Tx, v Invitation) (int64, error) {
	id, err := tx.Insert(ctx, `INSERT INTO invitations
		(exhibition_id, user_id, recommend_user_id, approve_status, created_at) VALUES (?, ?, ?, ?, ?)`,
		v.Exhibition.ID, v.User.ID, v.RecommendUser.ID, string(v.Status), database.Micros(v.CreatedAt))
	if err != nil {
		return 0, fmt.Errorf("add invitation: %w", err)
	}
	return id, nil
}

// null stores an empty text as NULL. One spelling of "unset" in the table keeps every query simple.
func null(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
