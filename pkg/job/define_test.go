package job

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

func TestDefineRefusesWhatCantRun(t *testing.T) {
	for name, change := range map[string]func(*testSpec){
		"no name":   func(s *testSpec) { s.Name = "" },
		"no Run":    func(s *testSpec) { s.Run = nil },
		"no Render": func(s *testSpec) { s.Render = nil },
		"no stages": func(s *testSpec) { s.Stages = nil },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was accepted")
				}
			}()
			spec := testKind(succeed)
			change(&spec)
			Define(spec)
		})
	}
}

func TestTheRunnerComesWhenNoKindIsMissing(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		open := func() *Engine {
			e, err := NewEngine(Options{DB: w.db, Queue: w.queue, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		kind := Define(testKind(succeed))
		e := open()
		if _, err := e.Runner("test"); err == nil || !strings.Contains(err.Error(), "test is not registered") {
			t.Errorf("without the kind: %v", err)
		}
		if err := e.Register(kind); err != nil {
			t.Fatal(err)
		}
		if err := e.Register(kind); err == nil {
			t.Error("registered twice")
		}
		if _, err := e.Runner(); err == nil || !strings.Contains(err.Error(), "kind test is registered") {
			t.Errorf("with a kind that the list lacks: %v", err)
		}
		if _, err := e.Runner("test"); err != nil {
			t.Fatal(err)
		}
		if err := e.Register(Define(testKind(succeed))); err == nil {
			t.Error("registered after the runner was made")
		}
		if _, err := e.Runner("test"); err == nil {
			t.Error("a second runner was made")
		}
	})
}

func TestArgumentsDetailAndEndArriveTyped(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		spec := testKind(func(ctx context.Context, r *testRun) (testEnd, error) {
			if r.Args()["rows"] != 3 {
				t.Errorf("arguments %v, want 3 rows", r.Args())
			}
			if r.Job().Attempt == 1 {
				r.SetDetail(testDetail{"seen": 5})
				return nil, errs.New(errs.Unavailable, "")
			}
			if r.Detail()["seen"] != 5 {
				t.Errorf("the second attempt was given the detail %v", r.Detail())
			}
			return map[string]int{"written": 3}, nil
		})
		var ended testRecord
		spec.Ended = func(_ context.Context, _ *database.Tx, j testRecord) error {
			ended = j
			return nil
		}
		e := w.engine(spec, nil)
		w.queue.deliverTo(e)
		j := w.accept(e)
		w.awaitState(j.UUID, StateSuccess)
		got := e.kind.Decode(w.job(j.UUID))
		for _, r := range []testRecord{ended, got} {
			end, _ := (*r.End).(map[string]any)
			if r.Damaged != nil || r.Args["rows"] != 3 || r.Detail["seen"] != 5 || end["written"] != 3.0 {
				t.Errorf("record: %+v", r)
			}
		}
	})
}

// A job whose kind says "later" waits with its reason, holds no worker, and runs when it is due.
func TestLater(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		spec := testKind(succeed)
		admission := Later("该列表同时导出的任务已满", time.Hour)
		spec.Admit = func(context.Context, *database.Tx, testRecord) (Admission, error) { return admission, nil }
		e := w.engine(spec, func(o *Options) { o.Concurrency = 1 })
		j := w.accept(e)
		for range 3 { // a task that comes again before it is due changes nothing
			if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
				t.Fatal(err)
			}
		}
		got := w.job(j.UUID)
		if got.State != StateQueued || got.Attempt != 1 || got.Failures != 0 || got.Waiting != "该列表同时导出的任务已满" ||
			got.LeaseOwner != "" || got.RunAt.Sub(got.UpdatedAt) != time.Hour {
			t.Errorf("postponed: %+v", got)
		}
		if told := w.bus.told(j.UUID); slices.Contains(told, "starting 1") {
			t.Errorf("published %q of a job that was not admitted", told)
		}
		admission = Admission{}
		w.queue.set(Task{UUID: j.UUID, Attempt: 1}, TaskAbsent)
		w.queue.deliverTo(e)
		w.exec("UPDATE jobs SET run_at = 0 WHERE uuid = ?", j.UUID)
		if got := w.awaitState(j.UUID, StateSuccess); got.Waiting != "" {
			t.Errorf("still waits because %q", got.Waiting)
		}
	})
}

func TestALongReasonIsCutBetweenCharacters(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		spec := testKind(succeed)
		spec.Admit = func(context.Context, *database.Tx, testRecord) (Admission, error) {
			return Later(strings.Repeat("等", 100), 0), nil
		}
		e := w.engine(spec, nil)
		j := w.accept(e)
		if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
			t.Fatal(err)
		}
		if got := w.job(j.UUID); got.Waiting != strings.Repeat("等", 66) || got.RunAt.Sub(got.UpdatedAt) != time.Second {
			t.Errorf("waits because %q, due after %s", got.Waiting, got.RunAt.Sub(got.UpdatedAt))
		}
	})
}

// A record that can't be decoded is never run, and still ends.
func TestADamagedRecordFails(t *testing.T) {
	for column, damage := range map[string]string{"payload": `{"rows":"three"}`, "detail": `{"rows":`} {
		t.Run(column, func(t *testing.T) {
			engines(t, func(t *testing.T, w *world) {
				spec := testKind(func(context.Context, *testRun) (testEnd, error) {
					t.Error("ran")
					return nil, nil
				})
				note := spec.Ended
				spec.Ended = func(ctx context.Context, tx *database.Tx, j testRecord) error {
					if j.Damaged == nil {
						t.Error("Ended was not told of the damage")
					}
					return note(ctx, tx, j)
				}
				e := w.engine(spec, nil)
				j := w.accept(e)
				w.exec("UPDATE jobs SET "+column+" = ? WHERE uuid = ?", damage, j.UUID)
				if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
					t.Fatal(err)
				}
				got := w.job(j.UUID)
				if got.State != StateFailure || got.Failure.Code != CodeDamaged || got.Failure.Message == "" {
					t.Errorf("ended %s: %+v", got.State, got.Failure)
				}
				if ends := w.ends(j.UUID); !slices.Equal(ends, []string{"failure"}) {
					t.Errorf("ended as %v, want failure once", ends)
				}
			})
		})
	}
}

// Rows that the release before wrote are read as they were meant, and what is written is what it
// reads.
func TestColumnsOfTheReleaseBefore(t *testing.T) {
	for _, c := range []struct {
		state, stage string
		want         State
		wantStage    Stage
	}{
		{"queued", "", StateQueued, ""},
		{"queued", "writing_file", StateQueued, ""}, // released by the release before
		{"writing_file", "", StateRunning, "writing_file"},
		// Moved on by the release before.
		{"writing_file", "starting", StateRunning, "writing_file"},
		{"start", "applying", StateRunning, "applying"},
		{"success", "uploading", StateSuccess, ""},
		{"running", "applying", StateRunning, "applying"}, // written by the release after
	} {
		if state, stage := readState(c.state, c.stage); state != c.want || stage != c.wantStage {
			t.Errorf("readState(%q, %q) = %s %q, want %s %q", c.state, c.stage, state, stage, c.want, c.wantStage)
		}
	}
	for stage, want := range map[Stage]string{"starting": "starting", "upload_failure": "upload_failure", "applying": "start"} {
		if got := stateColumn(StateRunning, stage); got != want {
			t.Errorf("the stage %s is written as %s, want %s", stage, got, want)
		}
	}
}

// A process of the release before moves a row by its own columns. Either side then sees the other's
// move, and no compare-and-set of a state that has passed succeeds.
func TestMovesBesideTheReleaseBefore(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		d := w.drive(nil)
		w.awaitTold(d.job.UUID, "starting 1")
		if err := d.advance(stageStart, 3); err != nil {
			t.Fatal(err)
		}
		// The old worker's takeover and its next steps, in its own words.
		w.exec("UPDATE jobs SET state = 'queued', attempt = 2, lease_owner = '', lease_until = NULL WHERE uuid = ?", d.job.UUID)
		w.exec("UPDATE jobs SET state = 'writing_file', lease_owner = 'old' WHERE uuid = ?", d.job.UUID)
		if got := w.job(d.job.UUID); got.State != StateRunning || got.Stage != stageWriting || got.Attempt != 2 {
			t.Errorf("an old worker's row reads as %s %s", got.State, got.Stage)
		}
		if err := d.advance(stageWriting, 10); !errors.Is(err, ErrLost) {
			t.Errorf("Advance of a taken-over attempt = %v, want ErrLost", err)
		}
		close(d.steps)
		w.exec("UPDATE jobs SET state = 'success', finished_at = updated_at, lease_owner = '' WHERE uuid = ?", d.job.UUID)
		if got := w.job(d.job.UUID); got.State != StateSuccess || got.Stage != "" {
			t.Errorf("a job that the old release has ended reads as %s %q", got.State, got.Stage)
		}
	})
}
