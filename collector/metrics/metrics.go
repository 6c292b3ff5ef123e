// Package metrics collects metric samples, and of them only those that some signature looks at:
//
//	targets ──► scrape: lines by name ──┐
//	remote write ──► decode: by name ───┼──► Filter ──► record.Sample ──► Outlet
//	Prometheus ──► expressions ─────────┘
//
// A scrape of a component has thousands of series of which a handful matter, so whatever is not needed is dropped by the metric's name before anything is
// allocated. [Collector.Need] says what is needed, at any time: derive it with [signatures.MetricNeeds].
//
// README.md says what can be lost, and what each source promises.
package metrics

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Collector collects samples. It is made by [New].
type Collector struct {
	o      Options
	c      collector.Common
	filter Filter
	stats  counters
	static []Target
	find   []Discovery
	ask    []*asker
}

var _ collector.Collector = (*Collector)(nil)

// New makes a collector of samples. find gives targets besides the static ones. The error holds every mistake. Nothing is kept until
// [Collector.Need] was called, but for what [Options.Keep] names.
func New(o Options, c collector.Common, find ...Discovery) (*Collector, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	x := &Collector{o: o, c: c}
	x.c.Name = cmp.Or(c.Name, "metrics")
	x.filter.Set(nil, o.Keep...)
	if o.Scrape != nil {
		static, err := o.Scrape.targets()
		if err != nil {
			return nil, err
		}
		x.static, x.find = static, find
	}
	for i := range o.Prometheus {
		a, err := x.asker(&o.Prometheus[i])
		if err != nil {
			return nil, err
		}
		x.ask = append(x.ask, a)
	}
	return x, nil
}

// Need replaces what is kept. Any goroutine may call it, also while the collector runs.
func (x *Collector) Need(needs []signatures.MetricNeed) { x.filter.Set(needs, x.o.Keep...) }

// Run implements [collector.Collector].
func (x *Collector) Run(ctx context.Context, emit collector.Emit) error {
	var mu sync.Mutex // several sources share one emit
	one := func(ctx context.Context, frame []byte) error {
		mu.Lock()
		defer mu.Unlock()
		return emit(ctx, frame)
	}
	group, ctx := errgroup.WithContext(ctx)
	if x.o.Scrape != nil {
		group.Go(func() error { return x.scrape(ctx, one) })
	}
	if x.o.RemoteWrite != nil {
		group.Go(func() error { return x.receive(ctx, one) })
	}
	for _, a := range x.ask {
		group.Go(func() error { return a.run(ctx, one) })
	}
	return group.Wait()
}

func (x *Collector) scrape(ctx context.Context, emit collector.Emit) error {
	o := x.o.Scrape
	instance, scope := "scrape", record.Attrs(nil)
	if o.Of == OfNode {
		if x.c.Node == "" {
			return errors.New("scrape the targets of a node: the node has no name: set it, in a pod from spec.nodeName")
		}
		instance, scope = instance+"/"+x.c.Node, record.Attrs{{Key: record.Node, Value: x.c.Node}}
	}
	out, err := x.c.Outlet(instance, scope, emit, record.Sample)
	if err != nil {
		return err
	}
	find := x.find
	if len(x.static) > 0 || len(find) == 0 {
		find = append([]Discovery{Find(func(context.Context) ([]Target, error) { return x.static, nil })}, find...)
	}
	client, err := Access{}.Client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	defer x.idle()
	s := &scraper{
		c: x.c, filter: &x.filter, stats: &x.stats, client: client, find: find, out: out,
		interval: longer(o.Interval, 30*time.Second), patience: longer(o.Timeout, 10*time.Second), discover: longer(o.Discover, 30*time.Second),
		concurrency: cmp.Or(o.Concurrency, 16), samples: cmp.Or(o.Samples, 50_000), bodyBytes: int64(cmp.Or(o.BodyMB, 64)) << 20,
		silence: &silence{name: x.c.Name + "/" + instance, emit: emit, checkpoints: x.c.Checkpoints, log: x.c.Log()},
	}
	return through(ctx, out, s.run)
}

// idle closes the connections to the static targets.
func (x *Collector) idle() {
	closed := map[*http.Client]bool{}
	for i := range x.static {
		if c := x.static[i].Client; c != nil && !closed[c] {
			closed[c] = true
			c.CloseIdleConnections()
		}
	}
}

// through does work that adds to an outlet. When the work has ended, what it added is given out.
func through(ctx context.Context, out *collector.Outlet, work func(ctx context.Context) error) error {
	var group errgroup.Group
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group.Go(func() error {
		err := out.Run(running)
		if err != nil {
			cancel(err)
		}
		return err
	})
	err := work(ctx)
	stop()
	if last := group.Wait(); !errors.Is(err, last) {
		err = errors.Join(err, last)
	}
	return err
}

// counters are what happened since the process began.
type counters struct {
	bytes, lines, seen, stale atomic.Uint64
}

// Stats are what a collector has seen besides what it kept; what it lost is in its meter.
type Stats struct {
	// Bytes and Lines are of scrapes, unpacked; Samples are those that came by remote write. Most of them no signature looks at.
	Bytes, Lines, Samples uint64
	// Stale are samples that have no value: marks of series that ended, and NaN.
	Stale uint64
}

// Stats returns what was seen so far. Any goroutine may call it.
func (x *Collector) Stats() Stats {
	return Stats{Bytes: x.stats.bytes.Load(), Lines: x.stats.lines.Load(), Samples: x.stats.seen.Load(), Stale: x.stats.stale.Load()}
}
