package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
)

// destination is a notifier with what it wants to be told.
type destination struct {
	name     string
	notifier notify.Notifier
	wants    func(*matcher.Warning) bool
}

// destinations are those of the settings, or the terminal.
func (p *process) destinations() ([]destination, error) {
	var all []destination
	for name, n := range p.notifiers {
		all = append(all, destination{name: name, notifier: n})
	}
	client := &http.Client{}
	for _, d := range p.settings.Notify {
		n, err := notify.New(d, p.out, p.style(), client)
		if err != nil {
			return nil, err
		}
		all = append(all, destination{d.Name, n, d.Wants})
	}
	if len(all) == 0 {
		all = append(all, destination{name: "terminal", notifier: p.notifier()})
	}
	return all, nil
}

// runNotify delivers to every destination until ctx ends. Each has a place of its own in the stream.
func (p *process) runNotify(ctx context.Context) error {
	all, err := p.destinations()
	if err != nil {
		return err
	}
	var running []*notify.Deliverer
	group, delivering := errgroup.WithContext(ctx)
	for _, d := range all {
		consumer, err := p.stream.Consume(ctx, stream.ConsumerConfig{
			Stream: stream.Warnings, Subject: stream.WarningsSubject, Durable: "notify-" + d.name, Pinned: true, Ordered: true,
		})
		if err != nil {
			return err
		}
		if t, ok := d.notifier.(notify.Ticker); ok {
			told, err := notify.Latest(ctx, p.stream)
			if err != nil {
				return err
			}
			t.Prime(told)
		}
		deliverer := &notify.Deliverer{
			Name: d.name, Notifier: d.notifier, Log: p.log, Feed: &notify.StreamFeed{Consumer: consumer, Wants: d.wants, Log: p.log},
		}
		running = append(running, deliverer)
		group.Go(func() error {
			err := deliverer.Run(delivering)
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return errors.Join(err, consumer.Close(closing))
		})
	}
	p.deliveries.Store(&running)
	p.registry.MustRegister(&deliveries{p}) // once: a process delivers once
	return group.Wait()
}

// deliveries are the metrics of the deliverers.
type deliveries struct{ p *process }

var (
	deliveredDesc = prometheus.NewDesc("forewarn_notify_warnings_total", "Revisions of warnings by destination and what became of them.", []string{"destination", "result"}, nil)
	retriesDesc   = prometheus.NewDesc("forewarn_notify_retries_total", "Deliveries that failed and were tried again, by destination.", []string{"destination"}, nil)
)

// Describe implements prometheus.Collector.
func (d *deliveries) Describe(ch chan<- *prometheus.Desc) {
	ch <- deliveredDesc
	ch <- retriesDesc
}

// Collect implements prometheus.Collector.
func (d *deliveries) Collect(ch chan<- prometheus.Metric) {
	running := d.p.deliveries.Load()
	if running == nil {
		return
	}
	for _, x := range *running {
		c := x.Counts()
		ch <- prometheus.MustNewConstMetric(deliveredDesc, prometheus.CounterValue, float64(c.Delivered), x.Name, "delivered")
		ch <- prometheus.MustNewConstMetric(deliveredDesc, prometheus.CounterValue, float64(c.Refused), x.Name, "refused")
		ch <- prometheus.MustNewConstMetric(retriesDesc, prometheus.CounterValue, float64(c.Failed), x.Name)
	}
}

// serve answers /metrics, /healthz (the process answers) and /readyz (the stream does).
func (p *process) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if _, err := p.stream.Info(r.Context()); err != nil {
			http.Error(w, "the stream does not answer: "+err.Error(), http.StatusServiceUnavailable)
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
	listen := net.ListenConfig{}
	l, err := listen.Listen(ctx, "tcp", p.settings.Listen)
	if err != nil {
		return err
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
