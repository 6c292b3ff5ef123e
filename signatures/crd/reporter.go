package crd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// ReporterOptions of a [Reporter].
type ReporterOptions struct {
	// Watcher knows the resources, and reaches the API server. Required.
	Watcher *Watcher
	// Warnings returns the newest warning of each signature, by the signature's id. It is asked every Interval. Nil: statuses tell of none.
	Warnings func(ctx context.Context) (map[string]LastWarning, error)
	// Logger gets changes of state. Default: none.
	Logger *slog.Logger
	// Interval is how often it is looked for newer warnings. Default 10s.
	Interval time.Duration
	// MinDelay and MaxDelay bound the time between two tries to write one status. Default 1s and 5m.
	MinDelay, MaxDelay time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Reporter writes into the status of each resource what became of it, and only when that changed. One of several processes should run it at a
// time; when two do, they write the same unless they have armed different things.
type Reporter struct {
	o ReporterOptions

	mu       sync.Mutex
	verdicts map[Ref]Verdict
	judged   chan struct{}

	warnings map[string]LastWarning
	retries  map[Ref]retry
	failing  bool
}

// retry is when a status whose writing failed is tried again.
type retry struct {
	at    time.Time
	delay time.Duration
}

// NewReporter makes a reporter that writes nothing until [Reporter.Run].
func NewReporter(o ReporterOptions) (*Reporter, error) {
	if o.Watcher == nil {
		return nil, errors.New("report on custom resources: no watcher")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		at    *time.Duration
		value time.Duration
	}{{&o.Interval, 10 * time.Second}, {&o.MinDelay, time.Second}, {&o.MaxDelay, 5 * time.Minute}} {
		if *d.at <= 0 {
			*d.at = d.value
		}
	}
	return &Reporter{o: o, judged: make(chan struct{}, 1), retries: map[Ref]retry{}}, nil
}

// Judge takes what became of all resources when the signatures were armed. It may be called from any goroutine, before and while Run runs. The
// map is the reporter's from then on.
func (r *Reporter) Judge(verdicts map[Ref]Verdict) {
	r.mu.Lock()
	r.verdicts = verdicts
	r.mu.Unlock()
	select {
	case r.judged <- struct{}{}:
	default: // it will look anyway
	}
}

// Run writes statuses until ctx ends, and then returns nil. It may be run again.
func (r *Reporter) Run(ctx context.Context) error {
	tick := time.NewTicker(r.o.Interval)
	defer tick.Stop()
	again := time.NewTimer(0) // for the first warnings, and for what is to be tried again
	defer again.Stop()
	r.ask(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.ask(ctx)
		case <-again.C:
		case <-r.judged:
		case <-r.o.Watcher.moved:
		}
		if next := r.write(ctx); next > 0 {
			again.Reset(next)
		}
	}
}

// ask looks for newer warnings. What was known stays when that fails.
func (r *Reporter) ask(ctx context.Context) {
	if r.o.Warnings == nil {
		return
	}
	warnings, err := r.o.Warnings(ctx)
	if err != nil {
		if !r.failing && ctx.Err() == nil {
			r.o.Logger.Warn("the newest warnings cannot be read: custom resources do not tell of them yet", "error", err)
		}
		r.failing = true
		return
	}
	r.failing, r.warnings = false, warnings
}

// write brings all statuses up to date, and returns when to try again, 0 for when something changes.
func (r *Reporter) write(ctx context.Context) time.Duration {
	r.mu.Lock()
	verdicts := r.verdicts
	r.mu.Unlock()
	all, _ := r.o.Watcher.Resources()
	now := r.o.Now()
	var next time.Duration
	later := func(d time.Duration) {
		if next == 0 || d < next {
			next = d
		}
	}
	here := make(map[Ref]bool, len(all))
	for _, x := range all {
		here[x.Ref] = true
		v, ok := verdicts[x.Ref]
		if !ok || v.Hash != x.Hash {
			continue // it will be judged
		}
		s := x.judged(v, r.last(x), now)
		if s.equal(x.status) {
			delete(r.retries, x.Ref)
			continue
		}
		again, failed := r.retries[x.Ref]
		if failed && now.Before(again.at) {
			later(again.at.Sub(now))
			continue
		}
		err := r.patch(ctx, x, s)
		switch {
		case ctx.Err() != nil:
			return 0
		case err == nil:
			delete(r.retries, x.Ref)
			r.o.Watcher.wrote(x, s)
		case apierrors.IsNotFound(err) || apierrors.IsConflict(err): // it is gone, or another one; the watcher will say so
		default:
			if !failed {
				r.o.Logger.Warn("a status cannot be written; it is tried again", "resource", x.Ref.String(), "error", err)
			}
			again.delay = min(max(2*again.delay, r.o.MinDelay), r.o.MaxDelay)
			again.at = now.Add(again.delay)
			r.retries[x.Ref] = again
			later(again.delay)
		}
	}
	for ref := range r.retries {
		if !here[ref] {
			delete(r.retries, ref)
		}
	}
	return next
}

// last is the newest warning of the resource's signature: what the resource told already stays when no process knows it any more.
func (r *Reporter) last(x *Resource) *LastWarning {
	if w, ok := r.warnings[x.Ref.ID()]; ok && (x.status.LastWarning == nil || !w.Time.Before(x.status.LastWarning.Time)) {
		w.Time = w.Time.Truncate(time.Second).UTC() // as the API server has times
		return &w
	}
	return x.status.LastWarning
}

func (r *Reporter) patch(ctx context.Context, x *Resource, s Status) error {
	body, err := s.patch(x.uid)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var at dynamic.ResourceInterface = r.o.Watcher.client.Resource(x.Ref.Kind.Resource())
	if x.Ref.Namespace != "" {
		at = r.o.Watcher.client.Resource(x.Ref.Kind.Resource()).Namespace(x.Ref.Namespace)
	}
	if _, err := at.Patch(ctx, x.Ref.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "forewarn"}, "status"); err != nil {
		return fmt.Errorf("write the status of %s: %w", x.Ref, err)
	}
	return nil
}
