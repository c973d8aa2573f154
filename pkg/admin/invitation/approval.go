package invitation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"exporthub/pkg/admin"
	"exporthub/pkg/audit"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

const (
	// systemName names this module in events and in the plugin field of messages. It is stored in
	// message rows and in their event keys, so it can't be renamed without a migration.
	systemName = "invitation"
	// approvalName names the kind of job that applies decisions. Job rows store it.
	approvalName = "approval"
	// approvalPrefix begins the channel on which a person receives the outcome of decisions.
	approvalPrefix = "/approval/"
)

// decision is what an approver asks for: the new state of the invitations, and the reason. It is
// part of a job's stored arguments, so its JSON keys must not change.
type decision struct {
	Status Status `json:"status"` // Approved or Rejected
	Reason string `json:"reason,omitempty"`
}

// order is the arguments of an approval job. The ids are repeated in the job because rows can be
// deleted after the claim: the difference is what the job reports as failed.
type order struct {
	decision
	IDs []int64 `json:"ids"` // invitations claimed for this job
	// Bulk separates a decision about one invitation in a list of one from a single decision: the
	// two publish different events.
	Bulk bool `json:"bulk,omitempty"`
}

// alreadyDecided is the answer to the second of two people who decide at once. Old pages compare
// its text.
func alreadyDecided() error {
	return &errs.Error{Kind: errs.Conflict, Code: "invitation_decided", Message: "该邀请已审批,请勿重复操作"}
}

// notFound is the answer for an id without an invitation.
func notFound(cause error) error { return errs.Wrap(errs.NotFound, "没有这条邀请", cause) }

// decider returns the id of the caller, who becomes the recorded decider. Without a caller it is
// Unauthenticated: no decision is stored without a person behind it.
func decider(ctx context.Context) (int64, error) {
	who := auth.From(ctx)
	if who == nil {
		return 0, errs.New(errs.Unauthenticated, "")
	}
	return who.UserID, nil
}

// decide claims an invitation for a decision and leaves the rest to a job that the same
// transaction enqueues. It returns the invitation after the claim: still applying, as the document
// shows it. Of two people who decide at once, one gets alreadyDecided.
func (s *service) decide(ctx context.Context, id int64, d decision) (v Invitation, err error) {
	me, err := decider(ctx)
	if err != nil {
		return v, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		// The job comes first because its uuid is what the claim writes. A claim that fails rolls
		// the job back with it.
		uuid, err := s.enqueue(ctx, tx, me, order{decision: d, IDs: []int64{id}})
		if err != nil {
			return err
		}
		claimed, err := claim(ctx, tx, []int64{id}, d, me, uuid, s.Now())
		if err != nil {
			return err
		}
		// Reading before judging the claim tells an unknown id (404) from a decided one (conflict).
		if v, err = invitationByID(ctx, tx, id); err != nil {
			return err
		}
		if claimed == 0 {
			return alreadyDecided()
		}
		if err := s.record(ctx, tx, me, d, uuid, []int64{id}); err != nil {
			return err
		}
		return s.Events.Raise(ctx, tx, admin.ApprovalClaimed, admin.Claimed{System: systemName, IDs: []int64{id}, ActorID: me})
	})
	return v, err
}

// enqueue adds the job that applies an order to the transaction and returns its uuid.
func (s *service) enqueue(ctx context.Context, tx *database.Tx, decider int64, o order) (string, error) {
	n, err := s.approvals.New(decider, o)
	if err != nil {
		return "", err
	}
	j, err := s.Jobs.Enqueue(ctx, tx, n)
	return j.UUID, err
}

// bulk is an accepted decision about several invitations.
type bulk struct {
	UUID       string // of the job; empty when nothing was left to decide
	Claimed    []int64
	NotClaimed []int64 // decided already, or unknown; in the order they were asked for
}

// decideAll is decide for several invitations, as one job. Invitations that are decided already or
// unknown are no error; they come back in NotClaimed.
func (s *service) decideAll(ctx context.Context, ids []int64, d decision) (b bulk, err error) {
	me, err := decider(ctx)
	if err != nil {
		return b, err
	}
	ids = unique(ids)
	err = s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		// A transaction that is retried runs this function again: start from a fresh result.
		b = bulk{NotClaimed: ids}
		// The rows are locked first, so that the job's list holds exactly what the claim takes.
		free, err := lockUndecided(ctx, tx, ids)
		if err != nil || len(free) == 0 {
			return err
		}
		b.Claimed = free
		b.NotClaimed = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return slices.Contains(free, id) })
		if b.UUID, err = s.enqueue(ctx, tx, me, order{decision: d, IDs: free, Bulk: true}); err != nil {
			return err
		}
		claimed, err := claim(ctx, tx, free, d, me, b.UUID, s.Now())
		if err != nil {
			return err
		}
		// Rows are locked, so a difference is a fault of ours. Going on would leave the job with
		// invitations that were never claimed for it.
		if claimed != int64(len(free)) {
			return errs.Newf(errs.Internal, "claimed %d of %d locked invitations", claimed, len(free))
		}
		if err := s.record(ctx, tx, me, d, b.UUID, free); err != nil {
			return err
		}
		return s.Events.Raise(ctx, tx, admin.ApprovalClaimed, admin.Claimed{System: systemName, IDs: free, ActorID: me})
	})
	return b, err
}

// record records a decision with the invitations it is about.
func (s *service) record(ctx context.Context, tx *database.Tx, decider int64, d decision, job string, ids []int64) error {
	e := audit.Entry{
		At:      s.Now(),
		ActorID: decider,
		Action:  audit.Approve,
		Subject: job,
		Detail:  "邀请 " + strings.Trim(fmt.Sprint(ids), "[]"),
	}
	if d.Status == Rejected {
		e.Action = audit.Reject
	}
	if d.Reason != "" {
		e.Detail = "原因: " + d.Reason + "; " + e.Detail
	}
	return audit.Record(ctx, tx, e)
}

// unique returns ids without repetitions, in order. A page that sends an id twice must not see it
// counted twice, or reported as not claimed.
func unique(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool {
		was := seen[id]
		seen[id] = true
		return was
	})
}

// awaited raises ApprovalAwaited for invitations that wait for a decision: one event for all of
// them, so that a job that releases a thousand writes messages in batches.
func (s *service) awaited(ctx context.Context, tx *database.Tx, actor int64, all ...Invitation) error {
	if len(all) == 0 {
		return nil
	}
	waiting := make([]admin.Waiting, len(all))
	for i, v := range all {
		waiting[i] = v.waiting()
	}
	return s.Events.Raise(ctx, tx, admin.ApprovalAwaited, admin.Awaited{
		System:     systemName,
		Permission: permissionApprove,
		ActorID:    actor,
		Waiting:    waiting,
	})
}

// waiting is what approvers read about an invitation that waits for them.
func (v Invitation) waiting() admin.Waiting {
	content := "邀请人 " + v.RecommendUser.Phone
	if v.User.CompanyName != "" {
		content += "，公司 " + v.User.CompanyName
	}
	return admin.Waiting{
		ID: v.ID,
		Notice: admin.Notice{
			Head:    "有新的邀请待审批",
			Title:   v.User.Phone,
			Content: content,
			Project: v.Exhibition.Name,
		},
	}
}
