package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/stream"
)

// foundFacts are what collectors found out of the clusters whose records this process matches. The nil foundFacts know nothing.
type foundFacts struct {
	stream *stream.Stream
	log    *slog.Logger

	mu  sync.Mutex
	all facts
}

// openFacts reads what is known already, so that a start arms at once what applies.
func (p *process) openFacts(ctx context.Context) *foundFacts {
	f := &foundFacts{stream: p.stream, log: p.log}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	bySource, err := p.stream.Facts(ctx)
	if err != nil {
		p.log.Warn("what is known of the cluster cannot be read: signatures are armed without it until it can", "error", err)
		return f
	}
	f.take(bySource)
	return f
}

// run calls look whenever what is known changes, until ctx ends.
func (f *foundFacts) run(ctx context.Context, look func()) error {
	var wait collector.Backoff
	for {
		err := f.stream.WatchFacts(ctx, func(bySource map[string][]byte) {
			if f.take(bySource) {
				look()
			}
		})
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end
		}
		f.log.Warn("what is known of the cluster cannot be followed: it is tried again", "error", err)
		wait.Wait(ctx)
	}
}

// take takes the facts of all sources, and reports whether they differ from those before.
func (f *foundFacts) take(bySource map[string][]byte) bool {
	var list []facts
	for source, b := range bySource {
		var x facts
		if err := json.Unmarshal(b, &x); err != nil {
			f.log.Warn("facts that cannot be read are left out", "source", source, "error", err)
			continue
		}
		list = append(list, x)
	}
	all := agreed(list)
	f.mu.Lock()
	defer f.mu.Unlock()
	same := all.equal(&f.all)
	f.all = all
	return !same
}

func (f *foundFacts) now() facts {
	if f == nil {
		return facts{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all
}

// agreed returns what no two of several facts contradict: of clusters with different versions, none is known.
func agreed(list []facts) facts {
	out := facts{Components: map[string]string{}, Facts: map[string]string{}}
	versions := map[string]string{}
	differ := map[string]bool{}
	merge := func(prefix string, into, from map[string]string) {
		for key, value := range from {
			if was, known := into[key]; known && was != value {
				differ[prefix+key] = true
			}
			into[key] = value
		}
		maps.DeleteFunc(into, func(key, _ string) bool { return differ[prefix+key] })
	}
	for _, x := range list {
		if x.Kubernetes != "" {
			merge("", versions, map[string]string{"kubernetes": x.Kubernetes})
		}
		merge("component ", out.Components, x.Components)
		merge("fact ", out.Facts, x.Facts)
	}
	out.Kubernetes = versions["kubernetes"]
	return out
}

func (x *facts) equal(y *facts) bool {
	return x.Kubernetes == y.Kubernetes && maps.Equal(x.Components, y.Components) && maps.Equal(x.Facts, y.Facts)
}

// over returns x with what y has besides: what is configured wins over what was found.
func (x *facts) over(y facts) facts {
	out := facts{Kubernetes: x.Kubernetes, Components: maps.Clone(y.Components), Facts: maps.Clone(y.Facts)}
	if out.Kubernetes == "" {
		out.Kubernetes = y.Kubernetes
	}
	for _, m := range []struct {
		into *map[string]string
		from map[string]string
	}{{&out.Components, x.Components}, {&out.Facts, x.Facts}} {
		if *m.into == nil {
			*m.into = map[string]string{}
		}
		maps.Copy(*m.into, m.from)
	}
	return out
}
