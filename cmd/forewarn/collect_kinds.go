package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/alerts"
	"github.com/forewarn/forewarn/collector/kube"
	"github.com/forewarn/forewarn/collector/metrics"
	"github.com/forewarn/forewarn/collector/node"
	"github.com/forewarn/forewarn/collector/otlp"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
	"github.com/forewarn/forewarn/signatures/cre"
)

// collectSettings say what is collected besides files. What stands there is collected, `{}` with the defaults.
type collectSettings struct {
	Lease    kube.LeaseOptions `yaml:"lease,omitempty" json:"lease,omitzero" doc:"How the processes that collect from one API server agree on which of them does."`
	Topology string            `yaml:"topology,omitempty" json:"topology,omitempty" doc:"From where records of pods get their workload, node, images and claims: cluster, node (the pods of this node alone) or off. Without it cluster where an API server is collected from, else off."`

	Events  *kube.EventsOptions  `yaml:"events,omitempty" json:"events,omitempty" doc:"The events of a Kubernetes cluster, from its API server."`
	Changes *kube.ChangesOptions `yaml:"changes,omitempty" json:"changes,omitempty" doc:"What changes in the objects of a cluster, from its API server."`

	PodLogs   *kube.PodLogsOptions   `yaml:"pod_logs,omitempty" json:"pod_logs,omitempty" doc:"The logs of pods through the API server, for clusters where nothing may run on the nodes."`
	Inventory *kube.InventoryOptions `yaml:"inventory,omitempty" json:"inventory,omitempty" doc:"The versions of a cluster and of what runs in it, by which it is decided which signatures apply."`

	Logs    *node.LogOptions     `yaml:"logs,omitempty" json:"logs,omitempty" doc:"The logs of the pods on this node, from its files."`
	Journal *node.JournalOptions `yaml:"journal,omitempty" json:"journal,omitempty" doc:"The journal of this node."`
	Kernel  *node.KernelOptions  `yaml:"kernel,omitempty" json:"kernel,omitempty" doc:"What the kernel of this node says."`

	Metrics *metrics.Options     `yaml:"metrics,omitempty" json:"metrics,omitempty" doc:"Metric samples; only those that a signature looks at."`
	Targets *kube.TargetsOptions `yaml:"targets,omitempty" json:"targets,omitempty" doc:"What metrics.scrape asks besides static targets: kubelets, and pods that ask for it."`
	OTLP    *otlp.Options        `yaml:"otlp,omitempty" json:"otlp,omitempty" doc:"Logs and metrics that others send by the OpenTelemetry protocol; of metrics only those that a signature looks at."`
	Alerts  *alerts.Options      `yaml:"alerts,omitempty" json:"alerts,omitempty" doc:"The alerts that an Alertmanager sends to a webhook."`
}

// Where topology comes from.
const (
	topologyCluster = "cluster"
	topologyNode    = "node"
	topologyOff     = "off"
)

// fromServer reports whether anything is collected of which one process a cluster is enough.
func (s *collectSettings) fromServer() bool {
	return s.Events != nil || s.Changes != nil || s.PodLogs != nil || s.Inventory != nil
}

// pullsForCluster reports whether metrics are asked for that one process a cluster is enough for, and a Lease can tell which.
func (s *collectSettings) pullsForCluster() bool {
	o := s.Metrics
	return o != nil && (o.Scrape != nil && o.Scrape.Of != metrics.OfNode || len(o.Prometheus) > 0) && (s.fromServer() || s.Targets != nil)
}

// any reports whether anything is collected.
func (s *collectSettings) any() bool {
	return s.fromServer() || s.Logs != nil || s.Journal != nil || s.Kernel != nil || s.Metrics != nil || s.OTLP != nil || s.Alerts != nil
}

// check makes every collector and throws it away, for what is wrong with its options.
func (s *collectSettings) check() map[string]error {
	var c collector.Common
	client, wrong := &kube.Client{}, map[string]error{}
	made := func(name string, _ collector.Collector, err error) {
		if err != nil {
			wrong[name] = err
		}
	}
	if o := s.Events; o != nil {
		x, err := kube.NewEvents(*o, client, c)
		made("events", x, err)
	}
	if o := s.Changes; o != nil {
		x, err := kube.NewChanges(*o, client, kube.NewTopology(kube.TopologyOptions{}), c)
		made("changes", x, err)
	}
	if o := s.PodLogs; o != nil {
		x, err := kube.NewPodLogs(*o, client, c)
		made("pod_logs", x, err)
	}
	if o := s.Inventory; o != nil {
		x, err := kube.NewInventory(*o, client, dropFacts, c)
		made("inventory", x, err)
	}
	if o := s.Targets; o != nil {
		_, err := kube.NewTargets(*o, client, "", c)
		if s.Metrics == nil || s.Metrics.Scrape == nil {
			err = errors.New("nothing scrapes them: set metrics, such as metrics: {scrape: {}}")
		}
		made("targets", nil, err)
	}
	if o := s.Logs; o != nil {
		x, err := node.NewLogs(*o, s.pods(), c)
		made("logs", x, err)
	}
	if o := s.Journal; o != nil {
		x, err := node.NewJournal(*o, c)
		made("journal", x, err)
	}
	if o := s.Kernel; o != nil {
		x, err := node.NewKernel(*o, c)
		made("kernel", x, err)
	}
	if o := s.Metrics; o != nil {
		x, err := metrics.New(*o, c)
		made("metrics", x, err)
	}
	if o := s.OTLP; o != nil {
		x, err := otlp.New(*o, c)
		made("otlp", x, err)
	}
	if o := s.Alerts; o != nil {
		x, err := alerts.New(*o, c)
		made("alerts", x, err)
	}
	return wrong
}

// dropFacts is where an inventory goes that nobody decides by.
func dropFacts(context.Context, string, []byte) error { return nil }

// pods are what tells the labels of pods, if anything will: a selection by labels is refused without.
func (s *collectSettings) pods() node.Pods {
	if s.topologySource() == topologyOff {
		return nil
	}
	return kube.NewTopology(kube.TopologyOptions{})
}

// topologySource returns it with the default.
func (s *collectSettings) topologySource() string {
	if s.Topology == "" && s.fromServer() {
		return topologyCluster
	}
	return cmp.Or(s.Topology, topologyOff)
}

// nodeName is that of the node that the process runs on, empty when it is not known. The name of a pod's host is the pod's.
func (s *settings) nodeName() string {
	name := cmp.Or(s.Node, os.Getenv("NODE_NAME"))
	if name == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		name, _ = os.Hostname()
	}
	return name
}

// sourceMaker makes the sources of a process one after the other, and keeps what is wrong with each.
type sourceMaker struct {
	s        *settings
	common   collector.Common
	shared   collector.Checkpoints // of what another process may take over; nil keeps nothing
	facts    kube.PutFacts
	meters   *collector.Meters
	client   *kube.Client   // nil when no API server is needed, or it cannot be reached
	topology *kube.Topology // nil when it is off
	problems []error
}

// common returns what a collector of a name is given.
func (m *sourceMaker) commonOf(name string) collector.Common {
	c := m.common
	c.Name, c.Logger = name, c.Log().With("collector", name)
	if m.topology != nil {
		c.Enricher = m.topology
	}
	if m.meters != nil {
		c.Meter = m.meters.For(name)
	}
	return c
}

// make makes a source, or notes why it cannot be made.
func (m *sourceMaker) make(to *[]source, name string, open func(c collector.Common) (collector.Collector, error)) {
	x, err := open(m.commonOf(name))
	if err != nil {
		m.problems = append(m.problems, fmt.Errorf("collect %s: %w", name, err))
		return
	}
	*to = append(*to, source{name, x})
}

// connect reaches the API server if something needs it.
func (m *sourceMaker) connect() {
	c := &m.s.Collect
	if !c.fromServer() && c.Targets == nil && c.topologySource() == topologyOff {
		return
	}
	client, err := kube.Connect(m.s.Kubernetes)
	if err != nil {
		m.problems = append(m.problems, err)
		return
	}
	m.client = client
	if c.topologySource() != topologyOff {
		m.topology = kube.NewTopology(kube.TopologyOptions{Labels: c.Logs != nil})
	}
}

// cluster makes what one process a cluster collects, all of it under one Lease.
func (m *sourceMaker) cluster(to *[]source) {
	c := &m.s.Collect
	if !c.fromServer() && !c.pullsForCluster() || m.client == nil {
		return
	}
	here := m.common.Checkpoints
	m.common.Checkpoints = m.shared
	defer func() { m.common.Checkpoints = here }()
	var all []source
	if o := c.Changes; o != nil {
		topology := m.topology
		if topology == nil {
			topology = kube.NewTopology(kube.TopologyOptions{})
		}
		m.make(&all, "changes", func(x collector.Common) (collector.Collector, error) {
			return kube.NewChanges(*o, m.client, topology, x)
		})
	}
	if o := c.Events; o != nil {
		m.make(&all, "events", func(x collector.Common) (collector.Collector, error) { return kube.NewEvents(*o, m.client, x) })
	}
	if o := c.PodLogs; o != nil {
		m.make(&all, "pod_logs", func(x collector.Common) (collector.Collector, error) { return kube.NewPodLogs(*o, m.client, x) })
	}
	if o := c.Inventory; o != nil {
		m.make(&all, "inventory", func(x collector.Common) (collector.Collector, error) {
			return kube.NewInventory(*o, m.client, m.facts, x)
		})
	}
	if c.pullsForCluster() {
		m.metrics(&all, true)
	}
	if c.Changes == nil && c.fromServer() && c.topologySource() == topologyCluster {
		all = append(all, m.follow("topology", m.topology.FollowCluster))
	}
	x := m.common // it has no meter: its members have
	x.Name = "cluster"
	led, err := kube.Led(c.Lease, m.client, x, together(all))
	if err != nil {
		m.problems = append(m.problems, fmt.Errorf("collect.lease: %w", err))
		return
	}
	*to = append(*to, source{"cluster", led})
}

// node makes what every node collects of itself.
func (m *sourceMaker) node(to *[]source) {
	c := &m.s.Collect
	if m.topology != nil && !c.fromServer() {
		switch c.topologySource() {
		case topologyNode:
			*to = append(*to, m.follow("topology", func(ctx context.Context, client *kube.Client, x *collector.Common) error {
				return m.topology.FollowNode(ctx, client, m.s.nodeName(), x)
			}))
		case topologyCluster:
			*to = append(*to, m.follow("topology", m.topology.FollowCluster))
		}
	}
	if o := c.Logs; o != nil {
		m.make(to, "logs", func(x collector.Common) (collector.Collector, error) {
			var pods node.Pods
			if m.topology != nil {
				pods, x.Enricher = m.topology, nil // it is asked once a file
			}
			return node.NewLogs(*o, pods, x)
		})
	}
	if o := c.Journal; o != nil {
		m.make(to, "journal", func(x collector.Common) (collector.Collector, error) { return node.NewJournal(*o, x) })
	}
	if o := c.Kernel; o != nil {
		m.make(to, "kernel", func(x collector.Common) (collector.Collector, error) { return node.NewKernel(*o, x) })
	}
}

// receivers make what listens, or asks others than the API server.
func (m *sourceMaker) receivers(to *[]source) {
	c := &m.s.Collect
	if !c.pullsForCluster() {
		m.metrics(to, true)
	}
	m.metrics(to, false)
	if o := c.OTLP; o != nil {
		m.make(to, "otlp", func(x collector.Common) (collector.Collector, error) {
			collected, err := otlp.New(*o, x)
			if err != nil {
				return nil, err
			}
			return m.s.withNeeds(collected, collected.Need), nil
		})
	}
	if o := c.Alerts; o != nil {
		m.make(to, "alerts", func(x collector.Common) (collector.Collector, error) { return alerts.New(*o, x) })
	}
}

// metrics makes what asks others for metrics, or what is sent them: asking is for one process, and any may be sent.
func (m *sourceMaker) metrics(to *[]source, pull bool) {
	if m.s.Collect.Metrics == nil {
		return
	}
	o := *m.s.Collect.Metrics
	if pull {
		o.RemoteWrite = nil
	} else {
		o.Scrape, o.Prometheus = nil, nil
	}
	if o.Scrape == nil && o.RemoteWrite == nil && len(o.Prometheus) == 0 {
		return
	}
	m.make(to, "metrics", func(x collector.Common) (collector.Collector, error) {
		var find []metrics.Discovery
		if t := m.s.Collect.Targets; t != nil && o.Scrape != nil && m.client != nil {
			of := ""
			if o.Scrape.Of == metrics.OfNode {
				of = x.Node
			}
			targets, err := kube.NewTargets(*t, m.client, of, x)
			if err != nil {
				return nil, err
			}
			find = append(find, targets)
		}
		collected, err := metrics.New(o, x, find...)
		if err != nil {
			return nil, err
		}
		return m.s.withNeeds(collected, collected.Need), nil
	})
}

// withNeeds runs a collector of metrics, and tells it what the signatures look at, also when their files change.
func (s *settings) withNeeds(x collector.Collector, need func([]signatures.MetricNeed)) collector.Collector {
	look := func() {
		var builtin *signatures.Set
		if !s.NoCatalog {
			builtin, _ = signatures.LoadFS(catalog.FS, signatures.Options{})
		}
		own, _ := signatures.Load(s.Signatures, signatures.Options{Foreign: cre.Options{Sources: s.Sources}.Read}) // the matcher tells what is wrong
		need(signatures.MetricNeeds(signatures.Merge(builtin, own)))
	}
	return collecting(func(ctx context.Context, emit collector.Emit) error {
		look()
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return x.Run(ctx, emit) })
		if len(s.Signatures) > 0 {
			group.Go(func() error { return signatures.Follow(ctx, s.Signatures, signatures.WatchOptions{}, look) })
		}
		return group.Wait()
	})
}

// follow keeps the topology up to date. It gives no records.
func (m *sourceMaker) follow(name string, run func(context.Context, *kube.Client, *collector.Common) error) source {
	c := m.commonOf(name)
	return source{name, collecting(func(ctx context.Context, _ collector.Emit) error { return run(ctx, m.client, &c) })}
}

// collecting is a collector that is a function.
type collecting func(ctx context.Context, emit collector.Emit) error

// Run implements collector.Collector.
func (r collecting) Run(ctx context.Context, emit collector.Emit) error { return r(ctx, emit) }

// together runs several collectors as one, which ends when all have ended or one has failed.
func together(all []source) collector.Collector {
	return collecting(func(ctx context.Context, emit collector.Emit) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, x := range all {
			group.Go(func() error { return x.run(ctx, emit) })
		}
		return group.Wait()
	})
}

// sources makes every collector that the configuration asks for. shared are the checkpoints of what another process may take over, and facts
// is where an inventory goes. Its error holds all problems.
func (s *settings) sources(common collector.Common, shared collector.Checkpoints, facts kube.PutFacts, meters *collector.Meters) ([]source, error) {
	m := sourceMaker{s: s, common: common, shared: shared, facts: facts, meters: meters}
	m.connect()
	var all []source
	m.cluster(&all)
	m.node(&all)
	m.receivers(&all)
	for _, f := range s.Files {
		m.make(&all, "files", func(c collector.Common) (collector.Collector, error) {
			return collector.Open(s.fileOptions(f, &c))
		})
	}
	return all, errors.Join(m.problems...)
}
