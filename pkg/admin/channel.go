package admin

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
)

// personName is a person's id in a channel's name, in its only spelling. Without it "+7" and
// "007" would name person 7 too, and subscriptions could be multiplied.
var personName = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)

// PersonChannel is the name of a person's channel under a prefix such as "/message/". The stream
// that feeds the channel has the same name.
func PersonChannel(prefix string, personID int64) string {
	return prefix + strconv.FormatInt(personID, 10)
}

// PersonChannels is the rule for channels that belong to one person each: that person, and
// administrators with all of the permissions that needs names, may subscribe to <prefix><user id>.
// What is sent there is what that person may see, so needs are the permissions without which
// something of it is hidden. All others get the same refusal whether that person exists or not, so
// that it can't be used to list people.
func PersonChannels(prefix string, needs ...string) auth.ChannelRule {
	oversees := func(p *auth.Principal) bool {
		return p.Role == auth.Administrator && !slices.ContainsFunc(needs, func(n string) bool { return !p.Can(n) })
	}
	return auth.ChannelRule{
		Prefix: prefix,
		Resolve: func(ctx context.Context, p *auth.Principal, channel string) (auth.Subscription, error) {
			name := strings.TrimPrefix(channel, prefix)
			id, err := strconv.ParseInt(name, 10, 64)
			allowed := func(_ context.Context, p *auth.Principal) bool {
				return p != nil && (p.UserID == id || oversees(p))
			}
			if err != nil || !personName.MatchString(name) || !allowed(ctx, p) {
				return auth.Subscription{}, errs.New(errs.Forbidden, "不能订阅该频道")
			}
			return auth.Subscription{Stream: PersonChannel(prefix, id), StillAllowed: allowed}, nil
		},
	}
}
