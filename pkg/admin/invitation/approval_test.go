package invitation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/admin/message"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
	"exporthub/pkg/testkit"
)

// From creating to deciding: what each person receives, and what the row says at each step.
func TestOneDecision(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		id := o.invite(1, "13800000031", o.inviter)[0]
		for _, person := range []int64{o.admin, o.colleague} {
			want := []received{{"3", "有新的邀请待审批", "13700000000", "邀请人 13800000031", o.admin, true}}
			if diff := cmp.Diff(want, o.messages(person, message.ApprovalAwaited)); diff != "" {
				t.Errorf("what %d receives about a new invitation (-want +got):\n%s", person, diff)
			}
		}
		if n := o.messages(o.inviter, message.ApprovalAwaited); len(n) != 0 {
			t.Errorf("somebody who may not decide got: %v", n)
		}

		v, err := o.decide(o.as(o.admin), id, decision{Status: Rejected, Reason: "资料不全"})
		if err != nil {
			t.Fatal(err)
		}
		if v.Status != Applying || v.ApproveDescription != "资料不全" || v.Decision != Rejected || v.DecidedBy != (Decider{o.admin, "名admin"}) ||
			time.Since(v.DecidedAt) > time.Minute {
			t.Errorf("claimed: %+v", v)
		}
		if o.waiting(o.admin)+o.waiting(o.colleague) != 0 {
			t.Error("what somebody has decided still waits")
		}
		if n := len(o.messages(o.inviter, message.ApprovalDecided)); n != 0 {
			t.Errorf("%d people know of a decision that is not applied", n)
		}

		o.work(o.queue.engine, 1)
		if v := o.invitation(id); v.Status != Rejected || v.ApproveDescription != "资料不全" {
			t.Errorf("applied: %+v", v)
		}
		for person, head := range map[int64]string{o.admin: "邀请已被拒绝", o.inviter: "您的邀请已被拒绝"} {
			want := []received{{"4", head, "13700000000", "审批原因:资料不全", o.admin, false}}
			if diff := cmp.Diff(want, o.messages(person, message.ApprovalDecided)); diff != "" {
				t.Errorf("what %d receives about the decision (-want +got):\n%s", person, diff)
			}
			event := fmt.Sprintf(`{"status":"rejected","id":%d,"approve_description":"资料不全"}`, id)
			o.eventually(fmt.Sprintf("/approval/%d", person), event)
		}
		if n := len(o.messages(o.colleague, message.ApprovalDecided)); n != 0 {
			t.Error("somebody who has no part in the decision got a message")
		}
	})
}

// eventually waits until exactly these events have been published on a channel.
func (o *office) eventually(channel string, want ...string) {
	o.t.Helper()
	testkit.Eventually(o.t, 5*time.Second, func() bool { return len(o.happens.On(channel)) >= len(want) }, "events on %s", channel)
	if diff := cmp.Diff(want, o.happens.On(channel)); diff != "" {
		o.t.Errorf("events on %s (-want +got):\n%s", channel, diff)
	}
}

func TestAnInviterWhoDecidesGetsOneMessage(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		id := o.invite(1, "13800000032", o.admin)[0]
		if _, err := o.decide(o.as(o.admin), id, decision{Status: Approved}); err != nil {
			t.Fatal(err)
		}
		o.work(o.queue.engine, 1)
		if got := o.messages(o.admin, message.ApprovalDecided); len(got) != 1 || got[0].Head != "邀请已通过" || got[0].Content != "" {
			t.Errorf("got %+v", got)
		}
		o.eventually(fmt.Sprintf("/approval/%d", o.admin), fmt.Sprintf(`{"status":"approved","id":%d,"approve_description":null}`, id))
	})
}

// Many decide at once: one is claimed, the others are refused at once, and one job was accepted.
func TestRacingDeciders(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		id := o.invite(1, "13800000033", o.inviter)[0]
		const racers = 12
		var wait sync.WaitGroup
		var won atomic.Int64
		start := make(chan struct{})
		for i := range racers {
			wait.Go(func() {
				<-start
				status, who := Approved, o.admin
				if i%2 == 0 {
					status, who = Rejected, o.colleague
				}
				_, err := o.decide(o.as(who), id, decision{Status: status, Reason: fmt.Sprint(i)})
				var e *errs.Error
				switch {
				case err == nil:
					won.Add(1)
				case !errors.As(err, &e) || e.Kind != errs.Conflict || e.Message != "该邀请已审批,请勿重复操作":
					t.Errorf("a loser got %v", err)
				}
			})
		}
		close(start)
		wait.Wait()
		if won.Load() != 1 || len(o.queue.accepted()) != 1 {
			t.Fatalf("%d won, %d jobs", won.Load(), len(o.queue.accepted()))
		}
		before := o.invitation(id)
		o.work(o.queue.engine, 1)
		after := o.invitation(id)
		if after.Status != before.Decision || after.ApproveDescription != before.ApproveDescription || after.DecidedBy != before.DecidedBy {
			t.Errorf("claimed %+v, applied %+v", before, after)
		}
		_, err := o.decide(o.as(o.admin), id, decision{Status: Approved})
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("deciding what is decided: %v", err)
		}
		if _, err := o.decide(o.as(o.admin), id+1, decision{Status: Approved}); !errs.Is(err, errs.NotFound) {
			t.Errorf("deciding about nothing: %v", err)
		}
		if _, err := o.decide(t.Context(), id, decision{Status: Approved}); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("a stranger's decision: %v", err)
		}
	})
}

// Two bulk decisions about the same invitations share them without a gap or an overlap.
func TestRacingBulkDeciders(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		ids := o.invite(30, "13800000034", o.inviter)
		backwards := slices.Clone(ids)
		slices.Reverse(backwards)
		var wait sync.WaitGroup
		results := make([]bulk, 4)
		for i := range results {
			wait.Go(func() {
				mine := ids
				if i%2 == 1 {
					mine = backwards
				}
				var err error
				if results[i], err = o.decideAll(o.as(o.admin), mine[i*2:], decision{Status: Approved}); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		var claimed []int64
		for i, b := range results {
			claimed = append(claimed, b.Claimed...)
			if len(b.Claimed)+len(b.NotClaimed) != len(ids)-i*2 || (b.UUID == "") != (len(b.Claimed) == 0) {
				t.Errorf("result %d: %+v", i, b)
			}
		}
		slices.Sort(claimed)
		if !slices.Equal(claimed, ids) {
			t.Errorf("claimed %v of %v", claimed, ids)
		}
	})
}

// A job that is delivered twice, and one whose worker is lost with or without having applied the
// decision, changes the row once and sends each message once.
func TestOnceWhateverHappensToTheWorker(t *testing.T) {
	// lose makes the job another's, as the reconciler does when a lease ends.
	lose := func(o *office, uuid string) {
		o.exec("UPDATE jobs SET state = 'queued', attempt = attempt + 1, step = 1, lease_owner = '' WHERE uuid = ?", uuid)
	}
	for name, unlucky := range map[string]func(o *office) func(ctx context.Context, r *approvalRun) (job.None, error){
		"lost before the decision is applied": func(o *office) func(context.Context, *approvalRun) (job.None, error) {
			return func(_ context.Context, r *approvalRun) (job.None, error) {
				lose(o, r.Job().UUID)
				return job.None{}, job.ErrLost
			}
		},
		"lost after the decision is applied": func(o *office) func(context.Context, *approvalRun) (job.None, error) {
			return func(ctx context.Context, r *approvalRun) (job.None, error) {
				end, err := o.runApproval(ctx, r)
				lose(o, r.Job().UUID)
				return end, err
			}
		},
		"back from the dead": func(o *office) func(context.Context, *approvalRun) (job.None, error) {
			return func(ctx context.Context, r *approvalRun) (job.None, error) {
				lose(o, r.Job().UUID)
				o.work(o.queue.engine, 2)
				return o.runApproval(ctx, r)
			}
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			inOffice(t, func(t *testing.T, o *office) {
				id := o.invite(1, "13800000035", o.inviter)[0]
				if _, err := o.decide(o.as(o.admin), id, decision{Status: Approved, Reason: "好"}); err != nil {
					t.Fatal(err)
				}
				spec := o.spec
				spec.Run = unlucky(o)
				o.work(o.newEngine(spec), 1)
				o.work(o.queue.engine, 2)
				o.work(o.queue.engine, 2)
				o.work(o.queue.engine, 1)
				uuid := o.queue.accepted()[0]
				if state := o.jobState(uuid); state != job.StateSuccess {
					t.Errorf("the job ended as %s", state)
				}
				if v := o.invitation(id); v.Status != Approved {
					t.Errorf("the row is %+v", v)
				}
				for _, person := range []int64{o.admin, o.inviter} {
					if got := o.messages(person, message.ApprovalDecided); len(got) != 1 {
						t.Errorf("%d has %d messages: %v", person, len(got), got)
					}
					o.eventually(fmt.Sprintf("/approval/%d", person), fmt.Sprintf(`{"status":"approved","id":%d,"approve_description":"好"}`, id))
				}
			})
		})
	}
}

// Between the last decision of a bulk one and its end, where its decider gets a message, the
// worker is lost: the next one applies nothing more, and tells the decider once.
func TestABulkDecisionIsReportedOnceWhateverHappensToTheWorker(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		ids := o.invite(5, "13800000037", o.inviter)
		b, err := o.decideAll(o.as(o.admin), ids, decision{Status: Rejected, Reason: "已截止"})
		if err != nil {
			t.Fatal(err)
		}
		spec := o.spec
		spec.Run = func(ctx context.Context, r *approvalRun) (job.None, error) {
			end, err := o.runApproval(ctx, r)
			o.exec("UPDATE jobs SET state = 'queued', attempt = attempt + 1, step = 1, lease_owner = '' WHERE uuid = ?", r.Job().UUID)
			return end, err
		}
		o.work(o.newEngine(spec), 1)
		if n := len(o.messages(o.admin, message.ApprovalDecided)); n != 0 {
			t.Errorf("the decider has %d messages of a job that has not ended", n)
		}
		for _, attempt := range []int{2, 2, 1} {
			o.work(o.queue.engine, attempt)
		}
		if state := o.jobState(b.UUID); state != job.StateSuccess {
			t.Errorf("the job ended as %s", state)
		}
		for person, want := range map[int64]received{
			o.admin:   {"4", "批量审批已完成", "5 条邀请已被拒绝", "审批原因:已截止", o.admin, false},
			o.inviter: {"4", "您的邀请已被拒绝", "5 条邀请", "被邀请人 13700000004、13700000003、13700000002、13700000001、13700000000;审批原因:已截止", o.admin, false},
		} {
			if diff := cmp.Diff([]received{want}, o.messages(person, message.ApprovalDecided)); diff != "" {
				t.Errorf("what %d receives (-want +got):\n%s", person, diff)
			}
		}
		if got := o.happens.On(fmt.Sprintf("/approval/%d", o.inviter)); len(got) != len(ids) {
			t.Errorf("the inviter's page received %v", got)
		}
	})
}

// What a job could not apply can be decided again, waits again, and its decider learns why.
func TestADecisionThatFailsIsGivenBack(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		id := o.invite(1, "13800000036", o.inviter)[0]
		if _, err := o.decide(o.as(o.admin), id, decision{Status: Approved, Reason: "好"}); err != nil {
			t.Fatal(err)
		}
		spec := o.spec
		spec.Run = func(context.Context, *approvalRun) (job.None, error) {
			return job.None{}, errs.New(errs.Conflict, "现在不行")
		}
		o.work(o.newEngine(spec), 1)
		v := o.invitation(id)
		if v.Status != Applying || v.Decision != "" || v.DecidedBy.ID != 0 || !v.DecidedAt.IsZero() || v.ApproveDescription != "" {
			t.Errorf("given back: %+v", v)
		}
		if o.waiting(o.admin) != 1 || o.waiting(o.colleague) != 1 {
			t.Error("it does not wait for a decision again")
		}
		if n := len(o.messages(o.admin, message.ApprovalAwaited)); n != 1 {
			t.Errorf("%d messages about one invitation that waits", n)
		}
		want := []received{{"4", "审批未完成", "1 条邀请", "现在不行", o.admin, false}}
		if diff := cmp.Diff(want, o.messages(o.admin, message.ApprovalDecided)); diff != "" {
			t.Errorf("the decider receives (-want +got):\n%s", diff)
		}
		if n := len(o.messages(o.inviter, message.ApprovalDecided)); n != 0 {
			t.Error("the inviter got a message about a decision that was not applied")
		}
		o.eventually(fmt.Sprintf("/approval/%d", o.admin), fmt.Sprintf(
			`{"status":"failure","id":%d,"approve_description":"好","error":{"code":"conflict","message":"现在不行"}}`, id))
		if _, err := o.decide(o.as(o.colleague), id, decision{Status: Rejected}); err != nil {
			t.Errorf("deciding again: %v", err)
		}
	})
}

// A bulk decision that loses its worker halfway goes on where it was: every linked person gets one
// message.
func TestBulkDecision(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		mine := o.invite(3, "13800000041", o.inviter)
		other := o.invite(1, "13800000042", o.colleague)
		own := o.invite(2, "13800000043", o.admin)
		nobodys := o.invite(60, "13800000044", 0)
		all := slices.Concat(mine, other, own, nobodys)
		if _, err := o.decide(o.as(o.colleague), nobodys[0], decision{Status: Approved}); err != nil {
			t.Fatal(err)
		}
		o.work(o.queue.engine, 1)

		b, err := o.decideAll(o.as(o.admin), slices.Concat(all, all, []int64{999_999}), decision{Status: Rejected, Reason: "已截止"})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(b.NotClaimed, []int64{nobodys[0], 999_999}) || len(b.Claimed) != len(all)-1 {
			t.Fatalf("claimed %d, not %v", len(b.Claimed), b.NotClaimed)
		}
		// One is gone before the job comes to it.
		o.exec("DELETE FROM invitations WHERE id = ?", nobodys[5])
		spec := o.spec
		steps := 0
		spec.Run = func(ctx context.Context, r *approvalRun) (job.None, error) {
			ctx, stop := context.WithCancelCause(ctx)
			defer stop(nil)
			events := o.happens
			o.Events = stopAfter{events, func() {
				if steps++; steps == 1 {
					stop(job.ErrReleased)
				}
			}}
			defer func() { o.Events = events }()
			end, err := o.runApproval(ctx, r)
			if err == nil {
				t.Error("the first attempt was not interrupted")
			}
			o.exec("UPDATE jobs SET state = 'queued', attempt = attempt + 1, step = 1, lease_owner = '' WHERE uuid = ?", r.Job().UUID)
			return end, err
		}
		if err := o.newEngine(spec).Handle(t.Context(), b.UUID, 1); err != nil {
			t.Fatal(err)
		}
		if err := o.queue.engine.Handle(t.Context(), b.UUID, 2); err != nil {
			t.Fatal(err)
		}
		o.afterBulk(b, mine, other, own, nobodys)
	})
}

// stopAfter calls a function after each event it has raised.
type stopAfter struct {
	*admintest.Events
	then func()
}

func (s stopAfter) Raise(ctx context.Context, tx *database.Tx, event admin.Event, data any) error {
	err := s.Events.Raise(ctx, tx, event, data)
	s.then()
	return err
}

func (o *office) afterBulk(b bulk, mine, other, own, nobodys []int64) {
	o.t.Helper()
	if state := o.jobState(b.UUID); state != job.StateSuccess {
		o.t.Fatalf("the job ended as %s", state)
	}
	for _, id := range slices.Concat(mine, other, own, nobodys[1:5], nobodys[6:]) {
		if v := o.invitation(id); v.Status != Rejected || v.ApproveDescription != "已截止" {
			o.t.Fatalf("row %d: %+v", id, v)
		}
	}
	for person, want := range map[int64][]received{
		o.inviter:   {{"4", "您的邀请已被拒绝", "3 条邀请", "被邀请人 13700000002、13700000001、13700000000;审批原因:已截止", o.admin, false}},
		o.colleague: {{"4", "邀请已通过", "13700000000", "", o.colleague, false}, {"4", "您的邀请已被拒绝", "13700000000", "审批原因:已截止", o.admin, false}},
		o.admin:     {{"4", "批量审批已完成", "64 条邀请已被拒绝", "1 条已不存在，未能审批;审批原因:已截止", o.admin, false}},
	} {
		if diff := cmp.Diff(want, o.messages(person, message.ApprovalDecided)); diff != "" {
			o.t.Errorf("what %d receives (-want +got):\n%s", person, diff)
		}
	}
	if o.waiting(o.admin)+o.waiting(o.colleague) != 0 {
		o.t.Error("something still waits")
	}
	if got := o.happens.On(fmt.Sprintf("/approval/%d", o.inviter)); len(got) != 3 {
		o.t.Errorf("the inviter's page received %v", got)
	}
	last := fmt.Sprintf(`{"status":"progress","uuid":"%s","done":65,"total":65,"failed":1}`, b.UUID)
	channel := fmt.Sprintf("/approval/%d", o.admin)
	testkit.Eventually(o.t, 5*time.Second, func() bool { return slices.Contains(o.happens.On(channel), last) }, "the last step")
	if events := o.happens.On(channel); len(events) < 4 {
		o.t.Errorf("the decider's bar moved in %d steps: %v", len(events), events)
	}
}

func TestNothingLeftToDecide(t *testing.T) {
	inOffice(t, func(t *testing.T, o *office) {
		id := o.invite(1, "13800000045", 0)[0]
		if _, err := o.decide(o.as(o.admin), id, decision{Status: Approved}); err != nil {
			t.Fatal(err)
		}
		b, err := o.decideAll(o.as(o.colleague), []int64{id}, decision{Status: Rejected})
		if err != nil || b.UUID != "" || len(b.Claimed) != 0 || !slices.Equal(b.NotClaimed, []int64{id}) {
			t.Errorf("%+v, %v", b, err)
		}
		if n := len(o.queue.accepted()); n != 1 {
			t.Errorf("%d jobs were accepted", n)
		}
	})
}
