package collector

import (
	"context"
	"log/slog"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// Common is what the process gives to every collector. Its zero value works: nothing is counted, logged or kept.
type Common struct {
	// Name is what the configuration calls the collector; it is the first part of its sources' names.
	Name string
	// Cluster goes onto every record as k8s.cluster.name; Node is the node that the process runs on, when it matters.
	Cluster, Node string
	// BatchBytes, Compress and KeepSecrets are as in [OutletOptions].
	BatchBytes            int
	Compress, KeepSecrets bool
	// Secrets say what is taken out of records; nil is everything that is known to be secret.
	Secrets *Secrets
	// Enricher completes records with where their pods belong; nil when nobody knows.
	Enricher Enricher
	// Stored waits until everything that was emitted is stored; nil when nobody can tell.
	Stored func(ctx context.Context) error
	// Checkpoints keep positions; nil when nothing is kept.
	Checkpoints Checkpoints
	Meter       *Meter
	Logger      *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Outlet makes an outlet for one source of the collector, whose name is the collector's own with a slash and the instance, if that is not
// empty.
func (c *Common) Outlet(instance string, scope record.Attrs, emit Emit, kinds ...record.Kind) (*Outlet, error) {
	source := c.Name
	if instance != "" {
		source += "/" + instance
	}
	o := OutletOptions{
		Source: source, Scope: scope, Kinds: kinds, BatchBytes: c.BatchBytes, Compress: c.Compress, KeepSecrets: c.KeepSecrets, Secrets: c.Secrets,
		Stored: c.Stored, Enricher: c.Enricher, Meter: c.Meter, Now: c.Now,
	}
	if c.Cluster != "" {
		o.Attrs = record.Attrs{{Key: record.Cluster, Value: c.Cluster}}
	}
	return NewOutlet(o, emit)
}

// Log returns the logger, which is never nil.
func (c *Common) Log() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

// Clock returns the clock, which is never nil.
func (c *Common) Clock() func() time.Time {
	if c.Now == nil {
		return time.Now
	}
	return c.Now
}
