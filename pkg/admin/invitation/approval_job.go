package invitation

import (
	"context"
	"slices"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
)

// applyBatch is how many invitations one transaction of a bulk decision applies, unless they are
// all of one inviter. It is small so that progress moves and row locks are short.
const applyBatch = 50

// applied is the progress of an approval job. The job's row stores it, so its JSON keys must not
// change.
type applied struct {
	Done   int `json:"done"`   // of the order's invitations, the failed ones among them
	Failed int `json:"failed"` // that could not be decided because they were deleted
	// InviterID is the person linked to the inviter, for an order of one invitation; 0 is none.
	// The job's last event reads it from here, since the row may be gone by then.
	InviterID int64 `json:"inviter_id,omitempty"`
}

// The types of approval jobs. They leave nothing beside their detail.
type (
	approvalRun    = job.Run[order, applied]
	approvalRecord = job.Record[order, applied, job.None]
	approvalSpec   = job.Spec[order, applied, job.None]
	approvalKind   = job.Definition[order, applied, job.None]
)

// The stages of an approval job.
const (
	stageStarting job.Stage = "starting" // the claimed invitations are read
	stageApplying job.Stage = "applying" // a bulk decision is applied, group by group
)

// approval declares the kind of job that applies decisions.
func (s *service) approval() approvalSpec {
	return approvalSpec{
		Name: approvalName,
		Stages: []job.StageSpec{
			{Name: stageStarting, Next: []job.Stage{stageApplying}, Succeeds: true},
			{Name: stageApplying, Succeeds: true},
		},
		Run:    s.runApproval,
		Ended:  s.approvalEnded,
		Render: renderApproval,
		Retry: job.RetryPolicy{Codes: map[string]job.Rule{
			job.CodeDamaged: {Message: "审批任务的参数无法读取，请重新审批"},
		}},
	}
}

// runApproval applies the invitations that are claimed for the job and not applied yet. What an
// earlier attempt has applied is left alone and notifies no one a second time.
func (s *service) runApproval(ctx context.Context, r *approvalRun) (job.None, error) {
	o := r.Args()
	var claimed []Invitation
	err := s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		claimed, err = claimedFor(ctx, tx, r.Job().UUID)
		return err
	})
	if err != nil {
		return job.None{}, err
	}
	if o.Bulk {
		return job.None{}, s.applyAll(ctx, r, claimed)
	}
	if len(claimed) == 0 {
		return job.None{}, errs.New(errs.NotFound, "这条邀请已不存在")
	}
	// The decider gets a message of a single decision too. Someone who is both decider and inviter
	// gets one message, not two.
	v := claimed[0]
	notices := []admin.Notice{o.notice(r.Job().OwnerID, "邀请", v)}
	if inviter := v.RecommendUser.PersonID; inviter != 0 && inviter != r.Job().OwnerID {
		notices = append(notices, o.notice(inviter, "您的邀请", v))
	}
	if err := s.apply(ctx, r.Job(), o, claimed, notices, nil); err != nil {
		return job.None{}, err
	}
	r.SetDetail(applied{Done: 1, InviterID: v.RecommendUser.PersonID})
	return job.None{}, nil
}

// applyAll applies a bulk decision group by group and publishes its progress after each. A group
// is one inviter's invitations, or a batch of invitations that notify no one.
func (s *service) applyAll(ctx context.Context, r *approvalRun, claimed []Invitation) error {
	o, owner := r.Args(), r.Job().OwnerID
	left := slices.DeleteFunc(slices.Clone(claimed), func(v Invitation) bool { return v.Status != Applying })
	// What an earlier attempt applied counts as done from the start: progress never goes back.
	at := applied{Done: len(o.IDs) - len(left), Failed: len(o.IDs) - len(claimed)}
	if err := r.Advance(ctx, stageApplying, percent(at.Done, len(o.IDs)), at); err != nil {
		return err
	}
	for _, group := range groups(left, owner) {
		// The cause says why the engine stopped the run: cancelled, lease lost or shutting down.
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var notices []admin.Notice
		var afterCommit func(context.Context)
		if inviter := group[0].RecommendUser.PersonID; inviter != 0 && inviter != owner {
			notices = append(notices, o.notice(inviter, "您的邀请", group...))
			afterCommit = func(ctx context.Context) { s.publishToInviter(ctx, o, inviter, group) }
		}
		if err := s.apply(ctx, r.Job(), o, group, notices, afterCommit); err != nil {
			return err
		}
		at.Done += len(group)
		if err := r.Advance(ctx, stageApplying, percent(at.Done, len(o.IDs)), at); err != nil {
			return err
		}
	}
	return nil
}

// apply gives claimed invitations their new state and raises ApprovalDecided, in one transaction.
// Rows that are applied already change nothing and send nothing. after runs once the transaction
// is committed, unless nothing changed; nil is nothing to run.
func (s *service) apply(ctx context.Context, j job.Job, o order, group []Invitation, notices []admin.Notice, after func(context.Context)) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		// The conditional UPDATE decides who applies: an attempt that lost its lease changes no
		// row here, and therefore raises no event.
		changed, err := applyDecision(ctx, tx, j.UUID, ids(group), o.Status)
		if err != nil || changed == 0 {
			return err
		}
		if after != nil {
			tx.AfterCommit(after)
		}
		if len(notices) == 0 {
			return nil
		}
		return s.Events.Raise(ctx, tx, admin.ApprovalDecided, admin.Decided{
			System:  systemName,
			Key:     j.UUID,
			ActorID: j.OwnerID,
			Notices: notices,
		})
	})
}

// groups splits invitations for applyAll. All invitations of one inviter who is linked to a person
// other than the decider are one group: that person gets one message for all of them, in the
// transaction that applies them. The others are batches of applyBatch.
func groups(claimed []Invitation, owner int64) [][]Invitation {
	var all [][]Invitation
	var others []Invitation
	of := map[int64]int{}
	for _, v := range claimed {
		person := v.RecommendUser.PersonID
		if person == 0 || person == owner {
			others = append(others, v)
			continue
		}
		at, ok := of[person]
		if !ok {
			// The map holds positions, not slices: appending to a slice in a map would copy it.
			at = len(all)
			of[person], all = at, append(all, nil)
		}
		all[at] = append(all[at], v)
	}
	for batch := range slices.Chunk(others, applyBatch) {
		all = append(all, batch)
	}
	return all
}

// ids are the ids of invitations, in order.
func ids(list []Invitation) []int64 {
	all := make([]int64, len(list))
	for i, v := range list {
		all[i] = v.ID
	}
	return all
}

// percent is the progress of a bulk decision. It stops at 99, since 100 belongs to the job's end.
func percent(done, total int) int { return min(done*100/max(total, 1), 99) }

// approvalEnded runs in the transaction that ends the job. The decider of a bulk decision gets a
// message with its result. Invitations that a failed job has claimed and not applied are released:
// they wait for a decision again. That holds for a damaged record too, whose order is empty: the
// claim names the job, not the other way round.
func (s *service) approvalEnded(ctx context.Context, tx *database.Tx, j approvalRecord) error {
	o := j.Args
	if j.State == job.StateSuccess {
		if !o.Bulk {
			return nil
		}
		return s.notifyDecider(ctx, tx, j.Job, o.summary(j.OwnerID, j.Detail))
	}
	released, err := release(ctx, tx, j.UUID)
	if err != nil {
		return err
	}
	if err := s.awaited(ctx, tx, 0, released...); err != nil {
		return err
	}
	if len(released) == 0 && !o.Bulk {
		return nil // it was applied after all
	}
	notice := admin.Notice{To: j.OwnerID, Head: "审批未完成", Title: errs.Number(len(released)) + " 条邀请", Content: "请重新审批"}
	if j.Failure != nil {
		notice.Content = j.Failure.Message
	}
	return s.notifyDecider(ctx, tx, j.Job, notice)
}

// notifyDecider raises ApprovalDecided with one message to the job's owner.
func (s *service) notifyDecider(ctx context.Context, tx *database.Tx, j job.Job, notice admin.Notice) error {
	return s.Events.Raise(ctx, tx, admin.ApprovalDecided, admin.Decided{
		System:  systemName,
		Key:     j.UUID,
		ActorID: j.OwnerID,
		Notices: []admin.Notice{notice},
	})
}
