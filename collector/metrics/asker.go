package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// asker evaluates the expressions of one Prometheus, each at the same moments of every interval: a moment that is asked for again gives samples of the
// same identity.
type asker struct {
	o        *PrometheusOptions
	c        collector.Common
	filter   *Filter
	stats    *counters
	api      prometheus
	interval time.Duration
}

func (x *Collector) asker(o *PrometheusOptions) (*asker, error) {
	client, err := o.Access.Client()
	if err != nil {
		return nil, fmt.Errorf("prometheus %s: %w", o.Name, err)
	}
	return &asker{
		o: o, c: x.c, filter: &x.filter, stats: &x.stats, interval: longer(o.Interval, time.Minute),
		api: prometheus{o.URL, client, longer(o.Timeout, 30*time.Second)},
	}, nil
}

func (a *asker) run(ctx context.Context, emit collector.Emit) error {
	defer a.api.client.CloseIdleConnections()
	group, ctx := errgroup.WithContext(ctx)
	for _, q := range a.o.Queries {
		out, err := a.c.Outlet("prometheus/"+a.o.Name+"/"+q.Metric, nil, emit, record.Sample)
		if err != nil {
			return err
		}
		x := &question{asker: a, Query: q, out: out, name: a.c.Name + "/prometheus/" + a.o.Name + "/" + q.Metric}
		group.Go(func() error { return through(ctx, out, x.run) })
	}
	return group.Wait()
}

// question is one expression. It is a source of its own: when it fails, its own metric is what nobody can tell of.
type question struct {
	*asker
	Query
	out  *collector.Outlet
	name string

	done    time.Time // up to when it was evaluated; zero when it never was
	problem string    // what was told last
	told    map[string]bool
	unused  bool
}

// run evaluates the expression at every moment, and those that were missed as well: at the start what signatures look back at, after a failure or
// a restart what came in between.
func (x *question) run(ctx context.Context) error {
	x.told = map[string]bool{}
	if err := x.resume(); err != nil {
		x.c.Log().Warn("how far an expression was evaluated can't be read: it begins anew", slog.String("metric", x.Metric), slog.Any("error", err))
	}
	for {
		now := x.c.Clock()()
		at := now.Truncate(x.interval)
		if err := x.evaluate(ctx, at); err != nil {
			return err
		}
		if !x.rest(ctx, at.Add(x.interval)) {
			return context.Cause(ctx)
		}
	}
}

// rest waits for the next moment. Until then there is nothing to give, which it promises if the last one was given. It returns false when ctx is done.
func (x *question) rest(ctx context.Context, next time.Time) bool {
	for {
		now := x.c.Clock()()
		if !now.Before(next) {
			return ctx.Err() == nil
		}
		if x.unused || x.problem == "" {
			x.out.Alive(now)
		}
		if !sleep(ctx, min(next.Sub(now), promiseEvery)) {
			return false
		}
	}
}

// evaluate evaluates the expression at a moment and those before it that were missed. Only what the records can't be given to is an error.
func (x *question) evaluate(ctx context.Context, at time.Time) error {
	needed := x.filter.now().find([]byte(x.Metric))
	if needed == nil {
		if !x.unused {
			x.unused = true
			x.c.Log().Info("no signature looks at the metric: its expression is not evaluated", slog.String("metric", x.Metric))
		}
		return nil
	}
	x.unused = false
	if !x.done.IsZero() && !at.After(x.done) {
		return nil
	}
	from := at.Add(-x.window(needed)).Truncate(x.interval)
	if next := x.done.Add(x.interval); !x.done.IsZero() && next.After(from) {
		from = next
	}
	a, err := x.ask(ctx, from, at)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		x.failed(err)
		return nil
	}
	x.succeeded(&a)
	for i := range a.series {
		if err := x.add(ctx, needed, &a.series[i]); err != nil {
			return err
		}
	}
	x.out.Alive(at)
	if err := x.out.Flush(ctx); err != nil {
		return err
	}
	return x.reached(at)
}

func (x *question) ask(ctx context.Context, from, to time.Time) (answer, error) {
	if !from.Before(to) {
		return x.api.at(ctx, x.Expr, to)
	}
	return x.api.over(ctx, x.Expr, from, to, x.interval)
}

// window is how far back conditions look at the metric.
func (x *question) window(m *metric) time.Duration {
	var d time.Duration
	for i := range m.need {
		d = max(d, m.need[i].Window)
	}
	if most := time.Duration(x.o.Backfill); most > 0 {
		d = min(d, most)
	}
	return d
}

// failed tells a problem once, and counts it each time.
func (x *question) failed(err error) {
	x.c.Meter.Lost("failed_queries", 1)
	x.c.Meter.Connected(false)
	if text := reason(err); x.problem != text {
		x.problem = text
		x.c.Log().Warn("expression can't be evaluated", slog.String("prometheus", x.o.Name), slog.String("metric", x.Metric), slog.String("error", text))
	}
}

func (x *question) succeeded(a *answer) {
	x.c.Meter.Connected(true)
	if x.problem != "" {
		x.problem = ""
		x.c.Log().Info("expression is evaluated again", slog.String("prometheus", x.o.Name), slog.String("metric", x.Metric))
	}
	x.c.Meter.Lost("native_histograms", a.histograms)
	for _, w := range a.warnings {
		if x.told[w] || len(x.told) > 100 { // warnings may hold what changes from one to the next
			continue
		}
		x.told[w] = true
		x.c.Log().Warn("Prometheus warns of an expression", slog.String("prometheus", x.o.Name), slog.String("metric", x.Metric), slog.String("warning", w))
	}
}

func (x *question) add(ctx context.Context, m *metric, s *resultSeries) error {
	if !m.keeps(s.labels) {
		return nil
	}
	if len(s.labels) > format.MaxLabels {
		x.c.Meter.Lost("cut_labels", len(s.points))
	}
	attrs := format.SeriesAttrs(x.Metric, s.labels, nil)
	for _, p := range s.points {
		if math.IsNaN(p.value) {
			x.stats.stale.Add(1)
			continue
		}
		r := record.Record{Kind: record.Sample, Time: p.at * int64(time.Millisecond), Count: 1, Value: p.value, Attrs: attrs}
		r.ID = seriesID(x.o.Name, x.Metric, s.labels, r.Time)
		if err := x.out.Add(ctx, &r); err != nil {
			return err
		}
	}
	return nil
}

// labelsOf returns the labels of a result in their order. What the metric was called before the expression says nothing any more.
func labelsOf(m map[string]string) []format.Label {
	var out []format.Label
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if name != "__name__" && m[name] != "" {
			out = append(out, format.Label{Name: name, Value: m[name]})
		}
	}
	return out
}

func (x *question) resume() error {
	if x.c.Checkpoints == nil {
		return nil
	}
	b, err := x.c.Checkpoints.Load(x.name)
	if err != nil || len(b) == 0 {
		return err
	}
	ms, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return errors.New("the checkpoint is no time")
	}
	at := time.UnixMilli(ms)
	if at.After(x.c.Clock()()) {
		return errors.New("the checkpoint lies in the future: the clock was set back")
	}
	x.done = at
	return nil
}

// reached keeps how far the expression was evaluated, which is given out already.
func (x *question) reached(at time.Time) error {
	x.done = at
	if x.c.Checkpoints == nil {
		return nil
	}
	return x.c.Checkpoints.Save(x.name, strconv.AppendInt(nil, at.UnixMilli(), 10))
}
