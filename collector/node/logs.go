package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// LogOptions say which log files are followed and how.
type LogOptions struct {
	Paths   []string            `yaml:"paths,omitempty" json:"paths,omitempty" doc:"Directories, files and glob patterns; [/var/log/pods] without it."`
	Zone    string              `yaml:"zone,omitempty" json:"zone,omitempty" doc:"The zone of time stamps that name none; UTC without it."`
	FromEnd bool                `yaml:"from_end,omitempty" json:"from_end,omitempty" doc:"Begin, at the very first start, at the end of the files that are there already."`
	Include []Selection         `yaml:"include,omitempty" json:"include,omitempty" doc:"Take only logs that one of these selects; all without it."`
	Exclude []Selection         `yaml:"exclude,omitempty" json:"exclude,omitempty" doc:"Leave out logs that one of these selects, whatever include says."`
	Limit   Limit               `yaml:"limit,omitempty" json:"limit,omitzero" doc:"How much one container may write before it is cut down; no limit without it."`
	Wait    signatures.Duration `yaml:"wait,omitempty" json:"wait,omitempty" doc:"How long an entry waits for lines that continue it; 500ms without it."`
	Open    int                 `yaml:"open,omitempty" json:"open,omitempty" doc:"How many files are held open; 4096 without it."`
	Watches int                 `yaml:"watches,omitempty" json:"watches,omitempty" doc:"How many directories the system is asked to tell of; others are looked at every second. 8192 without it."`
}

// Pods tells what is known of pods beyond their logs' paths.
type Pods interface {
	// Pod returns the labels of a pod, and attributes for its records, such as its workload. ok is false while the pod is not known.
	Pod(namespace, name, uid string) (labels map[string]string, attrs record.Attrs, ok bool)
}

// logs follows log files.
type logs struct {
	o      LogOptions
	c      collector.Common
	pods   Pods // nil when nobody can be asked
	zone   *time.Location
	limits *limits
	asked  map[string]time.Time // since when a pod is asked for; only the follower's goroutine uses it
}

// askFor is how long a file waits for its pod to become known; then it is judged without.
const askFor = 30 * time.Second

// NewLogs makes the collector of log files. pods, which may be nil, is asked for labels and topology.
func NewLogs(o LogOptions, pods Pods, c collector.Common) (collector.Collector, error) {
	if len(o.Paths) == 0 {
		o.Paths = []string{"/var/log/pods"}
	}
	if o.Wait == 0 {
		o.Wait = signatures.Duration(500 * time.Millisecond)
	}
	l := &logs{o: o, c: c, pods: pods, asked: map[string]time.Time{}}
	problems := []error{o.Limit.check()}
	var err error
	if l.zone, err = time.LoadLocation(o.Zone); err != nil {
		problems = append(problems, fmt.Errorf("zone: %w; use UTC, Local or a name such as Europe/Berlin", err))
	}
	for name, list := range map[string][]Selection{"include": o.Include, "exclude": o.Exclude} {
		for i := range list {
			problems = append(problems, list[i].check(fmt.Sprintf("%s[%d]", name, i), pods != nil))
		}
	}
	for name, n := range map[string]int{"open": o.Open, "watches": o.Watches} {
		if n < 0 {
			problems = append(problems, fmt.Errorf("%s: %d is negative; leave it out for the default", name, n))
		}
	}
	if o.Wait < 0 {
		problems = append(problems, fmt.Errorf("wait: %s is negative; leave it out for the default", time.Duration(o.Wait)))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("collect logs: %w", err)
	}
	l.limits = newLimits(o.Limit, &l.c)
	if _, err := l.files(); err != nil {
		return nil, fmt.Errorf("collect logs: %w", err)
	}
	return l, nil
}

func (l *logs) files() (*collector.Files, error) {
	source := l.c.Name
	if l.c.Node != "" {
		source += "/" + l.c.Node
	}
	o := collector.Options{
		Paths: l.o.Paths, Follow: true, FromEnd: l.o.FromEnd, Location: l.zone, Attrs: attrs(&l.c), Source: source, Scope: scope(&l.c),
		Admit: l.admit, BatchBytes: l.c.BatchBytes, Compress: l.c.Compress, KeepSecrets: l.c.KeepSecrets, Secrets: l.c.Secrets,
		Idle: time.Duration(l.o.Wait), Gap: time.Duration(l.o.Wait) / 2,
		Meter: l.c.Meter, Checkpoints: l.c.Checkpoints, Checkpoint: l.c.Name, Stored: l.c.Stored, Logger: l.c.Log(), Now: l.c.Clock(),
		MaxOpen: l.o.Open, MaxWatches: l.o.Watches,
	}
	if l.limits != nil {
		o.Filter = l.limits.filter
	}
	return collector.Open(o)
}

// Run implements [collector.Collector].
func (l *logs) Run(ctx context.Context, emit collector.Emit) error {
	files, err := l.files()
	if err != nil {
		return err
	}
	if l.limits == nil {
		return files.Run(ctx, emit)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return files.Run(ctx, emit) })
	g.Go(func() error { l.limits.run(ctx); return nil })
	return g.Wait()
}

// admit decides whether a file is followed, and completes its attributes.
func (l *logs) admit(path string, a record.Attrs) (record.Attrs, collector.Verdict) {
	var labels map[string]string
	if namespace, pod := a.Value(record.Namespace), a.Value(record.Pod); pod != "" && l.pods != nil {
		known, more, ok := l.pods.Pod(namespace, pod, a.Value(record.PodUID))
		if !ok && l.waits(path) {
			return a, collector.Later
		}
		delete(l.asked, path)
		labels = known
		for _, x := range more {
			a = a.With(x.Key, x.Value)
		}
	}
	if l.c.Enricher != nil {
		a = l.c.Enricher.Enrich(a).Clone()
	}
	if selects(l.o.Exclude, path, a, labels) || len(l.o.Include) > 0 && !selects(l.o.Include, path, a, labels) {
		return a, collector.Leave
	}
	return a, collector.Take
}

// waits reports whether a file still waits for its pod to become known. Nothing of it is lost meanwhile.
func (l *logs) waits(path string) bool {
	since, ok := l.asked[path]
	if !ok {
		since = time.Now()
		l.asked[path] = since
	}
	return time.Since(since) < askFor
}
