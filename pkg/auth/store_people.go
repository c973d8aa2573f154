package auth

import (
	"context"
	"database/sql"

	"exporthub/pkg/database"
)

// personRow is a row of people.
type personRow struct {
	id         int64
	account    string
	phone      string
	name       string
	nickname   string
	role       Role
	status     Status
	hash       string
	mustChange bool
	epoch      int64
}

const personColumns = `people.id, people.account, people.phone, people.name, people.nickname, people.role, people.status,
	people.password_hash, people.must_change_password, people.token_epoch`

// displayName is what a person is called on the page.
func (p personRow) displayName() string { return firstOf(p.name, p.nickname, p.account) }

// callName is what a person calls themselves.
func (p personRow) callName() string { return firstOf(p.nickname, p.name, p.account) }

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func scanPerson(row database.Scanner) (p personRow, err error) {
	return p, scanPersonAnd(row, &p)
}

// scanPersonAnd reads personColumns and what stands after them.
func scanPersonAnd(row database.Scanner, p *personRow, more ...any) error {
	var phone sql.NullString
	dest := []any{
		&p.id, &p.account, &phone, &p.name, &p.nickname, &p.role, &p.status, &p.hash, &p.mustChange, &p.epoch,
	}
	err := row.Scan(append(dest, more...)...)
	p.phone = phone.String
	return err
}

// loadStanding reads what is known of a person and a session.
func (s *Service) loadStanding(ctx context.Context, key standingKey) (st standing, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		st = standing{}
		var revoked int64
		row := tx.QueryRow(ctx, `SELECT `+personColumns+`,
			(SELECT COUNT(*) FROM revoked_tokens WHERE revoked_tokens.session = ?)
			FROM people WHERE people.id = ?`, key.session, key.userID)
		err := scanPersonAnd(row, &st.person, &revoked)
		if database.IsNoRows(err) {
			return nil
		}
		st.known, st.revoked = err == nil, revoked > 0
		return err
	})
	return st, err
}

// findPerson returns the person who goes by a name: an account, or else a phone.
func findPerson(ctx context.Context, tx *database.Tx, name string) (p personRow, found bool, err error) {
	p, err = database.One(ctx, tx, scanPerson, `SELECT `+personColumns+` FROM people
		WHERE people.account = ? OR people.phone = ? ORDER BY CASE WHEN people.account = ? THEN 0 ELSE 1 END LIMIT 1`,
		name, name, name)
	if database.IsNoRows(err) {
		return personRow{}, false, nil
	}
	return p, err == nil, err
}

func personByID(ctx context.Context, tx *database.Tx, id int64) (personRow, error) {
	return database.One(ctx, tx, scanPerson, `SELECT `+personColumns+` FROM people WHERE people.id = ?`, id)
}

// insertPerson adds a person, or violates a unique index.
func insertPerson(ctx context.Context, tx *database.Tx, p Person, hash string, now int64) (int64, error) {
	return tx.Insert(ctx, `INSERT INTO people
		(account, phone, name, nickname, role, status, password_hash, must_change_password, token_epoch, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)`,
		p.Account, sql.NullString{String: p.Phone, Valid: p.Phone != ""}, p.Name, p.Nickname, int(p.Role), int(Enabled), hash,
		p.MustChangePassword, now, now)
}

// noteLogin records a login, and a hash of the same password that may be a better one. It reports
// false when the person may not log in any more.
func noteLogin(ctx context.Context, tx *database.Tx, p personRow, hash string, now int64) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE people SET last_login_at = ?, password_hash = ?
		WHERE id = ? AND status = ? AND token_epoch = ?`, now, hash, p.id, int(Enabled), p.epoch)
	return n == 1, err
}

// replacePassword sets a password and ends all tokens, unless something else ended them since epoch
// was read.
func replacePassword(ctx context.Context, tx *database.Tx, id, epoch int64, hash string, mustChange bool, now int64) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE people SET password_hash = ?, must_change_password = ?, token_epoch = token_epoch + 1,
		updated_at = ? WHERE id = ? AND token_epoch = ?`, hash, mustChange, now, id, epoch)
	return n == 1, err
}

// setStatus sets a status; leaving Enabled ends all tokens. It reports false when there is no such
// person.
func setStatus(ctx context.Context, tx *database.Tx, id int64, status Status, now int64) (bool, error) {
	bump := 1
	if status == Enabled {
		bump = 0
	}
	n, err := tx.Exec(ctx, `UPDATE people SET status = ?, token_epoch = token_epoch + ?, updated_at = ? WHERE id = ?`,
		int(status), bump, now, id)
	return n == 1, err
}

// EndTokens ends all tokens and capabilities of a person once the caller's transaction is
// committed, for changes of a person that are made elsewhere. Every replica knows within
// Options.CacheTTL.
func EndTokens(ctx context.Context, tx *database.Tx, userID int64) error {
	_, err := tx.Exec(ctx, `UPDATE people SET token_epoch = token_epoch + 1 WHERE id = ?`, userID)
	return err
}

// revokeSession ends the tokens of a session. None of them is good beyond expires.
func revokeSession(ctx context.Context, tx *database.Tx, session string, userID, expires int64) error {
	return tx.InsertIgnore(ctx, `INSERT INTO revoked_tokens (session, user_id, expires_at) VALUES (?, ?, ?)`,
		session, userID, expires)
}

// sweepExpired deletes what has ended by itself.
func sweepExpired(ctx context.Context, tx *database.Tx, now int64) error {
	if _, err := tx.Exec(ctx, `DELETE FROM revoked_tokens WHERE expires_at < ?`, now); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM login_failures WHERE expires_at < ?`, now)
	return err
}
