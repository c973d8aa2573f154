package wire

import (
	"context"
	"net/http"
	"strings"

	"exporthub/pkg/audit"
	"exporthub/pkg/bayeux"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

// Denied records that a request was refused for want of a right.
func (p *Parts) Denied(ctx context.Context, route httpapi.Route, err error) {
	detail := errs.CodeOf(err)
	if route.Permission != httpapi.Public && route.Permission != httpapi.SignedIn {
		detail += " " + route.Permission
	}
	p.Audit.Count(ctx, audit.Entry{
		Action:  audit.AccessRefused,
		Subject: route.Method + " " + route.Path,
		Detail:  detail,
	})
}

// deniedChannel records that somebody who is signed in was refused a subscription. Strangers are
// not recorded: old pages go on asking for channels whose week is over, and their addresses say
// nothing about a person.
func (a authorizer) deniedChannel(ctx context.Context, bp bayeux.Principal, channel string) {
	s, known := bp.Data.(opener)
	if a.audit == nil || !known {
		return
	}
	a.audit.Count(ctx, audit.Entry{
		ActorID: s.UserID,
		Action:  audit.AccessRefused,
		Subject: "SUBSCRIBE " + segment(channel),
		Detail:  channel,
		Address: s.address,
	})
}

// segment is the first segment of a channel: what follows may be anything, and would make a row
// each.
func segment(channel string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(channel, "/"), "/")
	return "/" + first
}

// addressOf is the address of a request as the audit has it.
func (a authorizer) addressOf(r *http.Request) string {
	if r == nil {
		return ""
	}
	return a.auth.ClientIP(r).String()
}
