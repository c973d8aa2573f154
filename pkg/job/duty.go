package job

import (
	"context"
	"errors"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
)

// Duty is work that is done every so often by one process at a time, whichever comes first.
type Duty struct {
	Name  string        // of its lease; at most 40 bytes
	Every time.Duration // from the end of one round to the next, over all processes
	// Do is one round. Its context ends when the lead is lost, so a round that stands still does not run beside the next:
	// it should be made of steps that can be broken off and begun again.
	Do func(ctx context.Context) error
}

// RunDuty takes part in a duty until ctx ends. Every process that can do it calls this; a lease in the database decides who
// does a round, and a process that dies in one is followed by another after Options.Lease.
func (e *Engine) RunDuty(ctx context.Context, d Duty) error {
	if d.Name == "" || d.Name == leadName || len(d.Name) > 40 || d.Every <= 0 || d.Do == nil {
		return errors.New("job: a duty needs a name of 1 to 40 bytes, a time and something to do")
	}
	log := e.log.With("duty", d.Name)
	for backoff.Sleep(ctx, spread(d.Every/2)) {
		leads, err := e.leadDuty(ctx, d)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			log.Warn("duty not looked after", "error", err)
		case leads:
			began := e.o.Now()
			if err := e.doDuty(ctx, d); err != nil && ctx.Err() == nil {
				log.Warn("duty not done whole", "took", e.o.Now().Sub(began).Round(time.Millisecond), "error", err)
			}
		}
	}
	return nil
}

// leadDuty takes or keeps the lead.
func (e *Engine) leadDuty(ctx context.Context, d Duty) (leads bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(e.o.Lease/3, time.Second))
	defer cancel()
	err = e.o.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if err := makeLead(ctx, tx, d.Name); err != nil {
			return err
		}
		leads, err = takeLead(ctx, tx, d.Name, e.o.Owner, e.o.Lease)
		return err
	})
	return leads && err == nil, err
}

// doDuty does one round while it keeps the lead, and then gives it up until the next is due.
func (e *Engine) doDuty(ctx context.Context, d Duty) error {
	round, stop := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		held := e.o.Now()
		for backoff.Sleep(round, e.o.Lease/4) {
			asked := e.o.Now()
			leads, err := e.leadDuty(round, d)
			switch {
			case leads:
				held = asked
			case err == nil, apart(held, e.o.Now()) >= e.o.Lease*3/4:
				stop(ErrLost)
			}
		}
	}()
	err := guard(func() error { return d.Do(round) })
	stop(nil)
	<-kept
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.o.CallTimeout)
	defer cancel()
	return errors.Join(err, e.o.HeartbeatDB.Write(end, func(ctx context.Context, tx *database.Tx) error {
		return dropLead(ctx, tx, d.Name, e.o.Owner, d.Every)
	}))
}
