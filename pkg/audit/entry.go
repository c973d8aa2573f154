package audit

import (
	"context"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

// The actions, <what>.<verb>. Their names are stored, so they can't change.
const (
	Login          = "login"
	LoginRefused   = "login.refused"
	LoginLocked    = "login.locked"
	PasswordChange = "password.change"
	PasswordReset  = "password.reset"
	PersonCreate   = "person.create"
	PersonStatus   = "person.status"
	RoleGrant      = "role.grant"
	RoleRevoke     = "role.revoke"
	AccessRefused  = "access.refused"
	ExportRequest  = "export.request"
	ExportEnd      = "export.end"
	ExportDownload = "export.download"
	ImportEnd      = "import.end"
	Approve        = "approval.approve"
	Reject         = "approval.reject"
)

// Entry is something somebody did that has to be known later.
type Entry struct {
	At      time.Time // default now
	ActorID int64     // who did it, or in whose name it was done; 0 is who asks, or nobody known
	Action  string
	Subject string // what it was done to: a job's uuid, Person, Role
	Detail  string // in words; at most MaxDetail bytes are kept
	Address string // where the request came from; empty is where ctx says
}

// Bounds of what is kept. A detail beyond shortDetail characters stands in a column of its own, as
// the column of before holds no more.
const (
	MaxDetail   = 16 << 10
	shortDetail = 500
	maxSubject  = 128 // characters
)

// Person is how a subject names a person.
func Person(id int64) string { return "person:" + strconv.FormatInt(id, 10) }

// Role is how a subject names a role.
func Role(number int) string { return "role:" + strconv.Itoa(number) }

// Caller is who stands behind a request.
type Caller struct {
	ID      int64 // 0 is a stranger
	Address netip.Addr
}

type callerKey struct{}

// With returns a context that carries the caller of a request.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// complete fills what the entry leaves to its context, and brings texts within their bounds.
func (e Entry) complete(ctx context.Context) Entry {
	c := callerOf(ctx)
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if e.ActorID == 0 {
		e.ActorID = c.ID
	}
	if e.Address == "" && c.Address.IsValid() {
		e.Address = c.Address.String()
	}
	e.Subject = cut(e.Subject, maxSubject)
	if len(e.Detail) > MaxDetail {
		e.Detail = e.Detail[:MaxDetail]
		for !utf8.ValidString(e.Detail) { // the cut was inside a character
			e.Detail = e.Detail[:len(e.Detail)-1]
		}
	}
	return e
}

// cut returns the first n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}
