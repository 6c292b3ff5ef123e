// Package node collects what the nodes of a cluster say by themselves, on each node:
//
//	Logs     the logs of containers in /var/log/pods, and any other files
//	Journal  the journal of systemd, through journalctl
//	Kernel   the kernel's messages, from /dev/kmsg
//
// Each is a [collector.Collector] with a checkpoint that survives kill -9: after a restart it goes on behind what is stored. What is
// read twice has the id that it had. README.md lists what each can lose and under which name it is counted.
package node

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// checkpointEvery is how often positions are saved.
const checkpointEvery = time.Second

// attrs are what all records of a node have in common.
func attrs(c *collector.Common) record.Attrs {
	a := record.Attrs(nil)
	return a.With(record.Cluster, c.Cluster).With(record.Node, c.Node)
}

// scope is what a node's collector speaks for.
func scope(c *collector.Common) record.Attrs {
	return record.Attrs(nil).With(record.Cluster, c.Cluster).With(record.Node, c.Node)
}

// carry runs what reads one source into an outlet, gives out what waits, and saves the position every now and then.
//
// read adds records until ctx is done; it may be called from no other goroutine. place returns what is to be saved, which covers everything
// that was added before it is called, and nil when there is nothing new.
func carry(ctx context.Context, c *collector.Common, emit collector.Emit, read func(context.Context, *collector.Outlet) error, place func() []byte) error {
	out, err := c.Outlet(c.Node, scope(c), emit, record.Log)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return out.Run(ctx) })
	g.Go(func() error { return read(ctx, out) })
	g.Go(func() error {
		t := time.NewTicker(checkpointEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				defer cancel()
				save(last, c, out, place)
				return nil
			case <-t.C:
				save(ctx, c, out, place)
			}
		}
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// save saves the position once all that it covers is stored. What cannot be saved is read again after a restart, no more.
func save(ctx context.Context, c *collector.Common, out *collector.Outlet, place func() []byte) {
	if c.Checkpoints == nil {
		return
	}
	at := place()
	if at == nil || out.Flush(ctx) != nil {
		return
	}
	if err := c.Checkpoints.Save(c.Name, at); err != nil {
		c.Log().Warn("a position cannot be saved, after a restart more is read again", "error", err)
	}
}
