package job

import (
	"context"
	"errors"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
)

// PeriodicTask is work that is done every so often by one process at a time, the one that takes the
// lead first.
type PeriodicTask struct {
	Name  string        // of its lease; at most 40 bytes
	Every time.Duration // from the end of one round to the next, over all processes
	// Do is one round. Its context ends when the lead is lost, so a round that hangs does not run
	// beside the next: it should be made of steps that can be interrupted and begun again.
	Do func(ctx context.Context) error
}

// RunPeriodic takes part in a periodic task until ctx ends. Every process that can do it calls
// this; a lease in the database decides which one does a round, and a process that dies in one is
// followed by another after Options.Lease.
func (r *Runner) RunPeriodic(ctx context.Context, t PeriodicTask) error {
	if t.Name == "" || t.Name == leadName || len(t.Name) > 40 || t.Every <= 0 || t.Do == nil {
		return errors.New("job: a periodic task needs a name of 1 to 40 bytes, a time and something to do")
	}
	e := r.e
	log := e.log.With("duty", t.Name)
	// The first wait is short, so that a program that is restarted often still gets to its rounds.
	for backoff.Sleep(ctx, spread(t.Every/2)) {
		leads, err := e.leadPeriodic(ctx, t)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			log.Warn("periodic task not started", "error", err)
		case leads:
			began := e.opts.Now()
			if err := e.runRound(ctx, t); err != nil && ctx.Err() == nil {
				log.Warn("periodic task incomplete",
					"took", e.opts.Now().Sub(began).Round(time.Millisecond), "error", err)
			}
		}
	}
	return nil
}

// leadPeriodic takes or keeps the lead.
func (e *Engine) leadPeriodic(ctx context.Context, t PeriodicTask) (leads bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(e.opts.Lease/3, time.Second))
	defer cancel()
	err = e.opts.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if err := makeLead(ctx, tx, t.Name); err != nil {
			return err
		}
		leads, err = takeLead(ctx, tx, t.Name, e.opts.Owner, e.opts.Lease)
		return err
	})
	return leads && err == nil, err
}

// runRound does one round while it keeps the lead, and then gives it up until the next is due.
func (e *Engine) runRound(ctx context.Context, t PeriodicTask) error {
	round, stop := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		held := e.opts.Now()
		for backoff.Sleep(round, e.opts.Lease/4) {
			asked := e.opts.Now()
			leads, err := e.leadPeriodic(round, t)
			switch {
			case leads:
				held = asked
			// A database that is away for a moment does not end the round, but it ends before
			// another process can take the lead.
			case err == nil, apart(held, e.opts.Now()) >= e.opts.Lease*3/4:
				stop(ErrLost)
			}
		}
	}()
	err := guard(func() error { return t.Do(round) })
	stop(nil)
	<-kept
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.opts.CallTimeout)
	defer cancel()
	return errors.Join(err, e.opts.HeartbeatDB.Write(end, func(ctx context.Context, tx *database.Tx) error {
		return dropLead(ctx, tx, t.Name, e.opts.Owner, t.Every)
	}))
}
