package auth

import (
	"context"
	"regexp"
	"strings"
	"unicode/utf8"

	"exporthub/pkg/audit"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// Status says whether a person may sign in. Nobody is ever erased.
type Status int

// The statuses. Their numbers are part of the documented API.
const (
	Enabled  Status = 1
	Disabled Status = 0
	Deleted  Status = -1
)

func (s Status) title() string {
	switch s {
	case Enabled:
		return "启用"
	case Disabled:
		return "停用"
	}
	return "删除"
}

// Person is a person to be added, enabled from the start.
type Person struct {
	Account            string // lower-cased; default the phone
	Phone              string // optional, nobody else's
	Name               string // real name
	Nickname           string
	Role               Role
	MustChangePassword bool
}

var (
	accountForm = regexp.MustCompile(`^[\p{Ll}\p{Lo}0-9][\p{Ll}\p{Lo}0-9._@+-]*$`)
	phoneForm   = regexp.MustCompile(`^\+?[0-9][0-9-]{3,30}$`)
	digitsForm  = regexp.MustCompile(`^\+?[0-9-]+$`)
)

const (
	maxAccount = 64  // characters
	maxName    = 128 // characters
)

// clean brings a person into the form that is stored, or says what is wrong with which field.
func (p Person) clean() (Person, error) {
	p.Account = strings.ToLower(strings.TrimSpace(p.Account))
	p.Phone = strings.ToLower(strings.TrimSpace(p.Phone))
	if p.Account == "" {
		p.Account = p.Phone
	}
	// An account that looks like a phone is one, so that the person can be found by either.
	if p.Phone == "" && phoneForm.MatchString(p.Account) {
		p.Phone = p.Account
	}
	switch {
	case p.Account == "":
		return p, errs.Invalidf("account", "不能为空")
	case utf8.RuneCountInString(p.Account) > maxAccount || !accountForm.MatchString(p.Account) && p.Account != p.Phone:
		return p, errs.Invalidf("account", "只能用小写字母、汉字、数字和 . _ @ + -，最多 %d 个字符", maxAccount)
	case p.Phone != "" && !phoneForm.MatchString(p.Phone):
		return p, errs.Invalidf("phone", "不是有效的电话号码")
	case digitsForm.MatchString(p.Account) && p.Account != p.Phone:
		// Else somebody could take another's phone as an account, and that one could not log in by
		// phone any more.
		return p, errs.Invalidf("account", "纯数字的账号必须是本人的电话号码")
	case !p.Role.Valid():
		return p, errs.Invalidf("role", "没有这个角色")
	case utf8.RuneCountInString(p.Name) > maxName:
		return p, errs.Invalidf("name", "最多 %d 个字符", maxName)
	case utf8.RuneCountInString(p.Nickname) > maxName:
		return p, errs.Invalidf("nickname", "最多 %d 个字符", maxName)
	}
	return p, nil
}

// CreateAdmin adds the first administrator of an installation, or another one. An account that
// exists is a Conflict, a weak password Invalid.
func (s *Service) CreateAdmin(ctx context.Context, account, password string) error {
	p, err := Person{Account: account, Name: account, Role: Administrator}.clean()
	if err != nil {
		return err
	}
	if err := CheckPassword("password", password, p.Account, p.Phone); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		if _, found, err := findPerson(ctx, tx, p.Account); err != nil || found {
			return errorOr(err, accountTaken(p.Account))
		}
		_, err := s.add(ctx, tx, p, hash)
		return err
	})
	if database.IsUnique(err) {
		return accountTaken(p.Account)
	}
	return err
}

// EnsurePerson returns the id of the person with p's account, whom it adds where missing; who is
// there stays as they are. The password is held to no rules, since this is for demo people; "" is
// one that no login matches.
func (s *Service) EnsurePerson(ctx context.Context, p Person, password string) (id int64, err error) {
	if p, err = p.clean(); err != nil {
		return 0, err
	}
	if id, err = s.idOf(ctx, p.Account); err != nil || id != 0 {
		return id, err
	}
	// An empty hash is no PHC string, so no password ever matches it.
	hash := ""
	if password != "" {
		if hash, err = s.hasher.hash(ctx, password); err != nil {
			return 0, err
		}
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		id, err = s.add(ctx, tx, p, hash)
		return err
	})
	if database.IsUnique(err) {
		// Another process was faster, or the phone is somebody else's.
		if id, err := s.idOf(ctx, p.Account); err != nil || id != 0 {
			return id, err
		}
		return 0, errs.Newf(errs.Conflict, "电话号码 %s 已被使用", p.Phone)
	}
	return id, err
}

// add adds a person, whose role gives rights.
func (s *Service) add(ctx context.Context, tx *database.Tx, p Person, hash string) (int64, error) {
	id, err := insertPerson(ctx, tx, p, hash, database.Micros(s.now()))
	if err != nil {
		return 0, err
	}
	return id, audit.Record(ctx, tx, audit.Entry{
		At:      s.now(),
		Action:  audit.PersonCreate,
		Subject: audit.Person(id),
		Detail:  "账号 " + p.Account + "，" + p.Role.title(),
	})
}

func (s *Service) idOf(ctx context.Context, account string) (id int64, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		err := tx.QueryRow(ctx, `SELECT id FROM people WHERE account = ?`, account).Scan(&id)
		if database.IsNoRows(err) {
			return nil
		}
		return err
	})
	return id, err
}

// SetStatus enables, disables or deletes a person. Disabling and deleting end all their tokens.
func (s *Service) SetStatus(ctx context.Context, id int64, status Status) error {
	if status < Deleted || status > Enabled {
		return errs.Invalidf("status", "只能是 启用（1）、停用（0）、删除（-1） 之一")
	}
	found := false
	err := s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if found, err = setStatus(ctx, tx, id, status, database.Micros(s.now())); err != nil || !found {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			At:      s.now(),
			Action:  audit.PersonStatus,
			Subject: audit.Person(id),
			Detail:  status.title(),
		})
	})
	if err != nil {
		return err
	}
	s.dropCached(id)
	if !found {
		return errs.New(errs.NotFound, "没有这个人员")
	}
	return nil
}

// SetPassword gives a person a password on an administrator's behalf and ends all their tokens.
// With mustChange they can do nothing before they have chosen one of their own.
func (s *Service) SetPassword(ctx context.Context, id int64, password string, mustChange bool) error {
	var row personRow
	err := s.db.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		row, err = personByID(ctx, tx, id)
		return err
	})
	if database.IsNoRows(err) {
		return errs.New(errs.NotFound, "没有这个人员")
	}
	if err != nil {
		return err
	}
	if err := CheckPassword("password", password, row.account, row.phone); err != nil {
		return err
	}
	return s.storePassword(ctx, id, row.epoch, password, mustChange, audit.Entry{
		Action:  audit.PasswordReset,
		Subject: audit.Person(id),
	})
}

func accountTaken(account string) error {
	return errs.Newf(errs.Conflict, "账号 %s 已存在", account)
}

// errorOr returns err, or the other one when there is none.
func errorOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
