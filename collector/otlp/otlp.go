// Package otlp receives logs and metrics by the OpenTelemetry protocol, over gRPC and over HTTP in protobuf and JSON.
//
//	gRPC :4317 ──┐                       ┌─► logs: one log record each; Kubernetes events as event records
//	             ├──► decode, bounded ──►┤                                                                   ──► Outlet ──► answer
//	HTTP :4318 ──┘                       └─► metrics: named as Prometheus names them, the needed ones as samples
//
// A request is answered with success when its records were stored, and with what asks its sender to come again when there is no room now. What it
// holds has an identity of content, time and resource, so that a repeat is dropped downstream.
//
// README.md says what becomes of attributes, how metrics are named, and what can be lost.
package otlp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Options say where the protocol is received, and what of it is kept.
type Options struct {
	GRPC *receive.Options `yaml:"grpc,omitempty" json:"grpc,omitempty" doc:"Where gRPC is served; the protocol's port is 4317."`
	HTTP *receive.Options `yaml:"http,omitempty" json:"http,omitempty" doc:"Where HTTP is served, at /v1/logs and /v1/metrics; the protocol's port is 4318."`

	Attributes   []string `yaml:"attributes,omitempty" json:"attributes,omitempty" doc:"Attributes of logs that are kept before all others, besides those of Kubernetes, the service and the host; a name that ends with a dot means all that begin with it."`
	DropOthers   bool     `yaml:"drop_others,omitempty" json:"drop_others,omitempty" doc:"Leave out all other attributes of logs; without it they are kept while there is room."`
	KeepTraceIDs bool     `yaml:"keep_trace_ids,omitempty" json:"keep_trace_ids,omitempty" doc:"Keep trace_id and span_id of logs as attributes. They make each record's attributes its own, which costs room."`

	Keep      []string `yaml:"keep,omitempty" json:"keep,omitempty" doc:"Metrics that are kept besides those that some signature looks at, by the names that Prometheus would give them; * keeps all."`
	MaxSeries int      `yaml:"max_series,omitempty" json:"max_series,omitempty" doc:"How many series with delta temporality are added up at a time; 100000 without it."`
	MaxEvents int      `yaml:"max_events,omitempty" json:"max_events,omitempty" doc:"Of how many Kubernetes events the count is remembered; 100000 without it."`

	Delay       signatures.Duration `yaml:"delay,omitempty" json:"delay,omitempty" doc:"How long senders may hold back what they have; that nothing happened is believed only of what is longer ago. 30s without it."`
	AssumeAlive bool                `yaml:"assume_alive,omitempty" json:"assume_alive,omitempty" doc:"Take silence for nothing having happened while the receiver listens."`
}

// Collector receives by OTLP. It is made by [New].
type Collector struct {
	o          Options
	c          collector.Common
	grpc, http *receive.Guard // nil is not served
	needed     atomic.Pointer[map[string]bool]
	sums       sums
	events     ledger
	ready      func(grpc, http string) // told where it listens; for tests
}

var _ collector.Collector = (*Collector)(nil)

// New makes a collector. Its error holds every mistake. No metric is kept until [Collector.Need] was called, but for what [Options.Keep] names.
func New(o Options, c collector.Common) (*Collector, error) {
	x := &Collector{c: c}
	var problems []error
	if o.GRPC == nil && o.HTTP == nil {
		problems = append(problems, errors.New("neither grpc nor http is set: set one of them, such as grpc: {listen: \":4317\"}"))
	}
	for _, s := range []struct {
		name  string
		o     *receive.Options
		guard **receive.Guard
	}{{"grpc", o.GRPC, &x.grpc}, {"http", o.HTTP, &x.http}} {
		if s.o == nil {
			continue
		}
		g, err := receive.NewGuard(*s.o, c.Log())
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.name, err))
		}
		*s.guard = g
	}
	for _, n := range []struct {
		name  string
		value *int
	}{{"max_series", &o.MaxSeries}, {"max_events", &o.MaxEvents}} {
		if *n.value < 0 {
			problems = append(problems, fmt.Errorf("%s %d: it cannot be negative; leave it out for 100000", n.name, *n.value))
		}
		*n.value = cmp.Or(*n.value, 100_000)
	}
	if o.Delay < 0 {
		problems = append(problems, fmt.Errorf("delay %s: it cannot be negative; leave it out for 30s", time.Duration(o.Delay)))
	}
	o.Delay = cmp.Or(o.Delay, signatures.Duration(30*time.Second))
	if slices.Contains(o.Attributes, "") {
		problems = append(problems, errors.New("attributes: a name is empty"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	x.o, x.c.Name = o, cmp.Or(c.Name, "otlp")
	x.sums.series.limit, x.events.counts.limit = o.MaxSeries, o.MaxEvents
	x.events.turn = make(chan struct{}, 1)
	x.Need(nil)
	return x, nil
}

// Need replaces which metrics are kept. Any goroutine may call it, also while the collector runs. Labels are not looked at.
func (x *Collector) Need(needs []signatures.MetricNeed) {
	names := make(map[string]bool, len(needs)+len(x.o.Keep))
	for i := range needs {
		names[needs[i].Metric] = true
	}
	for _, name := range x.o.Keep {
		names[name] = true
	}
	x.needed.Store(&names)
}

// keeps reports whether a metric is kept, by its name in Prometheus.
func (x *Collector) keeps(name string) bool {
	names := *x.needed.Load()
	return names[name] || names["*"]
}

// Run implements [collector.Collector].
func (x *Collector) Run(ctx context.Context, emit collector.Emit) error {
	outlet, err := x.c.Outlet("", nil, emit, record.Log, record.Event, record.Sample)
	if err != nil {
		return err
	}
	in := receive.NewIntake(outlet)
	var servers []func(ctx context.Context) error
	var grpcAddress, httpAddress string
	if x.http != nil {
		s := receive.NewServer(x.http, x.c.Log(), x.answered, x.routes(in)...)
		a, err := s.Listen(ctx)
		if err != nil {
			return err
		}
		httpAddress = a.String()
		servers = append(servers, s.Run)
	}
	if x.grpc != nil {
		l, err := x.grpc.Listen(ctx)
		if err != nil {
			return err
		}
		grpcAddress = l.Addr().String()
		servers = append(servers, func(ctx context.Context) error { return x.serveGRPC(ctx, l, in) })
	}
	x.c.Meter.Connected(true)
	defer x.c.Meter.Connected(false)
	if x.ready != nil {
		x.ready(grpcAddress, httpAddress)
	}
	var alive func() time.Time
	if x.o.AssumeAlive {
		alive = func() time.Time { return x.c.Clock()().Add(-time.Duration(x.o.Delay)) }
	}
	return in.Run(ctx, alive, servers...)
}

// answered counts requests whose records are lost, because their sender does not come again.
func (x *Collector) answered(_ string, status int) {
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests {
		x.c.Meter.Lost("refused_requests", 1)
	}
}

// upTo is what a request promises whose newest record is of a time.
func (x *Collector) upTo(newest int64) time.Time {
	if newest == 0 {
		return time.Time{}
	}
	return time.Unix(0, min(newest, x.c.Clock()().UnixNano())).Add(-time.Duration(x.o.Delay))
}
