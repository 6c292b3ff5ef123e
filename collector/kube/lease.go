package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/signatures"
)

// LeaseOptions say by which Lease the processes of a cluster agree on who collects. The zero value is good.
type LeaseOptions struct {
	Off       bool                `yaml:"off,omitempty" json:"off,omitempty" doc:"Collect without a Lease; for a cluster that one process collects from, or where none may be made."`
	Namespace string              `yaml:"namespace,omitempty" json:"namespace,omitempty" doc:"Where the Leases are; without it the pod's own namespace, or that of the kubeconfig's context."`
	Name      string              `yaml:"name,omitempty" json:"name,omitempty" doc:"How the Leases' names begin, a dash and the collector's name behind it; forewarn without it."`
	Duration  signatures.Duration `yaml:"duration,omitempty" json:"duration,omitempty" doc:"After what time another process follows one that died; 15s without it. One that ends in order is followed at once."`
}

// LeaseNeeds are what leading needs, in the namespace of the Leases alone. leases are their names: see LeaseName.
func LeaseNeeds(leases ...string) Needs {
	return Needs{
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: leases, Verbs: []string{"get", "update"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create"}},
	}
}

// LeaseName returns the name of a collector's Lease.
func (o LeaseOptions) LeaseName(collector string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, cmp.Or(o.Name, "forewarn")+"-"+collector)
	return strings.Trim(name[:min(len(name), 63)], "-")
}

// Led returns a collector that runs inner while this process holds the Lease of the collector c.Name, so that one process a cluster collects.
// When the Lease is lost, inner is stopped and runs again when it is won back; a process that ends gives it up after inner has ended. A process
// that slept through the loss of its Lease can run inner for a moment beside another: what must not be given twice needs checkpoints that
// refuse a second writer.
func Led(o LeaseOptions, client *Client, c collector.Common, inner collector.Collector) (collector.Collector, error) {
	if o.Off {
		return inner, nil
	}
	duration := cmp.Or(time.Duration(o.Duration), 15*time.Second)
	if duration < 3*time.Second || duration > time.Hour {
		return nil, fmt.Errorf("lease duration %s: use 3s to 1h, or leave it out for 15s", duration)
	}
	if client == nil {
		return nil, errors.New("a lease needs a client: see Connect")
	}
	config := rest.CopyConfig(client.Config)
	config.ContentType = runtime.ContentTypeJSON
	config.Timeout = duration / 3 // a renewal that hangs must leave time for another
	leases, err := coordination.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &led{
		inner: inner, common: c, leases: leases, duration: duration, renew: duration * 2 / 3, retry: duration * 2 / 15,
		identity: fmt.Sprintf("%s_%08x", host, rand.Uint32()),
		meta:     metav1.ObjectMeta{Namespace: cmp.Or(o.Namespace, client.namespace), Name: o.LeaseName(c.Name)},
	}, nil
}

// led runs a collector while it holds a Lease.
type led struct {
	inner                  collector.Collector
	common                 collector.Common
	leases                 coordination.LeasesGetter
	duration, renew, retry time.Duration
	identity               string
	meta                   metav1.ObjectMeta
}

// Run implements [collector.Collector].
func (l *led) Run(ctx context.Context, emit collector.Emit) error {
	for {
		ended, err := l.term(ctx, emit)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case ended || err != nil:
			return err
		}
		l.common.Log().Warn("the Lease is lost: another process collects", "lease", l.meta.Namespace+"/"+l.meta.Name)
	}
}

// term waits for the Lease, and runs the inner collector until it ends, ctx is done or the Lease is lost. ended says that it ended by itself.
func (l *led) term(ctx context.Context, emit collector.Emit) (ended bool, err error) {
	ctx, stop := context.WithCancel(klog.NewContext(ctx, logr.Discard())) // the lock tells what goes wrong
	defer stop()
	done := make(chan struct{})
	lock := &lease{
		LeaseLock: &resourcelock.LeaseLock{LeaseMeta: l.meta, Client: l.leases, LockConfig: resourcelock.ResourceLockConfig{Identity: l.identity}},
		led:       l, done: done, giveUp: make(chan struct{}),
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: l.duration, RenewDeadline: l.renew, RetryPeriod: l.retry, ReleaseOnCancel: true, Name: l.meta.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				defer close(done)
				defer stop()
				inner, cancel := context.WithCancel(leading)
				defer cancel()
				defer lock.watch(inner, cancel)()
				err = l.inner.Run(inner, emit)
				ended = inner.Err() == nil
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return false, fmt.Errorf("lease %s: %w", l.meta.Name, err)
	}
	elector.Run(ctx)
	if lock.won {
		<-done
	}
	if !ended {
		return false, nil
	}
	return true, err
}

// lease is a Lease that is given up only when what ran under it has ended, and that tells what goes wrong with it.
type lease struct {
	*resourcelock.LeaseLock
	led    *led
	done   <-chan struct{} // what runs under it has ended
	giveUp chan struct{}   // closed when it is about to be given up
	giving sync.Once
	won    bool

	mu      sync.Mutex
	renewed time.Time
	trouble string // what was told last
}

// watch calls cancel when the Lease was not renewed for so long that another process may soon win it, or is about to be given up: the elector
// itself tells only after it has tried to give it up. The function that it returns ends that.
func (l *lease) watch(ctx context.Context, cancel func()) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(l.led.retry / 2)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-l.giveUp:
				cancel()
				return
			case <-t.C:
			}
			l.mu.Lock()
			late := time.Since(l.renewed) > l.led.renew+l.led.retry
			l.mu.Unlock()
			if late {
				cancel()
				return
			}
		}
	}()
	return func() {
		stop()
		<-ended
	}
}

var _ resourcelock.Interface = (*lease)(nil)

// RecordEvent implements resourcelock.Interface. It is called when the Lease was won, before anything runs under it, and when it was lost.
func (l *lease) RecordEvent(what string) {
	if what == "became leader" {
		l.won = true
		l.led.common.Log().Info("the Lease is held: this process collects", "lease", l.Describe())
	}
}

// Get implements resourcelock.Interface.
func (l *lease) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	r, raw, err := l.LeaseLock.Get(ctx)
	if !apierrors.IsNotFound(err) {
		l.tell(ctx, false, err)
	}
	return r, raw, err
}

// Create implements resourcelock.Interface.
func (l *lease) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	err := l.LeaseLock.Create(ctx, r)
	l.tell(ctx, true, err)
	return err
}

// Update implements resourcelock.Interface.
func (l *lease) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if r.HolderIdentity == "" {
		l.giving.Do(func() { close(l.giveUp) })
		select {
		case <-l.done:
		case <-ctx.Done():
			return context.Cause(ctx) // then the Lease runs out by itself
		}
	}
	err := l.LeaseLock.Update(ctx, r)
	l.tell(ctx, true, err)
	return err
}

// tell logs trouble with the Lease when it begins, and notes when it was written.
func (l *lease) tell(ctx context.Context, wrote bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.trouble = ""
		if wrote {
			l.renewed = time.Now()
		}
		return
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || ctx.Err() != nil { // another one was faster, or we stop
		return
	}
	why := "unknown"
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		why = string(reason)
	}
	if l.trouble != why {
		l.trouble = why
		l.led.common.Log().Warn("the Lease cannot be asked for or renewed", "lease", l.Describe(), "error", advise(err))
	}
}
