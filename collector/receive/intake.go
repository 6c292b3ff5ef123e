package receive

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// Intake gives what requests hold to an outlet, one request at a time, so that one that waits for the outlet can give up in time.
type Intake struct {
	outlet *collector.Outlet
	turn   chan struct{}
}

// NewIntake makes an intake of an outlet, which is run by [Intake.Run].
func NewIntake(o *collector.Outlet) *Intake { return &Intake{outlet: o, turn: make(chan struct{}, 1)} }

// Accept returns nil when all records were emitted (and stored, where that can be told), and promises that everything up to upTo was given, if
// that is not zero. After an error some may have been emitted: the sender comes again, and repeats are dropped by their ids.
func (i *Intake) Accept(ctx context.Context, records []record.Record, upTo time.Time) error {
	select {
	case i.turn <- struct{}{}:
	case <-ctx.Done():
		return ErrBusy
	}
	err := i.add(ctx, records)
	<-i.turn
	if err != nil {
		return err
	}
	if !upTo.IsZero() {
		i.outlet.Alive(upTo)
	}
	return i.outlet.Flush(ctx)
}

func (i *Intake) add(ctx context.Context, records []record.Record) error {
	for k := range records {
		if err := i.outlet.Add(ctx, &records[k]); err != nil {
			return err
		}
	}
	return nil
}

// aliveEvery is how often a receiver that counts as alive while it listens says so.
const aliveEvery = 5 * time.Second

// Run runs servers and the outlet until ctx is done or one of them fails. The outlet ends last, with everything that the servers accepted.
// With now, the source counts as alive while the servers run, also when nobody sends anything. It returns the cause of ctx when that ended it.
func (i *Intake) Run(ctx context.Context, now func() time.Time, servers ...func(ctx context.Context) error) error {
	giving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	gave := make(chan error, 1)
	serving, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go func() {
		err := i.outlet.Run(giving)
		if err != nil {
			fail(err)
		}
		gave <- err
	}()
	group, all := errgroup.WithContext(serving)
	for _, serve := range servers {
		group.Go(func() error { return serve(all) })
	}
	if now != nil {
		group.Go(func() error { return i.beat(all, now) })
	}
	err := group.Wait()
	stop()
	if e := <-gave; e != nil {
		return e
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Cause(ctx))) {
		return context.Cause(ctx)
	}
	return err
}

func (i *Intake) beat(ctx context.Context, now func() time.Time) error {
	t := time.NewTicker(aliveEvery)
	defer t.Stop()
	for {
		i.outlet.Alive(now())
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}
