package auth

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"exporthub/pkg/audit"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// maxNameSize is the longest account or phone that is looked for, in bytes.
const maxNameSize = 128

// Login makes a token for an account (or phone) and its password. Whatever is wrong with them, and
// when the person may not log in, the answer is the same Invalid error "account or password wrong";
// a pair of person and address that is locked gets Quota with RetryAfter.
func (s *Service) Login(ctx context.Context, name, password string, from netip.Addr) (Token, *Principal, error) {
	row, err := s.checkPassword(ctx, name, password, from)
	if err != nil {
		return Token{}, nil, err
	}
	if err := s.recordLogin(ctx, row, password, from); err != nil {
		return Token{}, nil, err
	}
	token, err := s.tokens.issue(row.id, row.epoch, "")
	if err != nil {
		return Token{}, nil, err
	}
	p, err := s.principal(ctx, row)
	if err != nil {
		return Token{}, nil, err
	}
	p.TokenID, p.Expires = token.ID, token.Expires
	return token, p, nil
}

// Renew makes a new token for the session of an identified caller. The old one stays good to its
// own end.
func (s *Service) Renew(p *Principal) (Token, error) {
	return s.tokens.issue(p.UserID, p.Epoch, sessionOf(p.TokenID))
}

// Logout ends the session of an identified caller: the token and all it was renewed from or to.
func (s *Service) Logout(ctx context.Context, p *Principal) error {
	now := s.now()
	// beyond any token of the session, whatever clocks differ by
	expires := database.Micros(now.Add(TokenTTL + time.Hour))
	err := s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return revokeSession(ctx, tx, sessionOf(p.TokenID), p.UserID, expires)
	})
	if err != nil {
		return unanswered(err)
	}
	s.dropCached(p.UserID)
	s.sweep(ctx, now)
	return nil
}

// sweep deletes what has expired, at most once a minute. What it can't delete now it will the next
// time.
func (s *Service) sweep(ctx context.Context, now time.Time) {
	last := s.lastSweep.Load()
	if database.Micros(now)-last < time.Minute.Microseconds() || !s.lastSweep.CompareAndSwap(last, database.Micros(now)) {
		return
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return sweepExpired(ctx, tx, database.Micros(now))
	})
	if err != nil && ctx.Err() == nil {
		s.opts.Logger.WarnContext(ctx, "expired revocations and login failures not deleted", "error", err)
	}
}

// ChangePassword replaces a password by one of the person's own choice, for which the old one is
// the credential: it is verified and counted like a login. All tokens of the person end. It returns
// the person as they are afterwards.
func (s *Service) ChangePassword(ctx context.Context, name, old, new string, from netip.Addr) (*Principal, error) {
	name = cleanName(name)
	if err := CheckPassword("new_password", new, name); err != nil {
		return nil, err
	}
	if old == new {
		return nil, errs.Invalidf("new_password", "新密码不能与旧密码相同")
	}
	row, err := s.checkPassword(ctx, name, old, from)
	if err != nil {
		return nil, err
	}
	// Again, now with all names of the person: before the old password is proved, an answer that
	// compares with them would tell a stranger the account of a phone.
	if err := CheckPassword("new_password", new, row.account, row.phone); err != nil {
		return nil, err
	}
	changed := audit.Entry{
		ActorID: row.id,
		Action:  audit.PasswordChange,
		Subject: audit.Person(row.id),
		Address: addressText(from),
	}
	if err := s.storePassword(ctx, row.id, row.epoch, new, false, changed); err != nil {
		return nil, err
	}
	return s.Person(ctx, row.id)
}

// checkPassword returns the person whose name and password these are.
func (s *Service) checkPassword(ctx context.Context, name, password string, from netip.Addr) (personRow, error) {
	name = cleanName(name)
	// Before anything that costs: a refused try leaves nothing but the counter it met.
	undo, err := s.tries.take(from)
	if err != nil {
		s.refused(ctx, from)
		return personRow{}, err
	}
	row, err := s.checkCounted(ctx, name, password, from)
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.Quota) {
		s.refused(ctx, from)
		return row, err
	}
	undo() // only wrong passwords count, or a busy office would use up its own address
	return row, err
}

// refused counts a refused try by its address alone. The name that was typed stays out of the
// audit: it may be a stranger's guess of somebody's phone, or a password in the wrong field.
func (s *Service) refused(ctx context.Context, from netip.Addr) {
	s.audit.Count(ctx, audit.Entry{Action: audit.LoginRefused, Address: addressText(from)})
}

// addressText is an address in the audit; one that is not known is empty.
func addressText(from netip.Addr) string {
	if !from.IsValid() {
		return ""
	}
	return from.String()
}

// checkCounted is checkPassword after the address was counted.
func (s *Service) checkCounted(ctx context.Context, name, password string, from netip.Addr) (personRow, error) {
	// By the name that was typed. Counting by person would give account and phone one counter, and
	// a stranger who locks one and meets the lock at the other learns whose they are. The price is
	// that a person who goes by two names has twice the guesses.
	pair := pairKey("name:"+name, from)
	// One at a time for each pair, or simultaneous right passwords (a page that logs in twice)
	// would each hold a place and could lock the person out.
	release, err := s.turns.take(ctx, pair)
	if err != nil {
		return personRow{}, err
	}
	defer release()
	a, row, err := s.begin(ctx, pair, name)
	if err != nil {
		return personRow{}, err
	}
	if a.until > 0 {
		return personRow{}, locked(a.until)
	}
	// The place is taken before the password is verified: guesses that race through several
	// replicas can't be more than the limit allows.
	right, err := s.verify(ctx, from, row, password)
	if err != nil {
		return personRow{}, s.abandon(ctx, a, err)
	}
	if !right {
		if a.last {
			s.lockedOut(ctx, row, from)
		}
		return personRow{}, wrongPassword()
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error { return clearAttempts(ctx, tx, pair) })
	if err != nil {
		return personRow{}, unanswered(err)
	}
	return row, nil
}

// lockedOut records that a name is locked for an address from now on. Whose name it is, is said
// where there is such a person.
func (s *Service) lockedOut(ctx context.Context, row personRow, from netip.Addr) {
	e := audit.Entry{Action: audit.LoginLocked, Address: addressText(from)}
	if row.id != 0 {
		e.Subject = audit.Person(row.id)
	}
	s.audit.Count(ctx, e)
}

// begin takes an attempt and reads the person, in one transaction: nothing of a locked name is
// read.
func (s *Service) begin(ctx context.Context, pair, name string) (a attempt, row personRow, err error) {
	now := s.now()
	err = s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if a, err = s.take(ctx, tx, pair, now); err != nil || a.until > 0 {
			return err
		}
		if row = (personRow{}); name == "" || len(name) > maxNameSize {
			return nil
		}
		row, _, err = findPerson(ctx, tx, name)
		return err
	})
	if err != nil {
		return attempt{}, personRow{}, unanswered(err)
	}
	s.sweep(ctx, now)
	return a, row, nil
}

// verify takes the same time for every person and for unknown accounts, so that timing does not say
// which accounts exist.
func (s *Service) verify(ctx context.Context, from netip.Addr, row personRow, password string) (bool, error) {
	right, err := s.hasher.verify(ctx, from, row.hash, password)
	if err != nil {
		return false, err
	}
	return right && row.id != 0 && row.status == Enabled && (s.opts.AllowDemoPasswords || !isDemoPassword(password)), nil
}

// abandon gives an attempt back that came to nothing because of err. The caller may be gone; the
// attempt is still theirs.
func (s *Service) abandon(ctx context.Context, a attempt, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
	defer cancel()
	failed := s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error { return s.giveBack(ctx, tx, a) })
	if failed != nil {
		return unanswered(failed)
	}
	return err
}

// recordLogin records a login and gives a hash of old make a new one.
func (s *Service) recordLogin(ctx context.Context, row personRow, password string, from netip.Addr) error {
	hash := row.hash
	if s.hasher.outdated(hash) {
		var err error
		if hash, err = s.hasher.hash(ctx, password); err != nil {
			return err
		}
	}
	allowed := false
	err := s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if allowed, err = noteLogin(ctx, tx, row, hash, database.Micros(s.now())); err != nil || !allowed {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			At:      s.now(),
			ActorID: row.id,
			Action:  audit.Login,
			Address: addressText(from),
		})
	})
	if err != nil {
		return unanswered(err)
	}
	if !allowed {
		return wrongPassword() // disabled, or the password was changed, in this very moment
	}
	return nil
}

// storePassword sets a password unless the person's tokens were ended since epoch was read, and
// records e beside it.
func (s *Service) storePassword(ctx context.Context, id, epoch int64, password string, mustChange bool, e audit.Entry) error {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	stored := false
	err = s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if stored, err = replacePassword(ctx, tx, id, epoch, hash, mustChange, database.Micros(s.now())); err != nil || !stored {
			return err
		}
		e.At = s.now()
		return audit.Record(ctx, tx, e)
	})
	if err != nil {
		return err
	}
	s.dropCached(id)
	if !stored {
		return errs.New(errs.Conflict, "密码刚刚被修改过，请重新登录后再试")
	}
	return nil
}

// cleanName is how an account or phone that was typed is looked for. What no account can be is "".
func cleanName(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return ""
	}
	return name
}

func isDemoPassword(password string) bool {
	for _, p := range demoPasswords {
		if p == password {
			return true
		}
	}
	return false
}

func wrongPassword() error {
	return &errs.Error{Kind: errs.Invalid, Code: "credentials_wrong", Message: "账号或密码错误"}
}

func locked(left time.Duration) error {
	// Rounded up: "0 minutes" would invite a try that is refused.
	minutes := int((left + time.Minute - 1) / time.Minute)
	return &errs.Error{
		Kind:       errs.Quota,
		Code:       "login_locked",
		RetryAfter: left,
		Message:    "密码错误次数过多，请 " + strconv.Itoa(minutes) + " 分钟后再试",
	}
}
