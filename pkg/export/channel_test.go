package export_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/export/record"
)

func TestWhoMayFollow(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(5)
	ownerCtx, owner := h.Person("owner", auth.Staff)
	_, other := h.Person("other", auth.Staff)
	_, chief := h.Person("chief", auth.Administrator)
	ticket, err := h.Exports.Queue(ownerCtx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	h.Ended(ticket.UUID)
	capability := h.Auth.ExportChannel(owner)
	byID := fmt.Sprintf("/export/%d", owner.UserID)
	byJob := "/export/" + ticket.UUID
	for name, c := range map[string]struct {
		who     *auth.Principal
		channel string
		stream  string // "" is refused
	}{
		"one's own by id":                  {owner, byID, byID},
		"one's own job":                    {owner, byJob, byJob},
		"an administrator by id":           {chief, byID, byID},
		"an administrator a job":           {chief, byJob, byJob},
		"an administrator who sees less":   {chief.Granted("thing.export"), byID, ""},
		"one who sees less a job":          {chief.Granted("thing.export"), byJob, ""},
		"one's own, seeing less":           {owner.Granted("thing.export"), byID, byID},
		"the capability without a token":   {nil, capability, byID},
		"the capability with another's":    {other, capability, byID},
		"another's by id":                  {other, byID, ""},
		"another's job":                    {other, byJob, ""},
		"a stranger by id":                 {nil, byID, ""},
		"a stranger a job":                 {nil, byJob, ""},
		"an unknown job":                   {owner, "/export/11111111-1111-4111-8111-111111111111", ""},
		"a forged capability":              {nil, byID + "-" + strings.Repeat("0", 32), ""},
		"a capability of another's id":     {nil, strings.Replace(capability, byID+"-", fmt.Sprintf("/export/%d-", other.UserID), 1), ""},
		"an id with leading zeros":         {owner, "/export/0" + byID[len("/export/"):], ""},
		"an id that is no number":          {owner, "/export/me", ""},
		"an id of more than a number":      {owner, "/export/99999999999999999999", ""},
		"deeper than the rule":             {owner, byID + "/x", ""},
		"nothing after the prefix":         {owner, "/export/", ""},
		"a capability in capitals":         {nil, strings.ToUpper(capability), ""},
		"another system under the prefix":  {owner, "/export/../message/1", ""},
		"a capability with something more": {nil, capability + "0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			sub, err := h.Exports.Channels()[0].Resolve(t.Context(), c.who, c.channel)
			if c.stream == "" {
				if !errs.Is(err, errs.Forbidden) {
					t.Errorf("got %+v, %v; want Forbidden", sub, err)
				}
				return
			}
			if err != nil || sub.Stream != c.stream {
				t.Fatalf("got %q, %v; want %q", sub.Stream, err, c.stream)
			}
			events, err := sub.Latest(t.Context())
			if err != nil || len(events) != 1 || !events[0].Final || events[0].Key != ticket.UUID {
				t.Fatalf("latest = %+v, %v; want the end of the job", events, err)
			}
			var v exporttest.Event
			if err := json.Unmarshal(events[0].Data, &v); err != nil || !v.Replayed || v.Status != record.StatusSuccess {
				t.Errorf("replayed %s", events[0].Data)
			}
		})
	}
}

func TestACapabilityEndsWithThePersonsTokens(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	_, owner := h.Person("owner", auth.Staff)
	channel := h.Auth.ExportChannel(owner)
	sub, err := h.Exports.Channels()[0].Resolve(t.Context(), nil, channel)
	if err != nil || !sub.StillAllowed(t.Context(), nil) {
		t.Fatalf("a fresh capability is refused: %v", err)
	}
	if err := h.Auth.SetStatus(t.Context(), owner.UserID, auth.Disabled); err != nil {
		t.Fatal(err)
	}
	if sub.StillAllowed(t.Context(), nil) {
		t.Error("a live subscription outlives the person's tokens")
	}
	if _, err := h.Exports.Channels()[0].Resolve(t.Context(), nil, channel); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a new one: %v, want Forbidden", err)
	}
}
