package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
	"github.com/forewarn/forewarn/matcher/pipeline"
)

// destination is a notifier with what it wants to be told.
type destination struct {
	name     string
	notifier notify.Notifier
	wants    func(*matcher.Warning) bool
	person   bool
}

// destinations are those of the settings, or the terminal.
func (p *process) destinations(ctx context.Context) ([]destination, error) {
	var all []destination
	for name, n := range p.notifiers {
		all = append(all, destination{name: name, notifier: n})
	}
	env, err := p.notifyEnv(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range p.settings.Notify {
		n, err := notify.New(d, env)
		if err != nil {
			return nil, err
		}
		all = append(all, destination{d.Name, n, d.Wants, d.Person()})
	}
	if len(all) == 0 {
		n := p.notifier()
		_, person := n.(*notify.Terminal)
		all = append(all, destination{name: "terminal", notifier: n, person: person})
	}
	return all, nil
}

// delivery is a destination that is being served.
type delivery struct {
	*notify.Deliverer
	feed *pipeline.Feed
}

// openFeeds gives every destination its place in the stream. It comes before the matcher starts, because a destination that is new
// begins with what is told from then on.
func (p *process) openFeeds(ctx context.Context) error {
	all, err := p.destinations(ctx)
	if err != nil {
		return err
	}
	if err := p.openSilences(ctx); err != nil {
		return err
	}
	for _, d := range all {
		feed, err := pipeline.NewFeed(ctx, p.stream, d.name, p.log)
		if err != nil {
			return fmt.Errorf("destination %q: %w", d.name, err)
		}
		kept, err := p.stream.Delivery(context.WithoutCancel(ctx)) // what is decided is stored while the process stops
		if err != nil {
			return err
		}
		o := p.routerOptions(&d)
		goes := func(w *matcher.Warning) (goes, held bool) { return o.Goes(w, p.silences.now(), time.Now()) }
		if t, ok := d.notifier.(notify.Ticker); ok {
			last, err := p.stream.LastSeq(ctx, stream.Warnings, stream.WarningsSubject)
			if err != nil {
				return err
			}
			told, err := pipeline.Latest(ctx, p.stream)
			if err != nil {
				return err
			}
			i := &informed{Ticker: t, stream: p.stream, goes: goes, dress: p.dress, last: last}
			i.learn(slices.DeleteFunc(told, func(w matcher.Warning) bool { return w.State.Final() }))
			d.notifier = i
		}
		p.deliveries = append(p.deliveries, delivery{&notify.Deliverer{
			Name: d.name, Notifier: d.notifier, Feed: feed, Prepare: p.dress, Log: p.log,
			Router: notify.NewRouter(o), Keeper: kept, Instance: processName(), Silences: p.silences.now,
			Last: func(ctx context.Context) (uint64, error) {
				return p.stream.LastSeq(ctx, stream.Warnings, stream.WarningsSubject)
			},
		}, feed})
	}
	return p.registry.Register(&deliveries{p.deliveries})
}

// routerOptions say by what it is decided what a destination is told.
func (p *process) routerOptions(d *destination) notify.RouterOptions {
	r, _ := p.settings.rules() // they were checked when they were read
	replacer, ok := d.notifier.(notify.Replacer)
	o := notify.RouterOptions{
		Destination: d.name, Person: d.person, Replaces: ok && replacer.Replaces(), Wants: d.wants,
		Routes: r.routes, Inhibit: r.inhibit, Maintenance: r.maintenance,
	}
	if p.notifiers != nil {
		o.Routes = notify.Routes{} // they name other destinations
	}
	return o
}

// runNotify delivers to every destination until ctx ends.
func (p *process) runNotify(ctx context.Context) error {
	group, delivering := errgroup.WithContext(ctx)
	group.Go(func() error { return p.watchSilences(delivering) })
	group.Go(func() error {
		p.tellDeliveries(delivering)
		return nil
	})
	for _, d := range p.deliveries {
		group.Go(func() error {
			err := d.Run(delivering)
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return errors.Join(err, d.feed.Close(closing))
		})
	}
	return group.Wait()
}

// deliveries are the metrics of the deliverers.
type deliveries struct{ all []delivery }

var (
	deliveredDesc = prometheus.NewDesc("forewarn_notify_warnings_total", "Revisions of warnings by destination and what became of them.", []string{"destination", "result"}, nil)
	messagesDesc  = prometheus.NewDesc("forewarn_notify_messages_total", "Messages that were decided on, by destination.", []string{"destination"}, nil)
	heldDesc      = prometheus.NewDesc("forewarn_notify_held_total", "Warnings that were not told by themselves, by destination and why: digested (counted in a message), silenced, inhibited, folded (nothing new for a person), unrouted, crowded (only their number was kept).", []string{"destination", "reason"}, nil)
	waitingDesc   = prometheus.NewDesc("forewarn_notify_waiting_warnings", "Warnings that wait to be told, by destination.", []string{"destination"}, nil)
	silencedDesc  = prometheus.NewDesc("forewarn_notify_held_warnings", "Open warnings that are silenced or inhibited now, by destination.", []string{"destination"}, nil)
	retriesDesc   = prometheus.NewDesc("forewarn_notify_retries_total", "Deliveries that failed and were tried again, by destination.", []string{"destination"}, nil)
)

// Describe implements prometheus.Collector.
func (d *deliveries) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{deliveredDesc, retriesDesc, messagesDesc, heldDesc, waitingDesc, silencedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (d *deliveries) Collect(ch chan<- prometheus.Metric) {
	for _, x := range d.all {
		c := x.Counts()
		ch <- prometheus.MustNewConstMetric(deliveredDesc, prometheus.CounterValue, float64(c.Delivered), x.Name, "delivered")
		ch <- prometheus.MustNewConstMetric(deliveredDesc, prometheus.CounterValue, float64(c.Refused), x.Name, "refused")
		ch <- prometheus.MustNewConstMetric(retriesDesc, prometheus.CounterValue, float64(c.Failed), x.Name)
		if !c.Active {
			continue // the process that serves it tells the rest
		}
		r := &c.Router
		ch <- prometheus.MustNewConstMetric(messagesDesc, prometheus.CounterValue, float64(r.Messages), x.Name)
		for reason, n := range map[string]uint64{
			"digested": r.Digested, "silenced": r.Silenced, "inhibited": r.Inhibited, "folded": r.Folded, "unrouted": r.Unrouted, "crowded": r.Crowded,
		} {
			ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.CounterValue, float64(n), x.Name, reason)
		}
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(c.Waiting), x.Name)
		ch <- prometheus.MustNewConstMetric(silencedDesc, prometheus.GaugeValue, float64(c.Held), x.Name)
	}
}

// serve answers /metrics, /healthz (the process answers) and /readyz (the stream does).
func (p *process) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := p.stream.Ready(r.Context()); err != nil {
			http.Error(w, "the stream is not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		if p.matcher == nil {
			http.Error(w, "this process does not match", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.matcher.Status()) // the client is gone when this fails
	})
	p.tell(mux)
	listen := net.ListenConfig{}
	l, err := listen.Listen(ctx, "tcp", p.settings.Listen)
	if err != nil {
		return fmt.Errorf("%w: choose another address or port with --listen, or listen in the configuration", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(closing) // what is still open then is cut
	})
	defer stop()
	p.log.Info("listening", "address", l.Addr().String())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
