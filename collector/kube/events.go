package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// EventsOptions say which events are collected. The zero value is good.
type EventsOptions struct {
	Namespace string              `yaml:"namespace,omitempty" json:"namespace,omitempty" doc:"The only namespace whose events are collected; all without it."`
	Probe     signatures.Duration `yaml:"probe,omitempty" json:"probe,omitempty" doc:"How often the API server is asked whether it is alive; 5s without it. Events of a server that does not answer count as silent."`
	MaxEvents int                 `yaml:"max_events,omitempty" json:"max_events,omitempty" doc:"How many events are remembered with their counts; 200000 without it, at about 60 bytes each. It should be what the cluster keeps, which is usually what an hour brings."`
}

// EventsNeeds are what collecting events needs.
func EventsNeeds() Needs {
	return Needs{
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list", "watch"}}, // where there is no events.k8s.io/v1
	}
}

// events collects the events of a cluster.
type events struct {
	o      EventsOptions
	client *Client
	common collector.Common

	pause    time.Duration // between two batches: many changes at once make few batches
	quiet    time.Duration // after it without anything to read, everything that the server sent is read
	backoff  collector.Backoff
	watchFor time.Duration // how long a watch is asked for; it is a little longer each time, by chance
}

// NewEvents makes a collector of the events of a cluster: the increase of an event's count is a record. It goes on where it was after a
// restart, if there are checkpoints. One process a cluster should run it: see [Led].
func NewEvents(o EventsOptions, client *Client, c collector.Common) (collector.Collector, error) {
	var problems []error
	if o.Probe < 0 {
		problems = append(problems, fmt.Errorf("probe %s: it cannot be negative; leave it out for 5s", time.Duration(o.Probe)))
	}
	if o.MaxEvents < 0 {
		problems = append(problems, fmt.Errorf("max_events %d: it cannot be negative; leave it out for 200000", o.MaxEvents))
	}
	if client == nil {
		problems = append(problems, errors.New("events need a client: see Connect"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	o.Probe, o.MaxEvents = cmp.Or(o.Probe, signatures.Duration(5*time.Second)), cmp.Or(o.MaxEvents, 200_000)
	return &events{o: o, client: client, common: c, pause: 50 * time.Millisecond, quiet: 20 * time.Millisecond, watchFor: 20 * time.Minute}, nil
}

// Run implements [collector.Collector].
func (e *events) Run(ctx context.Context, emit collector.Emit) error {
	again := e.backoff
	for {
		err := e.serve(ctx, emit)
		var kept ledgerError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.As(err, &kept):
			return err
		}
		e.common.Log().Warn("the position cannot be kept, so that no event is given: it is tried again", "error", err)
		if !again.Wait(ctx) {
			return context.Cause(ctx)
		}
	}
}

// name is that of the source, and of its checkpoints: several clusters may share a stream.
func (e *events) name() string { return strings.TrimSuffix(e.common.Name+"/"+e.common.Cluster, "/") }

// serve collects until ctx is done, an emit fails or the position cannot be kept.
func (e *events) serve(ctx context.Context, emit collector.Emit) error {
	ledger := newEventsLedger(e.common.Checkpoints, e.name(), e.o.MaxEvents, emit)
	damaged, err := ledger.load(ctx)
	if damaged != nil {
		e.common.Log().Error("the position of the events is lost: all that the server has are collected again, under the same ids", "error", damaged)
	}
	if err != nil {
		return err
	}
	outlet, err := e.common.Outlet(e.common.Cluster, nil, ledger.emit, record.Event)
	if err != nil {
		return err
	}
	s := &eventsSession{events: e, ledger: ledger, outlet: outlet}
	group, running := errgroup.WithContext(ctx)
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error {
		if err := outlet.Run(beating); err != nil {
			return fmt.Errorf("give out events: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		defer stop()
		err := s.run(running)
		return errors.Join(err, s.end(ctx))
	})
	return group.Wait()
}

// eventsSession is what serve works with. It belongs to one goroutine.
type eventsSession struct {
	*events
	ledger *eventsLedger
	outlet *collector.Outlet

	path    string // of the events API that the server has
	plain   bool   // the server cannot begin a watch with a list
	version string // the newest resource version that was read; empty when a list is needed
	listing *eventsList
	given   bool // something was given to the outlet since the last commit
	saved   time.Time
	alive   bool // the server gave something since it was connected
	records []record.Record
}

// end keeps what was collected when the collector is asked to end.
func (s *eventsSession) end(ctx context.Context) error {
	s.common.Meter.Connected(false)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.commit(last, true)
}

// commit waits until everything that was given is stored, and remembers it.
func (s *eventsSession) commit(ctx context.Context, save bool) error {
	if s.given {
		if err := s.outlet.Flush(ctx); err != nil {
			return err
		}
		s.given = false
	}
	now := time.Now()
	if save = save || now.Sub(s.saved) > time.Second; save {
		s.saved = now
	}
	return s.ledger.commit(s.version, save)
}

// run lists and watches until ctx is done, an emit fails or the position cannot be kept.
func (s *eventsSession) run(ctx context.Context) error {
	s.version = s.ledger.version
	wait := s.backoff
	for {
		s.alive = false
		err := s.watch(ctx)
		s.common.Meter.Connected(false)
		s.listing = nil
		var read readError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil: // the server ended the watch after its time
		case errors.Is(err, errExpired):
			s.common.Log().Info("all events are listed again, and what is known is left out", "because", err)
			s.version = ""
		case errors.As(err, &read):
			s.common.Log().Warn("the API server gives no events: it is tried again", "server", s.client.Host(), "error", err)
		default:
			return err
		}
		if s.alive {
			wait.Reset()
		}
		s.common.Meter.Reconnect()
		if !wait.Wait(ctx) {
			return context.Cause(ctx)
		}
	}
}
