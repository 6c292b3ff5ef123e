package kube

import (
	"cmp"
	"context"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

// kindChanges follows one kind: it tells what changes, and feeds the topology.
type kindChanges struct {
	resource  resource
	objects   *format.Objects
	feed      *feed // nil for kinds that the topology has no use for
	reflector *reflector
	whole     bool   // all that was there before was seen once, so that what is unknown is new
	failed    error  // of adding a record
	saved     string // the version that was saved last
}

var _ follower = (*kindChanges)(nil)

// kind makes what follows a kind, from where it was before a restart if that was saved. Records are added until ctx is done.
func (x *Changes) kind(ctx context.Context, r resource, outlet *collector.Outlet) *kindChanges {
	k := &kindChanges{resource: r}
	k.reflector = newReflector(x.client, r, k, &x.c)
	k.reflector.settle = x.settle
	k.objects = format.NewObjects(format.Input{
		Sink: addTo(func(r *record.Record) {
			if k.failed == nil {
				k.failed = outlet.Add(ctx, r)
			}
		}),
		Counts: &k.reflector.counts, Live: true, Clock: x.c.Clock(), Limits: format.Limits{Objects: x.o.Objects},
	})
	if x.topology != nil {
		k.objects.Complete = x.topology.Enrich
		if r.owners || r.kind == "Pod" || r.kind == "" { // a further kind may be what owns pods
			k.feed = x.topology.feed(r)
		}
	}
	version, ok := x.restore(k)
	k.whole = ok
	if version != "" {
		k.saved, k.reflector.version = version, version
		k.reflector.known.resumed()
		if k.feed != nil {
			k.reflector.learn = k.feed
		}
	}
	return k
}

// addTo is a sink of records.
type addTo func(r *record.Record)

// Add implements [format.Sink].
func (f addTo) Add(r *record.Record) { f(r) }

// run follows the kind after others were tried.
func (k *kindChanges) run(ctx context.Context, after []<-chan struct{}) error {
	for _, tried := range after {
		select {
		case <-tried:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return k.reflector.run(ctx)
}

func (k *kindChanges) listing() {
	k.objects.Listing()
	if k.feed != nil {
		k.feed.listing()
	}
}

func (k *kindChanges) listed(object []byte, kind string) error {
	told := format.TellTrouble
	if k.whole {
		told = format.TellNew
	}
	return k.compare(object, cmp.Or(k.resource.kind, kind), told)
}

func (k *kindChanges) complete(version string, unreadable bool) error {
	if k.feed != nil {
		_ = k.feed.complete(version, unreadable) // it cannot fail
	}
	if !unreadable { // else what could not be read would be taken for gone
		k.objects.Listed(k.resource.kind, version)
	}
	k.whole = true
	return k.failed
}

func (k *kindChanges) happened(verb string, object []byte) error {
	kind := cmp.Or(k.resource.kind, string(format.Member(object, "kind")))
	switch verb {
	case "DELETED":
		if k.feed != nil {
			_ = k.feed.happened(verb, object) // it cannot fail
		}
		k.objects.Deleted(object, kind, k.resource.api())
		return k.failed
	case "ADDED":
		return k.compare(object, kind, format.TellNew)
	}
	return k.compare(object, kind, format.TellTrouble) // it was there, though unseen
}

func (k *kindChanges) compare(object []byte, kind string, told format.Told) error {
	if k.feed != nil { // first, so that the object's own records are completed
		_ = k.feed.happened("ADDED", object) // it cannot fail
	}
	if !k.objects.Compare(object, kind, k.resource.api(), told) {
		k.reflector.counts.Add(format.BadItem, 1)
	}
	return k.failed
}
