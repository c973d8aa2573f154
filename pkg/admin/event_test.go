package admin

import (
	"context"
	"errors"
	"testing"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

func TestReact(t *testing.T) {
	undone := errors.New("undone")
	var got Claimed
	react := React(func(_ context.Context, _ *database.Tx, c Claimed) error {
		got = c
		return undone
	})
	if err := react(t.Context(), nil, Claimed{System: "invitation"}); !errors.Is(err, undone) || got.System != "invitation" {
		t.Errorf("reacted to %+v with %v", got, err)
	}
	if err := react(t.Context(), nil, Decided{}); err == nil || errors.Is(err, undone) {
		t.Errorf("other data: %v, want a refusal", err)
	}
}

// What a channel carries is what its person may see: an administrator who may see less does not
// receive it.
func TestPersonChannelsThatNeedAPermission(t *testing.T) {
	rule := PersonChannels("/message/", "invitation.read_phone", "contact.read_notes")
	administrator := &auth.Principal{UserID: 1, Role: auth.Administrator}
	for _, c := range []struct {
		who     *auth.Principal
		channel string
		allowed bool
	}{
		{administrator.Granted("invitation.read_phone", "contact.read_notes"), "/message/7", true},
		{administrator.Granted("invitation.read_phone"), "/message/7", false},
		{administrator, "/message/7", false},
		{administrator, "/message/1", true},
	} {
		if _, err := rule.Resolve(t.Context(), c.who, c.channel); (err == nil) != c.allowed {
			t.Errorf("%v follows %s: %v", c.who.Permissions(), c.channel, err)
		}
	}
}

func TestPersonChannels(t *testing.T) {
	rule := PersonChannels("/message/")
	staff, administrator := &auth.Principal{UserID: 7, Role: auth.Staff}, &auth.Principal{UserID: 1, Role: auth.Administrator}
	for _, c := range []struct {
		who     *auth.Principal
		channel string
		allowed bool
	}{
		{staff, "/message/7", true}, {administrator, "/message/7", true}, {administrator, "/message/1", true},
		{staff, "/message/1", false}, {nil, "/message/7", false}, {nil, "/message/0", false},
		{administrator, "/message/0", false}, {administrator, "/message/-7", false}, {administrator, "/message/+7", false},
		{administrator, "/message/07", false}, {administrator, "/message/", false}, {administrator, "/message/x", false},
		{administrator, "/message/7/8", false}, {administrator, "/message/99999999999999999999", false},
	} {
		sub, err := rule.Resolve(t.Context(), c.who, c.channel)
		switch {
		case c.allowed && (err != nil || sub.Stream != c.channel):
			t.Errorf("%+v follows %s: %+v, %v", c.who, c.channel, sub, err)
		case !c.allowed && !errs.Is(err, errs.Forbidden):
			t.Errorf("%+v follows %s: %v, want a refusal", c.who, c.channel, err)
		}
	}
}
