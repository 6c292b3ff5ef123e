package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// PodLogsOptions say whose logs are read through the API server. The zero value reads all.
type PodLogsOptions struct {
	Include []PodSelection      `yaml:"include,omitempty" json:"include,omitempty" doc:"Take only logs of containers that one of these selects; all without it."`
	Exclude []PodSelection      `yaml:"exclude,omitempty" json:"exclude,omitempty" doc:"Leave out logs of containers that one of these selects, whatever include says."`
	Streams int                 `yaml:"streams,omitempty" json:"streams,omitempty" doc:"How many logs are read at once; 100 without it. Each is a connection of the API server to a kubelet. When more are selected, they take turns."`
	Back    signatures.Duration `yaml:"back,omitempty" json:"back,omitempty" doc:"How far back a log is read at the very first start; 10m without it."`
}

// PodSelection selects containers. All that it says must hold.
type PodSelection struct {
	Namespace string            `yaml:"namespace,omitempty" json:"namespace,omitempty" doc:"A namespace; * and ? stand for others."`
	Pod       string            `yaml:"pod,omitempty" json:"pod,omitempty" doc:"A pod; * and ? stand for others."`
	Container string            `yaml:"container,omitempty" json:"container,omitempty" doc:"A container; * and ? stand for others."`
	Labels    map[string]string `yaml:"labels,omitempty" json:"labels,omitempty" doc:"Labels of the pod; * and ? stand for others in their values."`
}

func (s *PodSelection) check(place string) error {
	var problems []error
	patterns := map[string]string{"namespace": s.Namespace, "pod": s.Pod, "container": s.Container}
	for key, value := range s.Labels {
		patterns["labels."+key] = value
	}
	empty := len(s.Labels) == 0
	for field, p := range patterns {
		empty = empty && p == ""
		if _, err := path.Match(p, ""); err != nil {
			problems = append(problems, fmt.Errorf("%s.%s: the pattern %q is broken: write [[] for a bracket", place, field, p))
		}
	}
	if empty {
		problems = append(problems, fmt.Errorf("%s selects everything: name a namespace, pod, container or labels", place))
	}
	return errors.Join(problems...)
}

func (s *PodSelection) selects(p *loggedPod, container string) bool {
	fits := func(pattern, value string) bool {
		ok, err := path.Match(pattern, value)
		return pattern == "" || ok && err == nil
	}
	for key, pattern := range s.Labels {
		if value, ok := p.Metadata.Labels[key]; !ok || !fits(pattern, value) {
			return false
		}
	}
	return fits(s.Namespace, p.Metadata.Namespace) && fits(s.Pod, p.Metadata.Name) && fits(s.Container, container)
}

// PodLogsNeeds are what reading logs through the API server needs.
func PodLogsNeeds() Needs {
	return Needs{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
	}
}

// podLogs reads the logs of pods through the API server.
type podLogs struct {
	o      PodLogsOptions
	client *Client
	common collector.Common

	saveEvery, settle time.Duration // how often positions are kept; how long an entry waits for lines that continue it
	again             collector.Backoff
	pause             time.Duration // before a log that had no more is read again
}

// NewPodLogs makes a collector of the logs of pods through the API server, for clusters where nothing may run on nodes. It goes on where it was
// after a restart, if there are checkpoints. One process a cluster should run it: see [Led].
func NewPodLogs(o PodLogsOptions, client *Client, c collector.Common) (collector.Collector, error) {
	var problems []error
	for name, list := range map[string][]PodSelection{"include": o.Include, "exclude": o.Exclude} {
		for i := range list {
			problems = append(problems, list[i].check(fmt.Sprintf("%s[%d]", name, i)))
		}
	}
	if o.Streams < 0 {
		problems = append(problems, fmt.Errorf("streams %d: it cannot be negative; leave it out for 100", o.Streams))
	}
	if o.Back < 0 {
		problems = append(problems, fmt.Errorf("back %s: it cannot be negative; leave it out for 10m", time.Duration(o.Back)))
	}
	if client == nil {
		problems = append(problems, errors.New("logs of pods need a client: see Connect"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	o.Streams, o.Back = cmp.Or(o.Streams, 100), cmp.Or(o.Back, signatures.Duration(10*time.Minute))
	return &podLogs{
		o: o, client: client, common: c, saveEvery: 2 * time.Second, settle: 250 * time.Millisecond, pause: time.Second,
		again: collector.Backoff{Min: time.Second, Max: 30 * time.Second},
	}, nil
}

// Run implements [collector.Collector].
func (p *podLogs) Run(ctx context.Context, emit collector.Emit) error {
	outlet, err := p.common.Outlet(p.common.Cluster, nil, emit, record.Log)
	if err != nil {
		return err
	}
	// Logs have their own share of requests: those that take turns must not hold up the watches of others.
	client, err := newClient(rest.CopyConfig(p.client.Config), p.client.timeout)
	if err != nil {
		return err
	}
	known, err := p.load()
	if err != nil {
		return err
	}
	desk := newLogDesk(p, known)
	group, running := errgroup.WithContext(ctx)
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return outlet.Run(beating) })
	group.Go(func() error {
		defer stop()
		err := p.read(running, desk, client, outlet)
		p.common.Meter.Connected(false)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if unsaved := p.save(last, desk, outlet); unsaved != nil {
			p.common.Log().Warn("the positions in logs are not kept: some lines will be read again", "error", unsaved)
		}
		return err
	})
	return group.Wait()
}

// read reads until ctx is done, whose cause it returns, or something fails for good.
func (p *podLogs) read(ctx context.Context, desk *logDesk, client *Client, outlet *collector.Outlet) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		return newReflector(p.client, resource{version: "v1", name: "pods", kind: "Pod"}, desk, &p.common).run(running)
	})
	tasks := make(chan *podLog)
	group.Go(func() error { return desk.dispatch(running, tasks) })
	for range p.o.Streams {
		r := logReader{podLogs: p, client: client, outlet: outlet, desk: desk}
		group.Go(func() error { return r.work(running, tasks) })
	}
	group.Go(func() error {
		for sleep(running, p.saveEvery) {
			if err := p.save(running, desk, outlet); err != nil {
				return err
			}
		}
		return context.Cause(running)
	})
	return group.Wait()
}

// name is that of the source, and of its checkpoint.
func (p *podLogs) name() string { return strings.TrimSuffix(p.common.Name+"/"+p.common.Cluster, "/") }

func (p *podLogs) load() (known []logPosition, err error) {
	if p.common.Checkpoints == nil {
		return nil, nil
	}
	b, err := p.common.Checkpoints.Load(p.name())
	if err != nil {
		return nil, err
	}
	if b != nil {
		if err := json.Unmarshal(b, &known); err != nil {
			p.common.Log().Error("the positions in logs are lost: the last of each is read again, under the same ids", "error", err)
			return nil, nil
		}
	}
	return known, nil
}

// save keeps the positions, of which everything before is stored, and promises what they show.
func (p *podLogs) save(ctx context.Context, desk *logDesk, outlet *collector.Outlet) error {
	positions, upTo := desk.settled(p.common.Clock()())
	if err := outlet.Flush(ctx); err != nil {
		return err
	}
	if !upTo.IsZero() {
		outlet.Alive(upTo)
	}
	if p.common.Checkpoints == nil {
		return nil
	}
	b, err := json.Marshal(positions)
	if err != nil {
		return fmt.Errorf("write down positions in logs: %w", err)
	}
	return p.common.Checkpoints.Save(p.name(), b)
}
