package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/stream"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/store"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/crd"
)

// cluster are the signatures that the cluster holds as custom resources. The nil cluster holds none.
type cluster struct {
	watcher  *crd.Watcher
	reporter *crd.Reporter
	report   collector.Collector // the reporter, in one process at a time
}

// reporting runs a reporter where a collector runs under a Lease.
type reporting struct{ *crd.Reporter }

var _ collector.Collector = reporting{}

// Run implements collector.Collector; it emits nothing.
func (r reporting) Run(ctx context.Context, _ collector.Emit) error { return r.Reporter.Run(ctx) }

// primeFor bounds how long a start waits for the API server. What the store knows of its signatures is armed without it.
const primeFor = 10 * time.Second

// reportLease is the Lease under which statuses are written, behind forewarn and a dash.
const reportLease = "signatures"

// openCluster connects to the API server, and asks it for its signatures.
func (p *process) openCluster(ctx context.Context) (*cluster, error) {
	client, err := kube.Connect(p.settings.Kubernetes)
	if err != nil {
		return nil, err
	}
	c := &cluster{}
	log := p.log.With("part", "custom resources")
	if c.watcher, err = crd.NewWatcher(crd.Options{Config: client.Config, Logger: log}); err != nil {
		return nil, err
	}
	news := &newest{stream: p.stream}
	if c.reporter, err = crd.NewReporter(crd.ReporterOptions{Watcher: c.watcher, Warnings: news.look, Logger: log}); err != nil {
		return nil, err
	}
	if c.report, err = kube.Led(kube.LeaseOptions{}, client, collector.Common{Name: reportLease, Logger: log}, reporting{c.reporter}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, primeFor)
	defer cancel()
	if err := c.watcher.Prime(ctx); err != nil {
		log.Warn("the cluster's signatures cannot be read: those that the store knows are armed, and they are asked for again", "error", err)
	}
	return c, nil
}

// run follows the resources until ctx ends; look is called when they changed.
func (c *cluster) run(ctx context.Context, look func()) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return c.watcher.Run(running, look) })
	group.Go(func() error {
		if err := c.report.Run(running, nil); running.Err() == nil {
			return err
		}
		return nil
	})
	return group.Wait()
}

// resources are those of a cluster at one time.
type resources struct {
	all      []*crd.Resource
	complete bool // what is not there does not exist
	followed bool
}

func (c *cluster) resources() resources {
	if c == nil {
		return resources{}
	}
	all, complete := c.watcher.Resources()
	return resources{all, complete, true}
}

func (c *cluster) judge(verdicts map[crd.Ref]crd.Verdict) {
	if c != nil {
		c.reporter.Judge(verdicts)
	}
}

// placeName is what people call a place of signatures.
func placeName(path string) string {
	if ref, ok := crd.RefOf(path); ok {
		return ref.String()
	}
	return path
}

// readResources adds the custom resources to the set. Until they are all known those that the store knows stand for them. One that became bad
// goes on with its last version that had no error, as a file does.
func (c *change) readResources(known *store.Set, resources resources) {
	was := map[crd.Ref]*store.SetFile{}
	for i := range known.Files {
		if ref, ok := crd.RefOf(known.Files[i].Path); ok && resources.followed {
			was[ref] = &known.Files[i]
		}
	}
	if !resources.complete {
		for i := range known.Files {
			if ref, ok := crd.RefOf(known.Files[i].Path); ok && was[ref] != nil {
				c.set.Files = append(c.set.Files, known.Files[i])
			}
		}
		return
	}
	for _, r := range resources.all {
		row, f := store.SetFile{Path: r.Ref.Path(), Hash: r.Hash}, was[r.Ref]
		switch {
		case r.Signature == nil && f != nil:
			row = *f
			row.Unsound = true
		case r.Signature == nil:
			row.Unsound = true
		case f != nil && !f.Unsound && f.Hash == r.Hash:
			row = *f
		default:
			row.Signatures = c.keep([]*signatures.Signature{r.Signature})
		}
		c.problems = append(c.problems, r.Problems...)
		c.set.Files = append(c.set.Files, row)
	}
}

// verdicts tell for each resource what became of it in the program.
func (c *change) verdicts(program *matcher.Program, resources resources) map[crd.Ref]crd.Verdict {
	if program == nil || !resources.complete {
		return nil
	}
	armed := map[string]bool{} // by path: something of it is in the program
	for i := range c.set.Files {
		for j := range c.set.Files[i].Signatures {
			p := picked{SetSignature: c.set.Files[i].Signatures[j]}
			armed[c.set.Files[i].Path] = program.Contains(p.short())
		}
	}
	disarmed := program.Disarmed()
	out := make(map[crd.Ref]crd.Verdict, len(resources.all))
	for _, r := range resources.all {
		v := crd.Verdict{Hash: r.Hash, State: crd.Refused}
		for _, p := range c.problems {
			if p.File == r.Ref.String() && !slices.Contains(r.Problems, p) {
				v.Problems = append(v.Problems, p)
			}
		}
		sound := r.Signature != nil && len(signatures.Errors(v.Problems)) == 0
		switch in := armed[r.Ref.Path()]; {
		case sound && in:
			v.State = crd.Armed
		case sound && slices.Contains(disarmed, r.Ref.ID()):
			v.State = crd.Disarmed
		case r.Signature == nil:
			v.Before = in
		}
		out[r.Ref] = v
	}
	return out
}

// newest learns from the stream what was warned of last, by signature.
type newest struct {
	stream *stream.Stream
	last   uint64 // the message of WARNINGS up to which it knows
	known  map[string]crd.LastWarning
}

func (n *newest) look(ctx context.Context) (map[string]crd.LastWarning, error) {
	if n.known == nil {
		n.known = map[string]crd.LastWarning{}
	}
	err := n.stream.Read(ctx, stream.Warnings, stream.WarningsSubject, n.last+1, 0, func(m stream.Message) error {
		n.last = m.Seq
		told, err := pipeline.DecodeWarning(m.Data)
		if err != nil || told.Warning.Retracted {
			return nil //nolint:nilerr // the feeds of the destinations count and tell what is no warning
		}
		w := &told.Warning
		if known, ok := n.known[w.Signature]; !ok || !w.Time.Before(known.Time) {
			n.known[w.Signature] = crd.LastWarning{ID: w.ID, State: string(w.State), Key: w.KeyText, Time: w.Time}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the newest warnings: %w", err)
	}
	return n.known, nil
}
