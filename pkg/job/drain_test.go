package job

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestDrainReleases(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.idleEngine(testKind(untilStopped), nil)
		stop := w.start(e)
		j := w.accept(e)
		handled := make(chan error, 1)
		go func() { handled <- e.Handle(context.Background(), j.UUID, 1) }()
		w.awaitStage(j.UUID, stageStarting)
		bound, cancel := context.WithCancel(t.Context())
		cancel() // no time to finish
		if err := e.Drain(bound); err != nil {
			t.Fatalf("Drain: %v", err)
		}
		if err := <-handled; err != nil {
			t.Errorf("Handle: %v", err)
		}
		got := w.job(j.UUID)
		if got.State != StateQueued || got.Attempt != 2 || got.Failures != 0 || got.Failure != nil || got.Seq() != 2_000_001 {
			t.Errorf("released: %+v", got)
		}
		if err := e.Handle(t.Context(), j.UUID, 2); err != nil || w.job(j.UUID).State != StateQueued {
			t.Errorf("a drained engine took a job: %v", err)
		}
		stop() // delivers what is left
		if told := w.bus.told(j.UUID); told[len(told)-1] != "queued 0" {
			t.Errorf("told %q, want queued at the end", told)
		}
		if !slices.Contains(w.queue.tasks(), Task{UUID: j.UUID, Attempt: 2}) {
			t.Errorf("enqueued %v, want attempt 2 too", w.queue.tasks())
		}
		if got := w.ends(j.UUID); len(got) != 0 {
			t.Errorf("ended as %v", got)
		}
	})
}

func TestDrainLetsFinish(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		finish := make(chan struct{})
		e := w.engine(testKind(func(ctx context.Context, r *testRun) (testEnd, error) {
			<-finish
			return nil, ctx.Err()
		}), func(o *Options) { o.Concurrency = 1 })
		first, second := w.accept(e), w.accept(e)
		var handled sync.WaitGroup
		defer handled.Wait()
		handled.Go(func() { _ = e.Handle(context.Background(), first.UUID, 1) })
		w.awaitStage(first.UUID, stageStarting)
		// It waits for the slot.
		handled.Go(func() { _ = e.Handle(context.Background(), second.UUID, 1) })
		drained := make(chan error, 1)
		go func() { drained <- e.Drain(t.Context()) }()
		<-e.running.draining
		close(finish)
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
		if a, b := w.job(first.UUID).State, w.job(second.UUID).State; a != StateSuccess || b != StateQueued {
			t.Errorf("the running job is %s, the waiting one %s; want success and queued", a, b)
		}
	})
}

func TestDrainReportsRunsThatDoNotStop(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		finish := make(chan struct{})
		e := w.idleEngine(testKind(func(context.Context, *testRun) (testEnd, error) {
			<-finish
			return nil, nil
		}), func(o *Options) { o.ReleaseWait = 20 * time.Millisecond })
		j := w.accept(e)
		w.queue.handled.Go(func() { _ = e.Handle(context.Background(), j.UUID, 1) })
		w.awaitStage(j.UUID, stageStarting)
		bound, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Drain(bound); err == nil {
			t.Error("Drain = nil while a run goes on")
		}
		close(finish)
		w.queue.handled.Wait()
	})
}
