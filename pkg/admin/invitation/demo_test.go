package invitation

import (
	"context"
	"testing"

	"exporthub/pkg/admin/message"
	"exporthub/pkg/database"
	"exporthub/pkg/page"
)

// What waits in the demo waits for its approvers too, and what is decided says by whom and when.
func TestTheDemoAgreesWithItself(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		const size = demoUndecided + 300
		if err := o.seedDemo(t.Context(), o.DB, size); err != nil {
			t.Fatal(err)
		}
		all, err := o.list(t.Context(), Filter{}, page.Request{Number: 1, Size: 2 * size})
		if err != nil {
			t.Fatal(err)
		}
		waiting := 0
		for i, v := range all.Items {
			switch {
			case v.Status == Applying:
				waiting++
				if i >= demoUndecided {
					t.Errorf("invitation %d is undecided, %d places from the newest", v.ID, i)
				}
				if v.Decision != "" || v.DecidedBy.ID != 0 || !v.DecidedAt.IsZero() {
					t.Errorf("undecided and decided: %+v", v)
				}
			case v.Decision != v.Status || v.DecidedBy.ID == 0 || v.DecidedBy.Name == "" || v.DecidedAt.Before(v.CreatedAt):
				t.Errorf("decided, but not by whom or when: %+v", v)
			}
		}
		if waiting < size/10 {
			t.Errorf("%d of %d wait for a decision", waiting, size)
		}
		for _, approver := range []int64{o.admin, o.colleague} {
			if got := len(o.messages(approver, message.ApprovalAwaited)); got != waiting {
				t.Errorf("%d invitations wait, %d messages say so", waiting, got)
			}
		}
		rising, err := o.risingTimes(t.Context(), o.admin)
		if err != nil || !rising {
			t.Errorf("messages' times rise with their ids: %v, %v", rising, err)
		}
	})
}

// risingTimes reports whether a later message of a person is about a later invitation.
func (o *office) risingTimes(ctx context.Context, person int64) (rising bool, err error) {
	var times []int64
	err = o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		times, err = database.All(ctx, tx, database.Scalar[int64],
			"SELECT created_at FROM messages WHERE recipient_id = ? ORDER BY id", person)
		return err
	})
	for i := 1; i < len(times); i++ {
		if times[i] < times[i-1] {
			return false, err
		}
	}
	return true, err
}
