// Package alerts collects the alerts that an Alertmanager sends to a webhook: each change of an alert's state is an [record.Alert] record, so that
// alerts can be stages and incidents of signatures.
//
//	POST /api/v1/alerts ──► one record an alert: alert.name, alert.state, label.<name>, topology ──► Outlet ──► 200
//
// An Alertmanager repeats what still fires, and a pair of them sends everything twice: an alert's fingerprint, start and state make its identity,
// so that repeats are dropped downstream.
package alerts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// Path is where alerts are sent to.
const Path = "/api/v1/alerts"

// Options say where alerts are received and what they are taken for.
type Options struct {
	Server      receive.Options     `yaml:"server" json:"server" doc:"Where the webhook listens; its path is /api/v1/alerts."`
	Delay       signatures.Duration `yaml:"delay,omitempty" json:"delay,omitempty" doc:"How long an Alertmanager may hold an alert back (group_wait and group_interval): that nothing fired is believed only of what is longer ago. 1m without it."`
	AssumeAlive bool                `yaml:"assume_alive,omitempty" json:"assume_alive,omitempty" doc:"Take silence for no alerts while the receiver listens. Without it a silent Alertmanager makes it unknown that an alert did not fire; an alert that always fires, such as Watchdog, keeps it known."`
}

// Collector receives alerts. It is made by [New].
type Collector struct {
	o     Options
	c     collector.Common
	guard *receive.Guard
	ready func(address string) // told where it listens; for tests
}

var _ collector.Collector = (*Collector)(nil)

// New makes a collector of alerts. Its error holds every mistake.
func New(o Options, c collector.Common) (*Collector, error) {
	g, err := receive.NewGuard(o.Server, c.Log())
	if o.Delay < 0 {
		err = errors.Join(err, fmt.Errorf("delay %s: it cannot be negative; leave it out for 1m", time.Duration(o.Delay)))
	}
	if err != nil {
		return nil, err
	}
	o.Delay = cmp.Or(o.Delay, signatures.Duration(time.Minute))
	c.Name = cmp.Or(c.Name, "alerts")
	return &Collector{o: o, c: c, guard: g}, nil
}

// Run implements [collector.Collector].
func (x *Collector) Run(ctx context.Context, emit collector.Emit) error {
	outlet, err := x.c.Outlet("", nil, emit, record.Alert)
	if err != nil {
		return err
	}
	in := receive.NewIntake(outlet)
	server := receive.NewServer(x.guard, x.c.Log(), x.answered, x.route(in))
	address, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	x.c.Meter.Connected(true)
	defer x.c.Meter.Connected(false)
	if x.ready != nil {
		x.ready(address.String())
	}
	var alive func() time.Time
	if x.o.AssumeAlive {
		alive = x.settled
	}
	return in.Run(ctx, alive, server.Run)
}

// settled returns up to when every alert that fired has been sent.
func (x *Collector) settled() time.Time { return x.c.Clock()().Add(-time.Duration(x.o.Delay)) }

// answered counts requests whose alerts are lost, because their sender does not come again.
func (x *Collector) answered(_ string, status int) {
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests {
		x.c.Meter.Lost("refused_requests", 1)
	}
}

func (x *Collector) route(in *receive.Intake) receive.Route {
	return receive.Route{
		Path: Path, Types: []string{"application/json"}, Encodings: []string{receive.Gzip},
		Handle: func(ctx context.Context, q receive.Request) (receive.Reply, error) {
			m, err := decode(q.Body)
			if err != nil {
				return receive.Reply{}, receive.Refuse(http.StatusBadRequest, "%v", err)
			}
			now := x.c.Clock()()
			records, lost := m.records(now)
			if len(records) == 0 && lost.bad > 0 {
				return receive.Reply{}, receive.Refuse(http.StatusBadRequest, "none of the %d alerts can be read: each needs the label alertname and the status firing or resolved", lost.bad)
			}
			if err := in.Accept(ctx, records, x.settled()); err != nil {
				return receive.Reply{}, err
			}
			x.c.Meter.Lost("truncated_alerts", lost.truncated)
			x.c.Meter.Lost("bad_alerts", lost.bad)
			x.c.Meter.Lost("labels", lost.labels)
			return receive.Reply{}, nil
		},
	}
}
