package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
)

// source is one collector that the configuration asks for.
type source struct {
	name string
	collector.Collector
}

// common is what the collectors of this process share.
func (s *settings) common(g *globals) collector.Common {
	return collector.Common{
		Cluster: s.Cluster, BatchBytes: s.Send.BatchKB << 10, Compress: s.Send.Compress, Logger: g.log,
		Checkpoints: collector.Directory(filepath.Join(s.DataDir, "collect")),
	}
}

// sources makes every collector that the configuration asks for. Its error holds all problems.
func (s *settings) sources(common collector.Common, meters *collector.Meters) ([]source, error) {
	var all []source
	var problems []error
	add := func(name string, make func(c collector.Common) (collector.Collector, error)) {
		c := common
		c.Name, c.Logger = name, c.Log().With("collector", name)
		if meters != nil {
			c.Meter = meters.For(name)
		}
		x, err := make(c)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
			return
		}
		all = append(all, source{name, x})
	}
	for _, f := range s.Files {
		add("files", func(collector.Common) (collector.Collector, error) { return collector.Open(s.fileOptions(f)) })
	}
	return all, errors.Join(problems...)
}

// runCollect publishes what the sources say.
func (p *process) runCollect(ctx context.Context) error {
	meters, err := collector.NewMeters(p.registry)
	if err != nil {
		return err
	}
	common := p.settings.common(p.globals)
	common.Stored = p.publish.Flush
	all, err := p.settings.sources(common, meters)
	if err != nil {
		return err
	}
	group, collecting := errgroup.WithContext(ctx)
	for _, x := range all {
		group.Go(func() error { return x.run(collecting, p.publish.Emit) })
	}
	if p.feed != nil {
		group.Go(func() error { return p.feed(collecting, p.publish) })
	}
	err = group.Wait()
	if ctx.Err() != nil {
		err = nil // asked to stop
	} else if err == nil {
		<-ctx.Done() // everything was read; the others go on
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	return errors.Join(err, p.publish.Close(drain))
}

func (x *source) run(ctx context.Context, emit collector.Emit) error {
	if err := x.Run(ctx, emit); err != nil {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	return nil
}

// drainFor bounds how long a part may take to finish what is under way when the process is asked to stop.
const drainFor = 20 * time.Second

// fileOptions says how a configured file is followed.
func (s *settings) fileOptions(f fileSettings) collector.Options {
	zone, err := time.LoadLocation(f.Zone)
	if err != nil {
		zone = time.UTC // the check of the settings has refused it
	}
	o := collector.Options{
		Paths: []string{f.Path}, Follow: true, FromEnd: f.FromEnd, Location: zone, BatchBytes: s.Send.BatchKB << 10, Compress: s.Send.Compress,
	}
	if s.Cluster != "" {
		o.Attrs = record.Attrs{{Key: record.Cluster, Value: s.Cluster}}
	}
	return o
}

// dryRun prints the records that collect would send. Nothing is stored, no position either.
func (g *globals) dryRun(ctx context.Context, s *settings) error {
	common := s.common(g)
	common.Checkpoints = nil
	all, err := s.sources(common, nil)
	if err != nil {
		return err
	}
	group, collecting := errgroup.WithContext(ctx)
	var writing sync.Mutex // one output for all sources
	for _, x := range all {
		group.Go(func() error {
			var b record.Batch
			var line []byte
			return x.run(collecting, func(_ context.Context, frame []byte) error {
				writing.Lock()
				defer writing.Unlock()
				if err := b.Decode(frame); err != nil {
					return fmt.Errorf("decode a batch: %w", err)
				}
				for i := range b.Len() {
					r := b.At(i)
					line = append(record.AppendJSON(line[:0], &r), '\n')
					if _, err := g.out.Write(line); err != nil {
						return fmt.Errorf("write records: %w", err)
					}
				}
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
