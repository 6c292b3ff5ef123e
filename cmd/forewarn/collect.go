package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/stream"
)

// source is one collector that the configuration asks for.
type source struct {
	name string
	collector.Collector
}

// common is what the collectors of this process share.
func (s *settings) common(g *globals) (collector.Common, error) {
	secrets, err := collector.NewSecrets(s.Secrets)
	if err != nil {
		return collector.Common{}, fmt.Errorf("secrets: %w", err)
	}
	return collector.Common{
		Secrets: secrets,
		Cluster: s.Cluster, Node: s.nodeName(), BatchBytes: s.Send.BatchKB << 10, Compress: s.Send.Compress, Logger: g.log,
		Checkpoints: collector.Directory(filepath.Join(s.DataDir, "collect")),
	}, nil
}

// runCollect publishes what the sources say.
func (p *process) runCollect(ctx context.Context) error {
	meters, err := collector.NewMeters(p.registry)
	if err != nil {
		return err
	}
	common, err := p.settings.common(p.globals)
	if err != nil {
		return err
	}
	common.Stored = p.publish.Flush
	shared, err := p.stream.Checkpoints(ctx)
	if err != nil {
		return err
	}
	all, err := p.settings.sources(common, shared, p.stream.PutFacts, meters)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		defer p.tellCollectors(ctx, meters)()
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

// tellCollectors tells what the collectors do every few seconds, for `forewarn status`. The function that it returns tells it for the last
// time and ends that.
func (p *process) tellCollectors(ctx context.Context, meters *collector.Meters) (end func()) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	st := collector.Status{Instance: host + "-" + strconv.Itoa(os.Getpid()), Version: version, Began: time.Now().UTC()}
	failing := false
	put := func(ctx context.Context) {
		st.Time, st.Collectors = time.Now().UTC(), meters.States()
		b, err := json.Marshal(st)
		if err == nil {
			err = p.stream.PutStatus(ctx, stream.StatusKey(collectStatus, st.Instance), b)
		}
		if err != nil && !failing && ctx.Err() == nil {
			p.log.Warn("the collectors' status cannot be told", "error", err)
		}
		failing = err != nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(goneAfter / 3)
		defer t.Stop()
		for {
			put(ctx)
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	}()
	return func() {
		<-done
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		st.Stopped = true
		put(last)
	}
}

// collectStatus is the role in the keys of the collectors' statuses.
const collectStatus = "collect"

func (x *source) run(ctx context.Context, emit collector.Emit) error {
	if err := x.Run(ctx, emit); err != nil {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	return nil
}

// drainFor bounds how long a part may take to finish what is under way when the process is asked to stop.
const drainFor = 20 * time.Second

// fileOptions says how a configured file is followed.
func (s *settings) fileOptions(f fileSettings, c *collector.Common) collector.Options {
	zone, err := time.LoadLocation(f.Zone)
	if err != nil {
		zone = time.UTC // the check of the settings has refused it
	}
	return collector.Options{
		Paths: []string{f.Path}, Follow: true, FromEnd: f.FromEnd, Location: zone, BatchBytes: c.BatchBytes, Compress: c.Compress, Secrets: c.Secrets,
		Meter: c.Meter, Checkpoints: c.Checkpoints, Checkpoint: c.Name + "/" + f.Path, Stored: c.Stored, Logger: c.Log(), Attrs: s.attrs(),
	}
}

// attrs are those of every record that comes in here.
func (s *settings) attrs() record.Attrs {
	if s.Cluster == "" {
		return nil
	}
	return record.Attrs{{Key: record.Cluster, Value: s.Cluster}}
}

// dryRun prints the records that collect would send. Nothing is stored, no position either.
func (g *globals) dryRun(ctx context.Context, s *settings) error {
	common, err := s.common(g)
	if err != nil {
		return err
	}
	common.Checkpoints = nil
	s.Collect.Lease.Off = true // it takes nothing from the process that collects
	all, err := s.sources(common, nil, dropFacts, nil)
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
