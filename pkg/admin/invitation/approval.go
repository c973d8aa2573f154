package invitation

import (
	"context"
	"slices"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

const (
	// systemName is what other systems know invitations by.
	systemName = "invitation"
	// approvalKind is the job that applies decisions.
	approvalKind = "approval"
	// approvalPrefix begins the channel on which a person learns what became of decisions.
	approvalPrefix = "/approval/"
)

// decision is what an approver wants: the state invitations shall have, and why.
type decision struct {
	Status Status `json:"status"` // Approved or Rejected
	Reason string `json:"reason,omitempty"`
}

// order is what an approval job needs to know.
type order struct {
	decision
	IDs  []int64 `json:"ids"` // what was claimed for it
	Bulk bool    `json:"bulk,omitempty"`
}

// alreadyDecided is what the second of two deciders is told.
func alreadyDecided() error {
	return &errs.Error{Kind: errs.Conflict, Code: "invitation_decided", Message: "该邀请已审批,请勿重复操作"}
}

func notFound(cause error) error { return errs.Wrap(errs.NotFound, "没有这条邀请", cause) }

// decider returns who decides.
func decider(ctx context.Context) (int64, error) {
	who := auth.From(ctx)
	if who == nil {
		return 0, errs.New(errs.Unauthenticated, "")
	}
	return who.UserID, nil
}

// decide claims an invitation for a decision and leaves the rest to a job, accepted in the same
// transaction. It returns the invitation as it stands: still applying. Of two who decide at once
// one is told that it is decided already.
func (s *service) decide(ctx context.Context, id int64, d decision) (v Invitation, err error) {
	me, err := decider(ctx)
	if err != nil {
		return v, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		job, err := s.Jobs.Enqueue(ctx, tx, approvalKind, order{decision: d, IDs: []int64{id}})
		if err != nil {
			return err
		}
		claimed, err := claim(ctx, tx, []int64{id}, d, me, job, s.Now())
		if err != nil {
			return err
		}
		if v, err = invitationByID(ctx, tx, id); err != nil {
			return err
		}
		if claimed == 0 {
			return alreadyDecided()
		}
		return s.Events.Raise(ctx, tx, admin.ApprovalClaimed, admin.Claimed{System: systemName, IDs: []int64{id}, ActorID: me})
	})
	return v, err
}

// bulk is an accepted decision about several invitations.
type bulk struct {
	UUID       string // of the job; empty when nothing was left to decide
	Claimed    []int64
	NotClaimed []int64 // decided already, or unknown; in the order they were asked for
}

// decideAll is decide for several invitations, as one job.
func (s *service) decideAll(ctx context.Context, ids []int64, d decision) (b bulk, err error) {
	me, err := decider(ctx)
	if err != nil {
		return b, err
	}
	ids = unique(ids)
	err = s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		b = bulk{NotClaimed: ids}
		free, err := lockUndecided(ctx, tx, ids)
		if err != nil || len(free) == 0 {
			return err
		}
		b.Claimed = free
		b.NotClaimed = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return slices.Contains(free, id) })
		if b.UUID, err = s.Jobs.Enqueue(ctx, tx, approvalKind, order{decision: d, IDs: free, Bulk: true}); err != nil {
			return err
		}
		claimed, err := claim(ctx, tx, free, d, me, b.UUID, s.Now())
		if err != nil {
			return err
		}
		if claimed != int64(len(free)) {
			return errs.Newf(errs.Internal, "claimed %d of %d locked invitations", claimed, len(free))
		}
		return s.Events.Raise(ctx, tx, admin.ApprovalClaimed, admin.Claimed{System: systemName, IDs: free, ActorID: me})
	})
	return b, err
}

// unique returns ids without repetitions, in order.
func unique(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool {
		was := seen[id]
		seen[id] = true
		return was
	})
}

// awaited tells that invitations wait for a decision.
func (s *service) awaited(ctx context.Context, tx *database.Tx, actor int64, all ...Invitation) error {
	if len(all) == 0 {
		return nil
	}
	waiting := make([]admin.Waiting, len(all))
	for i, v := range all {
		content := "邀请人 " + v.RecommendUser.Phone
		if v.User.CompanyName != "" {
			content += "，公司 " + v.User.CompanyName
		}
		waiting[i] = admin.Waiting{
			ID: v.ID,
			Notice: admin.Notice{
				Head:    "有新的邀请待审批",
				Title:   v.User.Phone,
				Content: content,
				Project: v.Exhibition.Name,
			},
		}
	}
	return s.Events.Raise(ctx, tx, admin.ApprovalAwaited, admin.Awaited{
		System:     systemName,
		Permission: permissionApprove,
		ActorID:    actor,
		Waiting:    waiting,
	})
}
