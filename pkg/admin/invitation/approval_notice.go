package invitation

import (
	"cmp"
	"context"
	"log/slog"
	"strings"

	"exporthub/pkg/admin"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
)

// decidedEvent is what the decider's and the inviter's pages receive of a decision. Old pages read
// the first three keys.
type decidedEvent struct {
	// Status is approved or rejected; failure when the decision could not be applied.
	Status             string   `json:"status"`
	ID                 int64    `json:"id"`
	ApproveDescription *string  `json:"approve_description"`
	Error              *problem `json:"error,omitempty"`
}

// progressEvent is what the decider's page receives of a bulk decision. Done counts the failed
// ones too, so that a bar of Done in Total always comes to its end.
type progressEvent struct {
	Status string   `json:"status"` // progress; failure when the job failed
	UUID   string   `json:"uuid"`
	Done   int      `json:"done"`
	Total  int      `json:"total"`
	Failed int      `json:"failed"`
	Error  *problem `json:"error,omitempty"`
}

// problem is why a decision could not be applied.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// statusProgress is the status of a running bulk decision, and of its end when it succeeded:
// the bar is full then, and says so.
const statusProgress = "progress"

// renderApproval is the kind's Render. A bulk decision publishes every step, a single decision
// only its end. It must be a pure function of the row: the engine calls it again for replays.
func renderApproval(j approvalRecord) (any, []string) {
	o, at := j.Args, j.Detail
	if len(o.IDs) == 0 {
		return nil, nil // a damaged record: pages see the list unchanged
	}
	failed := j.State == job.StateFailure || j.State == job.StateCancelled
	var why *problem
	if failed && j.Failure != nil {
		why = &problem{Code: j.Failure.Code, Message: j.Failure.Message}
	}
	status := func(usual string) string {
		if failed {
			return string(job.StateFailure)
		}
		return usual
	}
	streams := []string{admin.PersonChannel(approvalPrefix, j.OwnerID)}
	if o.Bulk {
		return progressEvent{
			Status: status(statusProgress),
			UUID:   j.UUID,
			Done:   at.Done,
			Total:  len(o.IDs),
			Failed: at.Failed,
			Error:  why,
		}, streams
	}
	if !j.State.Ended() || j.State == job.StateCancelled {
		// A cancelled job may have been applied before it was cancelled. Saying either would be a
		// guess, and the list shows the truth.
		return nil, nil
	}
	if !failed && at.InviterID != 0 && at.InviterID != j.OwnerID {
		streams = append(streams, admin.PersonChannel(approvalPrefix, at.InviterID))
	}
	return decidedEvent{
		Status:             status(string(o.Status)),
		ID:                 o.IDs[0],
		ApproveDescription: orNull(o.Reason),
		Error:              why,
	}, streams
}

// publishToInviter publishes each decision of a bulk decision to the person linked to the inviter.
// The decider gets the job's progress instead.
func (s *service) publishToInviter(ctx context.Context, o order, inviter int64, group []Invitation) {
	for _, v := range group {
		event := decidedEvent{Status: string(o.Status), ID: v.ID, ApproveDescription: orNull(o.Reason)}
		if err := s.Events.Publish(ctx, admin.PersonChannel(approvalPrefix, inviter), event); err != nil {
			// The bus is unreachable. The other events would only wait for the same error, and
			// pages read the list when they reconnect.
			cmp.Or(s.Logger, slog.Default()).WarnContext(ctx, "decisions not pushed", "error", err)
			return
		}
	}
}

// named is how many invitations a message lists one by one. More would not fit the message column
// of a job of a thousand.
const named = 5

// notice is the message to one person about decided invitations, all of one decision. decided must
// not be empty. The project stays empty when the invitations belong to several exhibitions.
func (o order) notice(to int64, what string, decided ...Invitation) admin.Notice {
	n := admin.Notice{To: to, Head: what + o.outcome(), Title: decided[0].User.Phone, Project: decided[0].Exhibition.Name}
	var content []string
	if len(decided) > 1 {
		n.Title = errs.Number(len(decided)) + " 条邀请"
		var phones []string
		for _, v := range decided[:min(named, len(decided))] {
			phones = append(phones, v.User.Phone)
		}
		text := "被邀请人 " + strings.Join(phones, "、")
		if len(decided) > named {
			text += " 等"
		}
		content = append(content, text)
		for _, v := range decided {
			if v.Exhibition.ID != decided[0].Exhibition.ID {
				n.Project = ""
			}
		}
	}
	if o.Reason != "" {
		content = append(content, "审批原因:"+o.Reason)
	}
	n.Content = strings.Join(content, ";")
	return n
}

// outcome is the decision in words, as the end of a heading.
func (o order) outcome() string {
	if o.Status == Rejected {
		return "已被拒绝"
	}
	return "已通过"
}

// summary is the message to the decider about the result of a bulk decision.
func (o order) summary(decider int64, at applied) admin.Notice {
	n := admin.Notice{To: decider, Head: "批量审批已完成", Title: errs.Number(len(o.IDs)-at.Failed) + " 条邀请" + o.outcome()}
	var content []string
	if at.Failed > 0 {
		content = append(content, errs.Number(at.Failed)+" 条已不存在，未能审批")
	}
	if o.Reason != "" {
		content = append(content, "审批原因:"+o.Reason)
	}
	n.Content = strings.Join(content, ";")
	return n
}
