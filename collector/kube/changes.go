package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// ChangesOptions say which objects' changes are collected.
type ChangesOptions struct {
	Kinds        []string            `yaml:"kinds,omitempty" json:"kinds,omitempty" doc:"Further kinds whose changes are collected, as group/version/resource, such as cert-manager.io/v1/certificates."`
	Without      []string            `yaml:"without,omitempty" json:"without,omitempty" doc:"Kinds that are left out of those collected by default, by resource and group, such as leases.coordination.k8s.io."`
	Certificates bool                `yaml:"certificates,omitempty" json:"certificates,omitempty" doc:"Tell when certificates in Secrets of type kubernetes.io/tls expire. It takes the right to list and watch Secrets; nothing else of them is kept or sent."`
	Objects      int                 `yaml:"objects,omitempty" json:"objects,omitempty" doc:"How many objects of a kind are remembered; 1000000 without it. Beyond it those not seen for longest are forgotten, and counted."`
	Save         signatures.Duration `yaml:"save,omitempty" json:"save,omitempty" doc:"How often what is known is saved, to go on from there after a restart; 10s without it. Large states are saved more seldom, so that it takes a twentieth of the time at most."`
}

// resources returns what is watched. Its error holds every problem.
func (o *ChangesOptions) resources() ([]resource, error) {
	all := resources()
	if o.Certificates {
		all = append(all, certificates())
	}
	var problems []error
	for _, name := range o.Without {
		n := len(all)
		all = slices.DeleteFunc(all, func(r resource) bool { return r.String() == name })
		if len(all) == n {
			problems = append(problems, fmt.Errorf("without: %q is not collected by default: it is one of %q", name, all))
		}
	}
	for _, s := range o.Kinds {
		r, err := parseResource(s)
		switch {
		case err != nil:
			problems = append(problems, err)
		case r.group == "" && r.name == "secrets":
			problems = append(problems, fmt.Errorf("kind %q: set certificates to be told when those in Secrets expire; nothing else of them is looked at", s))
		case slices.ContainsFunc(all, func(x resource) bool { return x.String() == r.String() }):
			problems = append(problems, fmt.Errorf("kind %q is collected already: leave it out", s))
		default:
			all = append(all, r)
		}
	}
	if o.Objects < 0 {
		problems = append(problems, fmt.Errorf("objects %d: it cannot be negative; leave it out for 1000000", o.Objects))
	}
	if o.Save < 0 {
		problems = append(problems, fmt.Errorf("save %s: it cannot be negative; leave it out for 10s", time.Duration(o.Save)))
	}
	return all, errors.Join(problems...)
}

// Needs are what the collector must be allowed to do. What it is not allowed it does without, and says so.
func (o *ChangesOptions) Needs() (Needs, error) {
	all, err := o.resources()
	return needs(all), err
}

// Changes collects what changes in the objects of a cluster, and keeps a topology up to date. It holds of each object only what tells the next
// difference: about a kilobyte for a pod.
//
// Of objects that are there when it begins it tells what is wrong with them, and nothing else; of those that are made later also that they are
// there. With checkpoints a restart goes on where it was, and tells what happened meanwhile; what it told and did not save it tells again
// with the same ids.
type Changes struct {
	o        ChangesOptions
	c        collector.Common
	client   *Client
	topology *Topology
	all      []resource
	settle   time.Duration
}

var _ collector.Collector = (*Changes)(nil)

// NewChanges makes the collector of changes. topology is fed by it, and completes its records.
func NewChanges(o ChangesOptions, client *Client, topology *Topology, c collector.Common) (*Changes, error) {
	all, err := o.resources()
	if err != nil {
		return nil, fmt.Errorf("changes: %w", err)
	}
	c.Enricher = nil // it has the topology, and uses it earlier
	o.Objects = cmp.Or(o.Objects, 1_000_000)
	o.Save = cmp.Or(o.Save, signatures.Duration(10*time.Second))
	return &Changes{o: o, c: c, client: client, topology: topology, all: all, settle: settleFor}, nil
}

// Run implements [collector.Collector].
func (x *Changes) Run(ctx context.Context, emit collector.Emit) error {
	outlet, err := x.c.Outlet(x.c.Cluster, nil, emit, record.Change)
	if err != nil {
		return fmt.Errorf("changes: %w", err)
	}
	x.c.Meter.Connected(false)
	defer x.c.Meter.Connected(false)
	group, running := errgroup.WithContext(ctx)
	kinds := make([]*kindChanges, 0, len(x.all))
	for _, r := range x.all {
		kinds = append(kinds, x.kind(running, r, outlet))
	}
	var owners []<-chan struct{}
	for _, k := range kinds {
		if k.resource.owners {
			owners = append(owners, k.reflector.tried)
		}
	}
	for _, k := range kinds {
		var after []<-chan struct{}
		if k.resource.kind == "Pod" { // its records say whose it is
			after = owners
		}
		group.Go(func() error { return k.run(running, after) })
	}
	group.Go(func() error { return x.promise(running, kinds, outlet) })
	group.Go(func() error { return x.keep(running, kinds, outlet) })

	// The outlet outlives those that add to it, for their last words.
	giving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	given := make(chan error, 1)
	group.Go(func() error {
		select {
		case err := <-given:
			return err
		case <-running.Done():
			return nil
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		given <- outlet.Run(giving)
	}()
	err = group.Wait()
	if ctx.Err() != nil {
		last, cancel := context.WithTimeout(giving, lastSave)
		defer cancel()
		if saved := x.save(last, kinds, outlet); saved != nil {
			x.c.Log().Warn("what was told last is not saved, and will be told again", "cause", saved)
		}
		err = context.Cause(ctx)
	}
	stop()
	<-done
	return err
}

// lastSave bounds how long saving may take when the collector is asked to end.
const lastSave = 5 * time.Second

// promise says every second up to when everything was told: up to when every kind is known that can be watched.
func (x *Changes) promise(ctx context.Context, kinds []*kindChanges, outlet *collector.Outlet) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	whole, told := false, false
	seconds := 0 // that something has been missing
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-second.C:
		}
		if t, ok := knownUpTo(x.c.Clock()(), kinds); ok {
			outlet.Alive(t)
		}
		lost, begun := missing(kinds)
		switch {
		case lost == nil && begun:
			if !whole && (told || seconds == 0) {
				x.c.Log().Info("every kind is watched that can be")
			}
			whole, told, seconds = true, false, 0
		case lost != nil:
			whole = false
			if seconds++; seconds > missingFor && !told {
				told = true
				x.c.Log().Warn("not every kind is watched; trying again", "kind", lost.resource.String(), "cause", lost.cause)
			}
		}
		x.c.Meter.Connected(whole)
	}
}

// missingFor is for how many seconds a kind may be missing before that is worth a word: a watch that is lost is often found again at once.
const missingFor = 5

// missingKind is a kind that is not watched and can be.
type missingKind struct {
	*kindChanges
	cause error
}

// missing returns the first kind that is missing, nil when there is none. begun is false while one was not tried yet.
func missing(kinds []*kindChanges) (lost *missingKind, begun bool) {
	begun = true
	for _, k := range kinds {
		cause, tried := k.reflector.known.missing()
		if cause != nil {
			return &missingKind{k, cause}, begun
		}
		begun = begun && tried
	}
	return nil, begun
}

// knownUpTo returns up to when all kinds are known that can be watched. ok is false when that is not known of one, or none can be watched.
func knownUpTo(now time.Time, kinds []*kindChanges) (t time.Time, ok bool) {
	for _, k := range kinds {
		at, known, counts := k.reflector.known.at(now)
		switch {
		case !counts:
		case !known:
			return time.Time{}, false
		case !ok || at.Before(t):
			t, ok = at, true
		}
	}
	return t, ok
}
